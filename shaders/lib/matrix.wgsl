// Products of matrices on cooperative matrices: operands in f16, sums in f32. A workgroup of four subgroups computes 64 x 64 of the
// result, each subgroup a quadrant of 32 x 32, in rounds of 32 products: barrier, stage both operands, barrier, multiply.
//
// 32 KiB of workgroup memory, twice the floor's: left 5 KiB, right 4.5 KiB, results 16 KiB. Every GPU with such matrices has it.
// Pitches are 16 bytes longer than the rows, so that rows next to each other lie in different banks; fragments begin at
// multiples of 16 bytes, as Vulkan asks.
override INVOCATIONS: u32 = 128u;

const ROWS = 64u;
const COLUMNS = 64u;
// Products per round.
const DEPTH = 32u;
const LEFT_PITCH = 40u;
const RIGHT_PITCH = 72u;

// Of one round: left [ROWS][DEPTH], right [DEPTH][COLUMNS]; at the end results [ROWS][COLUMNS].
var<workgroup> left: array<f16, 2560>;
var<workgroup> right: array<f16, 2304>;
var<workgroup> results: array<f32, 4096>;

// Four neighbours along the depth of row `row`.
fn put_left(row: u32, quad: u32, value: vec4<f32>) {
    let at = row * LEFT_PITCH + 4u * quad;
    let half = vec4<f16>(value);
    left[at] = half.x;
    left[at + 1u] = half.y;
    left[at + 2u] = half.z;
    left[at + 3u] = half.w;
}

// Four neighbouring columns of product `k`.
fn put_right(k: u32, quad: u32, value: vec4<f32>) {
    let at = k * RIGHT_PITCH + 4u * quad;
    let half = vec4<f16>(value);
    right[at] = half.x;
    right[at + 1u] = half.y;
    right[at + 2u] = half.z;
    right[at + 3u] = half.w;
}
