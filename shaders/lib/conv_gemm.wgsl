// Dense 2-D convolution as implicit GEMM in workgroup memory: formulas, Params and layouts of conv2d.wgsl.
// Rows are output pixels, the depth is (ky, kx, ci) flattened, so that few input channels waste no round; columns are output channels.
//!include lib/conv.wgsl
//!include lib/gemm.wgsl

//!include lib/conv_rows.wgsl

// Stages depth quads 4 * round and on. `invocations` is a multiple of STEP: an invocation's quad of the round is the same
// for all its rows, and so is the tap.
fn stage(first: u32, first_quad: u32, round: u32, place: u32, invocations: u32) {
    let depth = params.kernel_h * params.kernel_w * params.quads_in;
    let k = round * STEP + place % STEP;
    let tap = k / params.quads_in;
    for (var i = place; i < ROWS * STEP; i += invocations) {
        let row = i / STEP;
        let at = source_quad(first, row, k, tap, k - tap * params.quads_in);
        let real = (at >= 0) & (k < depth);
        // A select and not a product: beyond the end of the depth anything may lie.
        left[row * PITCH + place % STEP] = vec4<Staged>(select(vec4<f32>(0.0), x[max(at, 0)], real));
    }
    let quads = COLUMNS / 4u;
    for (var i = place; i < 4u * COLUMNS; i += invocations) {
        // Row of w: one input channel of one tap. Columns beyond the last repeat it and are not stored.
        let row = 4u * STEP * round + i / quads;
        let column = min(first_quad + i % quads, params.quads_out - 1u);
        let real = row < 4u * depth;
        right[i] = vec4<Staged>(select(vec4<f32>(0.0), w[select(0u, row * params.quads_out + column, real)], real));
    }
}

// Rounds over the whole depth: uniform, since barriers stand in their loop.
fn rounds() -> u32 {
    return (params.kernel_h * params.kernel_w * params.quads_in + STEP - 1u) / STEP;
}

@compute @workgroup_size(ACROSS, DOWN)
fn conv2d_8(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    // Tiles of the same pixels are neighbours, so their rows of x are still in the cache.
    let tiles = (4u * params.quads_out + COLUMNS - 1u) / COLUMNS;
    let i = tile_number(group, groups);
    let first = (i / tiles) * ROWS;
    let first_quad = (i % tiles) * (COLUMNS / 4u);
    // The same for the whole workgroup, so no barrier is missed.
    if (first >= params.num_pixels) {
        return;
    }
    // Its two quads of channels in the tile.
    let near = local.x;
    let far = local.x + ACROSS;
    let invocations = ACROSS * DOWN;
    prepare(first, place, invocations);
    // The bias is the sums' first term.
    let bias0 = bias_of(first_quad + near);
    let bias1 = bias_of(first_quad + far);
    var c00 = bias0; var c01 = bias1; var c10 = bias0; var c11 = bias1;
    var c20 = bias0; var c21 = bias1; var c30 = bias0; var c31 = bias1;
    var c40 = bias0; var c41 = bias1; var c50 = bias0; var c51 = bias1;
    var c60 = bias0; var c61 = bias1; var c70 = bias0; var c71 = bias1;
    for (var round = 0u; round < rounds(); round++) {
        // Nobody may still read the last round; this also parts `prepare` from its readers.
        workgroupBarrier();
        stage(first, first_quad, round, place, invocations);
        // Everything of the round is there.
        workgroupBarrier();
//!include lib/gemm_8.wgsl
    }
    // Rows of the square stand DOWN apart, as lib/gemm_8.wgsl read them.
    let pixel = first + local.y;
    let apart = DOWN;
    store(pixel, first_quad + near, c00); store(pixel, first_quad + far, c01);
    store(pixel + apart, first_quad + near, c10); store(pixel + apart, first_quad + far, c11);
    store(pixel + 2u * apart, first_quad + near, c20); store(pixel + 2u * apart, first_quad + far, c21);
    store(pixel + 3u * apart, first_quad + near, c30); store(pixel + 3u * apart, first_quad + far, c31);
    store(pixel + 4u * apart, first_quad + near, c40); store(pixel + 4u * apart, first_quad + far, c41);
    store(pixel + 5u * apart, first_quad + near, c50); store(pixel + 5u * apart, first_quad + far, c51);
    store(pixel + 6u * apart, first_quad + near, c60); store(pixel + 6u * apart, first_quad + far, c61);
    store(pixel + 7u * apart, first_quad + near, c70); store(pixel + 7u * apart, first_quad + far, c71);
}

@compute @workgroup_size(ACROSS, DOWN)
fn conv2d_4(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    let tiles = (4u * params.quads_out + COLUMNS - 1u) / COLUMNS;
    let i = tile_number(group, groups);
    let first = (i / tiles) * ROWS;
    let first_quad = (i % tiles) * (COLUMNS / 4u);
    // The same for the whole workgroup, so no barrier is missed.
    if (first >= params.num_pixels) {
        return;
    }
    let invocations = ACROSS * DOWN;
    prepare(first, place, invocations);
    let start = bias_of(first_quad + local.x);
    var c0 = start; var c1 = start; var c2 = start; var c3 = start;
    for (var round = 0u; round < rounds(); round++) {
        // The first barrier also parts `prepare` from its readers, and every round from the readers of the last one.
        workgroupBarrier();
        stage(first, first_quad, round, place, invocations);
        workgroupBarrier();
//!include lib/gemm_4.wgsl
    }
    let pixel = first + local.y;
    let quad = first_quad + local.x;
    store(pixel, quad, c0); store(pixel + DOWN, quad, c1);
    store(pixel + 2u * DOWN, quad, c2); store(pixel + 3u * DOWN, quad, c3);
}
