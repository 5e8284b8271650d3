// Products of matrices by tiles in workgroup memory, for GPUs: result [rows, columns] = left [rows, depth] x right [depth,
// columns], everything in vec4s ("quads"), left along the depth and right along the columns.
//
// A workgroup computes ROWS x COLUMNS of the result, an invocation a square of 8 x 8 or 4 x 4 (lib/gemm_8.wgsl,
// lib/gemm_4.wgsl), in rounds of 16 products: barrier, stage both operands, barrier, multiply. A float that is staged once is read by
// COLUMNS / 8 (or / 4) invocations. The includer stages; `alias Staged` is the type it stages in, sums are always f32.
// All tiles add the products of an element in the same order by fma: the tile changes no bit of the result.
override ROWS: u32 = 64u;
override COLUMNS: u32 = 64u;
// What follows from them, given by the host: naga 30 cannot compute the length of an array or the size of a workgroup from
// constants. Invocations along columns and rows, then vec4s of `left` (ROWS * PITCH) and `right` (4 * COLUMNS).
override ACROSS: u32 = 8u;
override DOWN: u32 = 8u;
override LEFT: u32 = 320u;
override RIGHT: u32 = 256u;

// Quads of the depth per round.
const STEP = 4u;
// Row pitch of `left` in vec4s: one more than STEP, so that rows next to each other lie in different banks.
const PITCH = 5u;

// Of one round: left [ROWS][STEP] quads along the depth, right [4 * STEP][COLUMNS / 4] quads along the columns.
var<workgroup> left: array<vec4<Staged>, LEFT>;
var<workgroup> right: array<vec4<Staged>, RIGHT>;

// Tile number of a workgroup; groups beyond 65,535 are folded into y.
fn tile_number(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.x + group.y * groups.x;
}

// sum + the products of four neighbours along the depth, in order.
fn products(sum: vec4<f32>, a: vec4<f32>, b0: vec4<f32>, b1: vec4<f32>, b2: vec4<f32>, b3: vec4<f32>) -> vec4<f32> {
    let low = fma(vec4<f32>(a.y), b1, fma(vec4<f32>(a.x), b0, sum));
    return fma(vec4<f32>(a.w), b3, fma(vec4<f32>(a.z), b2, low));
}

// Row `row` of the tile, quad `q` of the round.
fn left_at(row: u32, q: u32) -> vec4<f32> {
    return vec4<f32>(left[row * PITCH + q]);
}

// Product `k` of the round (0 to 15), quad `column` of the tile.
fn right_at(k: u32, column: u32) -> vec4<f32> {
    return vec4<f32>(right[k * (COLUMNS / 4u) + column]);
}
