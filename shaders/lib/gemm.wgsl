// Products of matrices by tiles in workgroup memory, for GPUs: result [rows, columns] = left [rows, depth] x right [depth,
// columns], everything in vec4s ("quads"), left along the depth and right along the columns.
//
// A workgroup computes ROWS x COLUMNS of the result, an invocation a square of 8 x 8 or 4 x 4 (lib/gemm_8.wgsl,
// lib/gemm_4.wgsl), in rounds of 16 products: barrier, stage both operands, barrier, multiply. A float that is staged once is read by
// COLUMNS / 8 (or / 4) invocations. The includer stages; `alias Staged` is the type it stages in, sums are always f32.
// Whoever stages loads everything into registers before it writes the first value: a load that waits for the one before it
// costs a large GPU more than all multiplications of a round.
// All tiles add the products of an element in the same order by fma: the tile changes no bit of the result.
override ROWS: u32 = 64u;
override COLUMNS: u32 = 64u;
// What follows from them, given by the host: naga 30 cannot compute the length of an array or the size of a workgroup from
// constants. Invocations along columns and rows, then vec4s of `left` (16 * (ROWS / 4 + 1)) and `right` (4 * COLUMNS).
override ACROSS: u32 = 8u;
override DOWN: u32 = 8u;
override LEFT: u32 = 272u;
override RIGHT: u32 = 256u;

// Quads of the depth per round.
const STEP = 4u;

// Of one round, both along the tile's sides, so that a product is an outer one: left [16][ROWS / 4 + 1] quads of rows, right
// [16][COLUMNS / 4] quads of columns.
var<workgroup> left: array<vec4<Staged>, LEFT>;
var<workgroup> right: array<vec4<Staged>, RIGHT>;

// Tile number of a workgroup; groups beyond 65,535 are folded into y.
fn tile_number(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.x + group.y * groups.x;
}

// Quads of `left` from one depth to the next: one more than there are, so that a round's depths begin in different banks.
fn pitch() -> u32 {
    return ROWS / 4u + 1u;
}

// Depth `k` of the round (0 to 15), rows 4 * quad and on of the tile.
fn left_at(k: u32, quad: u32) -> vec4<f32> {
    return vec4<f32>(left[k * pitch() + quad]);
}

// Depth `k` of the round, quad `column` of the tile.
fn right_at(k: u32, column: u32) -> vec4<f32> {
    return vec4<f32>(right[k * (COLUMNS / 4u) + column]);
}

// Writes four rows of the tile at one quad of the round's depth, `block[i]` being row 4 * quad + i: transposed on its way.
fn put_left(quad: u32, q: u32, block: mat4x4<f32>) {
    let turned = transpose(block);
    let to = 4u * q * pitch() + quad;
    left[to] = vec4<Staged>(turned[0]);
    left[to + pitch()] = vec4<Staged>(turned[1]);
    left[to + 2u * pitch()] = vec4<Staged>(turned[2]);
    left[to + 3u * pitch()] = vec4<Staged>(turned[3]);
}

// The same for four columns that lie along the depth.
fn put_right(quad: u32, q: u32, block: mat4x4<f32>) {
    let turned = transpose(block);
    let to = 4u * q * (COLUMNS / 4u) + quad;
    right[to] = vec4<Staged>(turned[0]);
    right[to + COLUMNS / 4u] = vec4<Staged>(turned[1]);
    right[to + 2u * (COLUMNS / 4u)] = vec4<Staged>(turned[2]);
    right[to + 3u * (COLUMNS / 4u)] = vec4<Staged>(turned[3]);
}

// Quads of the round's `right` that an invocation stages if all do the same: 1, 2 or 4.
fn right_share() -> u32 {
    return 4u * COLUMNS / (ACROSS * DOWN);
}
