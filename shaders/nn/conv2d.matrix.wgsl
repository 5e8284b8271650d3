// Dense convolution on cooperative matrices: operands rounded to f16, sums in f32. Formulas, Params and layouts of conv2d.wgsl, tiles
// of lib/matrix.wgsl; rows are output pixels, the depth is (ky, kx, ci) flattened, columns are output channels.
// conv2d_16: fragments of 16 x 16 (NVIDIA, AMD, Intel); conv2d_8: of 8 x 8 (Apple). Operands beyond 65,504 become infinite.
// Iterations: kh * kw * quads_in / 8 rounds of at most 13.
enable f16;
enable wgpu_cooperative_matrix;
//!include lib/conv.wgsl
//!include lib/matrix.wgsl
//!include lib/conv_rows.wgsl

// Quads of the depth per round.
const STEP = 8u;

// Stages depth quads STEP * round and on. INVOCATIONS is a multiple of STEP: an invocation's quad of the round is the same for all
// its rows, and so is the tap. Two quads of either side are loaded before the first is written: a GPU waits for all together.
fn stage(first: u32, first_quad: u32, round: u32, place: u32) {
    let depth = params.kernel_h * params.kernel_w * params.quads_in;
    let k = round * STEP + place % STEP;
    let tap = k / params.quads_in;
    let q = k - tap * params.quads_in;
    let real = k < depth;
    // Both sides have 512 quads, and INVOCATIONS is at most 256.
    for (var i = place; i < ROWS * STEP; i += 2u * INVOCATIONS) {
        let next = i + INVOCATIONS;
        let l0 = left_quad(first, i / STEP, k, tap, q, real);
        let l1 = left_quad(first, next / STEP, k, tap, q, real);
        let r0 = right_quad(first_quad, round, i, depth);
        let r1 = right_quad(first_quad, round, next, depth);
        put_left(i / STEP, place % STEP, l0);
        put_left(next / STEP, place % STEP, l1);
        put_right(i / (COLUMNS / 4u), i % (COLUMNS / 4u), r0);
        put_right(next / (COLUMNS / 4u), next % (COLUMNS / 4u), r1);
    }
}

// Uniform, since barriers stand in their loop.
fn rounds() -> u32 {
    return (params.kernel_h * params.kernel_w * params.quads_in + STEP - 1u) / STEP;
}

// Writes the tile from `results`.
fn store_all(first: u32, first_quad: u32, place: u32) {
    let quads = COLUMNS / 4u;
    for (var i = place; i < ROWS * quads; i += INVOCATIONS) {
        let quad = first_quad + i % quads;
        let value = vec4<f32>(results[4u * i], results[4u * i + 1u], results[4u * i + 2u], results[4u * i + 3u]);
        store(first + i / quads, quad, bias_of(quad) + value);
    }
}

@compute @workgroup_size(INVOCATIONS)
fn conv2d_16(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    // Tiles of the same pixels are neighbours.
    let tiles = (4u * params.quads_out + COLUMNS - 1u) / COLUMNS;
    let i = group.x + group.y * groups.x;
    let first = (i / tiles) * ROWS;
    let first_quad = (i % tiles) * (COLUMNS / 4u);
    // The same for the whole workgroup, so no barrier is missed.
    if (first >= params.num_pixels) {
        return;
    }
    prepare(first, place, INVOCATIONS);
    // This subgroup's quadrant.
    let row = (subgroup / 2u) * 32u;
    let column = (subgroup % 2u) * 32u;
    var c00 = coop_mat16x16<f32, C>(); var c01 = coop_mat16x16<f32, C>();
    var c10 = coop_mat16x16<f32, C>(); var c11 = coop_mat16x16<f32, C>();
    for (var round = 0u; round < rounds(); round++) {
        workgroupBarrier();
        stage(first, first_quad, round, place);
        workgroupBarrier();
//!include lib/matrix_16.wgsl
    }
//!include lib/matrix_16_end.wgsl
    store_all(first, first_quad, place);
}

@compute @workgroup_size(INVOCATIONS)
fn conv2d_8(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    // Tiles of the same pixels are neighbours.
    let tiles = (4u * params.quads_out + COLUMNS - 1u) / COLUMNS;
    let i = group.x + group.y * groups.x;
    let first = (i / tiles) * ROWS;
    let first_quad = (i % tiles) * (COLUMNS / 4u);
    // The same for the whole workgroup, so no barrier is missed.
    if (first >= params.num_pixels) {
        return;
    }
    prepare(first, place, INVOCATIONS);
    // This subgroup's quadrant.
    let row = (subgroup / 2u) * 32u;
    let column = (subgroup % 2u) * 32u;
    var c00 = coop_mat8x8<f32, C>(); var c01 = coop_mat8x8<f32, C>();
    var c02 = coop_mat8x8<f32, C>(); var c03 = coop_mat8x8<f32, C>();
    var c10 = coop_mat8x8<f32, C>(); var c11 = coop_mat8x8<f32, C>();
    var c12 = coop_mat8x8<f32, C>(); var c13 = coop_mat8x8<f32, C>();
    var c20 = coop_mat8x8<f32, C>(); var c21 = coop_mat8x8<f32, C>();
    var c22 = coop_mat8x8<f32, C>(); var c23 = coop_mat8x8<f32, C>();
    var c30 = coop_mat8x8<f32, C>(); var c31 = coop_mat8x8<f32, C>();
    var c32 = coop_mat8x8<f32, C>(); var c33 = coop_mat8x8<f32, C>();
    for (var round = 0u; round < rounds(); round++) {
        workgroupBarrier();
        stage(first, first_quad, round, place);
        workgroupBarrier();
//!include lib/matrix_8.wgsl
    }
//!include lib/matrix_8_end.wgsl
    store_all(first, first_quad, place);
}
