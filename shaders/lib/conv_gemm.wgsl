// Dense 2-D convolution as implicit GEMM in workgroup memory: formulas, Params and layouts of conv2d.wgsl.
// Rows are output pixels, the depth is (ky, kx, ci) flattened, so that few input channels waste no round; columns are output channels.
//!include lib/conv.wgsl
//!include lib/gemm.wgsl

//!include lib/conv_rows.wgsl

// Stages depth quads 4 * round and on.
fn stage(first: u32, first_quad: u32, round: u32, place: u32, invocations: u32) {
    let depth = params.kernel_h * params.kernel_w * params.quads_in;
    let r0 = right_quad(first_quad, round, place, depth);
    var r1 = r0; var r2 = r0; var r3 = r0;
    if (right_share() > 1u) {
        r1 = right_quad(first_quad, round, place + invocations, depth);
    }
    if (right_share() > 2u) {
        r2 = right_quad(first_quad, round, place + 2u * invocations, depth);
        r3 = right_quad(first_quad, round, place + 3u * invocations, depth);
    }
    // One block of four rows for each of the first ROWS invocations: there are as many or more.
    if (place < ROWS) {
        let k = round * STEP + place % STEP;
        let tap = k / params.quads_in;
        let q = k - tap * params.quads_in;
        let row = place / STEP * 4u;
        let real = k < depth;
        put_left(place / STEP, place % STEP, mat4x4<f32>(
            left_quad(first, row, k, tap, q, real),
            left_quad(first, row + 1u, k, tap, q, real),
            left_quad(first, row + 2u, k, tap, q, real),
            left_quad(first, row + 3u, k, tap, q, real),
        ));
    }
    right[place] = vec4<Staged>(r0);
    if (right_share() > 1u) {
        right[place + invocations] = vec4<Staged>(r1);
    }
    if (right_share() > 2u) {
        right[place + 2u * invocations] = vec4<Staged>(r2);
        right[place + 3u * invocations] = vec4<Staged>(r3);
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
    // Rows 0 to 3 of the square are those of quad local.y, 4 to 7 those of quad local.y + DOWN.
    let pixel = first + 4u * local.y;
    let later = pixel + 4u * DOWN;
    store(pixel, first_quad + near, c00); store(pixel, first_quad + far, c01);
    store(pixel + 1u, first_quad + near, c10); store(pixel + 1u, first_quad + far, c11);
    store(pixel + 2u, first_quad + near, c20); store(pixel + 2u, first_quad + far, c21);
    store(pixel + 3u, first_quad + near, c30); store(pixel + 3u, first_quad + far, c31);
    store(later, first_quad + near, c40); store(later, first_quad + far, c41);
    store(later + 1u, first_quad + near, c50); store(later + 1u, first_quad + far, c51);
    store(later + 2u, first_quad + near, c60); store(later + 2u, first_quad + far, c61);
    store(later + 3u, first_quad + near, c70); store(later + 3u, first_quad + far, c71);
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
    let pixel = first + 4u * local.y;
    let quad = first_quad + local.x;
    store(pixel, quad, c0); store(pixel + 1u, quad, c1);
    store(pixel + 2u, quad, c2); store(pixel + 3u, quad, c3);
}
