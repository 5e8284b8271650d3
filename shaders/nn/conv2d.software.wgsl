// Dense 2-D convolution for software adapters with subgroups of 8: the formulas and layouts of conv2d.wgsl.
//
// There, 8 invocations are the lanes of one vector register and every load is a branch per lane, so each float is loaded
// once per subgroup and spread by broadcast. One subgroup per workgroup, no workgroup memory, no barrier. Tile: 32 pixels
// x 32 output channels; a lane owns 4 channels (one vec4 column) of all 32 pixels. Per 4 input channels a lane loads 4
// vec4 of x (pixels lane, lane+8, ...) and 4 of w: 8 loads feed 1024 multiply-adds per lane.
// Measured on lavapipe (Mesa 22.3): 17 to 22 GFLOP/s per core against 8 to 9 for the register tile of conv2d.wgsl.
//!include lib/conv.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> dy: array<vec4<f32>>;

//!include lib/conv_source.wgsl

@compute @workgroup_size(8)
fn conv2d(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    // One subgroup is one tile; groups beyond 65,535 are folded into y.
    let i = group.x + group.y * groups.x;
    let tiles = (params.quads_out + 7u) / 8u;
    // Tiles of the same 32 pixels are neighbours, so their rows of x are still in the cache.
    let first = (i / tiles) * 32u;
    if (first >= params.num_pixels) {
        return;
    }
    let column = (i % tiles) * 8u + lane;
    // Lanes beyond the last column keep working on it: every lane must take part in the broadcasts.
    let safe = min(column, params.quads_out - 1u);
    // Pixels beyond the end repeat the last one and are not stored.
    let o0 = pixel_origin(min(first + lane + 0u, params.num_pixels - 1u));
    let o1 = pixel_origin(min(first + lane + 8u, params.num_pixels - 1u));
    let o2 = pixel_origin(min(first + lane + 16u, params.num_pixels - 1u));
    let o3 = pixel_origin(min(first + lane + 24u, params.num_pixels - 1u));
    // The bias is the sums' first term, which saves a pass over y.
    let start = select(vec4<f32>(0.0), bias[safe], params.has_bias == 1u);
    // c[p] is this lane's vec4 of output channels of pixel first + p: 32 registers, named because an array
    // indexed by a variable would live in memory.
    var c0 = start; var c1 = start; var c2 = start; var c3 = start;
    var c4 = start; var c5 = start; var c6 = start; var c7 = start;
    var c8 = start; var c9 = start; var c10 = start; var c11 = start;
    var c12 = start; var c13 = start; var c14 = start; var c15 = start;
    var c16 = start; var c17 = start; var c18 = start; var c19 = start;
    var c20 = start; var c21 = start; var c22 = start; var c23 = start;
    var c24 = start; var c25 = start; var c26 = start; var c27 = start;
    var c28 = start; var c29 = start; var c30 = start; var c31 = start;
    for (var ky = 0u; ky < params.kernel_h; ky++) {
        for (var kx = 0u; kx < params.kernel_w; kx++) {
            // A tap outside the image reads vec4 0 and is multiplied by 0: a branch would part the lanes before a
            // broadcast.
            let s0 = source(o0, ky, kx); let m0 = select(0.0, 1.0, s0 >= 0); var a0 = u32(max(s0, 0));
            let s1 = source(o1, ky, kx); let m1 = select(0.0, 1.0, s1 >= 0); var a1 = u32(max(s1, 0));
            let s2 = source(o2, ky, kx); let m2 = select(0.0, 1.0, s2 >= 0); var a2 = u32(max(s2, 0));
            let s3 = source(o3, ky, kx); let m3 = select(0.0, 1.0, s3 >= 0); var a3 = u32(max(s3, 0));
            // Row of w: four input channels of this tap, each one row of quads_out vec4s.
            var row = ((ky * params.kernel_w + kx) * 4u * params.quads_in) * params.quads_out + safe;
            for (var q = 0u; q < params.quads_in; q++) {
                // w[i] belongs to input channel 4 q + i, in this lane's output channels.
                let w0 = w[row];
                let w1 = w[row + params.quads_out];
                let w2 = w[row + 2u * params.quads_out];
                let w3 = w[row + 3u * params.quads_out];
                row += 4u * params.quads_out;
                // Lane l holds pixels l, l + 8, l + 16, l + 24 of the tile; x[j] of lane l is pixel 8 j + l.
                let x0 = m0 * x[a0]; a0 += 1u; let x1 = m1 * x[a1]; a1 += 1u;
                let x2 = m2 * x[a2]; a2 += 1u; let x3 = m3 * x[a3]; a3 += 1u;
                // y[p] += x[p][4 q + i] * w[4 q + i]: pixel 8 j + l comes from lane l of x[j].
                c0 += subgroupBroadcast(x0.x, 0u) * w0; c0 += subgroupBroadcast(x0.y, 0u) * w1;
                c0 += subgroupBroadcast(x0.z, 0u) * w2; c0 += subgroupBroadcast(x0.w, 0u) * w3;
                c1 += subgroupBroadcast(x0.x, 1u) * w0; c1 += subgroupBroadcast(x0.y, 1u) * w1;
                c1 += subgroupBroadcast(x0.z, 1u) * w2; c1 += subgroupBroadcast(x0.w, 1u) * w3;
                c2 += subgroupBroadcast(x0.x, 2u) * w0; c2 += subgroupBroadcast(x0.y, 2u) * w1;
                c2 += subgroupBroadcast(x0.z, 2u) * w2; c2 += subgroupBroadcast(x0.w, 2u) * w3;
                c3 += subgroupBroadcast(x0.x, 3u) * w0; c3 += subgroupBroadcast(x0.y, 3u) * w1;
                c3 += subgroupBroadcast(x0.z, 3u) * w2; c3 += subgroupBroadcast(x0.w, 3u) * w3;
                c4 += subgroupBroadcast(x0.x, 4u) * w0; c4 += subgroupBroadcast(x0.y, 4u) * w1;
                c4 += subgroupBroadcast(x0.z, 4u) * w2; c4 += subgroupBroadcast(x0.w, 4u) * w3;
                c5 += subgroupBroadcast(x0.x, 5u) * w0; c5 += subgroupBroadcast(x0.y, 5u) * w1;
                c5 += subgroupBroadcast(x0.z, 5u) * w2; c5 += subgroupBroadcast(x0.w, 5u) * w3;
                c6 += subgroupBroadcast(x0.x, 6u) * w0; c6 += subgroupBroadcast(x0.y, 6u) * w1;
                c6 += subgroupBroadcast(x0.z, 6u) * w2; c6 += subgroupBroadcast(x0.w, 6u) * w3;
                c7 += subgroupBroadcast(x0.x, 7u) * w0; c7 += subgroupBroadcast(x0.y, 7u) * w1;
                c7 += subgroupBroadcast(x0.z, 7u) * w2; c7 += subgroupBroadcast(x0.w, 7u) * w3;
                c8 += subgroupBroadcast(x1.x, 0u) * w0; c8 += subgroupBroadcast(x1.y, 0u) * w1;
                c8 += subgroupBroadcast(x1.z, 0u) * w2; c8 += subgroupBroadcast(x1.w, 0u) * w3;
                c9 += subgroupBroadcast(x1.x, 1u) * w0; c9 += subgroupBroadcast(x1.y, 1u) * w1;
                c9 += subgroupBroadcast(x1.z, 1u) * w2; c9 += subgroupBroadcast(x1.w, 1u) * w3;
                c10 += subgroupBroadcast(x1.x, 2u) * w0; c10 += subgroupBroadcast(x1.y, 2u) * w1;
                c10 += subgroupBroadcast(x1.z, 2u) * w2; c10 += subgroupBroadcast(x1.w, 2u) * w3;
                c11 += subgroupBroadcast(x1.x, 3u) * w0; c11 += subgroupBroadcast(x1.y, 3u) * w1;
                c11 += subgroupBroadcast(x1.z, 3u) * w2; c11 += subgroupBroadcast(x1.w, 3u) * w3;
                c12 += subgroupBroadcast(x1.x, 4u) * w0; c12 += subgroupBroadcast(x1.y, 4u) * w1;
                c12 += subgroupBroadcast(x1.z, 4u) * w2; c12 += subgroupBroadcast(x1.w, 4u) * w3;
                c13 += subgroupBroadcast(x1.x, 5u) * w0; c13 += subgroupBroadcast(x1.y, 5u) * w1;
                c13 += subgroupBroadcast(x1.z, 5u) * w2; c13 += subgroupBroadcast(x1.w, 5u) * w3;
                c14 += subgroupBroadcast(x1.x, 6u) * w0; c14 += subgroupBroadcast(x1.y, 6u) * w1;
                c14 += subgroupBroadcast(x1.z, 6u) * w2; c14 += subgroupBroadcast(x1.w, 6u) * w3;
                c15 += subgroupBroadcast(x1.x, 7u) * w0; c15 += subgroupBroadcast(x1.y, 7u) * w1;
                c15 += subgroupBroadcast(x1.z, 7u) * w2; c15 += subgroupBroadcast(x1.w, 7u) * w3;
                c16 += subgroupBroadcast(x2.x, 0u) * w0; c16 += subgroupBroadcast(x2.y, 0u) * w1;
                c16 += subgroupBroadcast(x2.z, 0u) * w2; c16 += subgroupBroadcast(x2.w, 0u) * w3;
                c17 += subgroupBroadcast(x2.x, 1u) * w0; c17 += subgroupBroadcast(x2.y, 1u) * w1;
                c17 += subgroupBroadcast(x2.z, 1u) * w2; c17 += subgroupBroadcast(x2.w, 1u) * w3;
                c18 += subgroupBroadcast(x2.x, 2u) * w0; c18 += subgroupBroadcast(x2.y, 2u) * w1;
                c18 += subgroupBroadcast(x2.z, 2u) * w2; c18 += subgroupBroadcast(x2.w, 2u) * w3;
                c19 += subgroupBroadcast(x2.x, 3u) * w0; c19 += subgroupBroadcast(x2.y, 3u) * w1;
                c19 += subgroupBroadcast(x2.z, 3u) * w2; c19 += subgroupBroadcast(x2.w, 3u) * w3;
                c20 += subgroupBroadcast(x2.x, 4u) * w0; c20 += subgroupBroadcast(x2.y, 4u) * w1;
                c20 += subgroupBroadcast(x2.z, 4u) * w2; c20 += subgroupBroadcast(x2.w, 4u) * w3;
                c21 += subgroupBroadcast(x2.x, 5u) * w0; c21 += subgroupBroadcast(x2.y, 5u) * w1;
                c21 += subgroupBroadcast(x2.z, 5u) * w2; c21 += subgroupBroadcast(x2.w, 5u) * w3;
                c22 += subgroupBroadcast(x2.x, 6u) * w0; c22 += subgroupBroadcast(x2.y, 6u) * w1;
                c22 += subgroupBroadcast(x2.z, 6u) * w2; c22 += subgroupBroadcast(x2.w, 6u) * w3;
                c23 += subgroupBroadcast(x2.x, 7u) * w0; c23 += subgroupBroadcast(x2.y, 7u) * w1;
                c23 += subgroupBroadcast(x2.z, 7u) * w2; c23 += subgroupBroadcast(x2.w, 7u) * w3;
                c24 += subgroupBroadcast(x3.x, 0u) * w0; c24 += subgroupBroadcast(x3.y, 0u) * w1;
                c24 += subgroupBroadcast(x3.z, 0u) * w2; c24 += subgroupBroadcast(x3.w, 0u) * w3;
                c25 += subgroupBroadcast(x3.x, 1u) * w0; c25 += subgroupBroadcast(x3.y, 1u) * w1;
                c25 += subgroupBroadcast(x3.z, 1u) * w2; c25 += subgroupBroadcast(x3.w, 1u) * w3;
                c26 += subgroupBroadcast(x3.x, 2u) * w0; c26 += subgroupBroadcast(x3.y, 2u) * w1;
                c26 += subgroupBroadcast(x3.z, 2u) * w2; c26 += subgroupBroadcast(x3.w, 2u) * w3;
                c27 += subgroupBroadcast(x3.x, 3u) * w0; c27 += subgroupBroadcast(x3.y, 3u) * w1;
                c27 += subgroupBroadcast(x3.z, 3u) * w2; c27 += subgroupBroadcast(x3.w, 3u) * w3;
                c28 += subgroupBroadcast(x3.x, 4u) * w0; c28 += subgroupBroadcast(x3.y, 4u) * w1;
                c28 += subgroupBroadcast(x3.z, 4u) * w2; c28 += subgroupBroadcast(x3.w, 4u) * w3;
                c29 += subgroupBroadcast(x3.x, 5u) * w0; c29 += subgroupBroadcast(x3.y, 5u) * w1;
                c29 += subgroupBroadcast(x3.z, 5u) * w2; c29 += subgroupBroadcast(x3.w, 5u) * w3;
                c30 += subgroupBroadcast(x3.x, 6u) * w0; c30 += subgroupBroadcast(x3.y, 6u) * w1;
                c30 += subgroupBroadcast(x3.z, 6u) * w2; c30 += subgroupBroadcast(x3.w, 6u) * w3;
                c31 += subgroupBroadcast(x3.x, 7u) * w0; c31 += subgroupBroadcast(x3.y, 7u) * w1;
                c31 += subgroupBroadcast(x3.z, 7u) * w2; c31 += subgroupBroadcast(x3.w, 7u) * w3;
            }
        }
    }
    // Only now may lanes leave: no broadcast follows.
    if (column >= params.quads_out) {
        return;
    }
    // Real pixels of this tile, counted from its first.
    let left = params.num_pixels - first;
    let at = first * params.quads_out + column;
    if (left > 0u) { y[at + 0u * params.quads_out] = c0; } if (left > 1u) { y[at + 1u * params.quads_out] = c1; }
    if (left > 2u) { y[at + 2u * params.quads_out] = c2; } if (left > 3u) { y[at + 3u * params.quads_out] = c3; }
    if (left > 4u) { y[at + 4u * params.quads_out] = c4; } if (left > 5u) { y[at + 5u * params.quads_out] = c5; }
    if (left > 6u) { y[at + 6u * params.quads_out] = c6; } if (left > 7u) { y[at + 7u * params.quads_out] = c7; }
    if (left > 8u) { y[at + 8u * params.quads_out] = c8; } if (left > 9u) { y[at + 9u * params.quads_out] = c9; }
    if (left > 10u) { y[at + 10u * params.quads_out] = c10; } if (left > 11u) { y[at + 11u * params.quads_out] = c11; }
    if (left > 12u) { y[at + 12u * params.quads_out] = c12; } if (left > 13u) { y[at + 13u * params.quads_out] = c13; }
    if (left > 14u) { y[at + 14u * params.quads_out] = c14; } if (left > 15u) { y[at + 15u * params.quads_out] = c15; }
    if (left > 16u) { y[at + 16u * params.quads_out] = c16; } if (left > 17u) { y[at + 17u * params.quads_out] = c17; }
    if (left > 18u) { y[at + 18u * params.quads_out] = c18; } if (left > 19u) { y[at + 19u * params.quads_out] = c19; }
    if (left > 20u) { y[at + 20u * params.quads_out] = c20; } if (left > 21u) { y[at + 21u * params.quads_out] = c21; }
    if (left > 22u) { y[at + 22u * params.quads_out] = c22; } if (left > 23u) { y[at + 23u * params.quads_out] = c23; }
    if (left > 24u) { y[at + 24u * params.quads_out] = c24; } if (left > 25u) { y[at + 25u * params.quads_out] = c25; }
    if (left > 26u) { y[at + 26u * params.quads_out] = c26; } if (left > 27u) { y[at + 27u * params.quads_out] = c27; }
    if (left > 28u) { y[at + 28u * params.quads_out] = c28; } if (left > 29u) { y[at + 29u * params.quads_out] = c29; }
    if (left > 30u) { y[at + 30u * params.quads_out] = c30; } if (left > 31u) { y[at + 31u * params.quads_out] = c31; }
}

// Gradient of the weights, tile 32 input x 32 output channels: lane l loads input quad l and output quad l of a pixel, two
// loads for 128 multiply-adds per lane.
@compute @workgroup_size(8)
fn conv2d_dw(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    // Order of the tiles: output columns, input rows, taps, splits; neighbours share the rows of x.
    let i = group.x + group.y * groups.x;
    let tiles_out = (params.quads_out + 7u) / 8u;
    let tiles_in = (params.quads_in + 7u) / 8u;
    let column = (i % tiles_out) * 8u + lane;
    let row = ((i / tiles_out) % tiles_in) * 8u;
    let rest = i / (tiles_out * tiles_in);
    let taps = params.kernel_h * params.kernel_w;
    // One tap of the kernel per tile, so that all its lanes read one source pixel.
    let tap = rest % taps;
    let split = rest / taps;
    if (split >= params.num_splits) {
        return;
    }
    // Lanes beyond the last quad repeat it: all must take part in the broadcasts.
    let safe_column = min(column, params.quads_out - 1u);
    let safe_row = min(row + lane, params.quads_in - 1u);
    // c[i] is the gradient of input channel 4 row + i with this lane's four output channels.
    var c0 = vec4<f32>(0.0); var c1 = vec4<f32>(0.0); var c2 = vec4<f32>(0.0); var c3 = vec4<f32>(0.0);
    var c4 = vec4<f32>(0.0); var c5 = vec4<f32>(0.0); var c6 = vec4<f32>(0.0); var c7 = vec4<f32>(0.0);
    var c8 = vec4<f32>(0.0); var c9 = vec4<f32>(0.0); var c10 = vec4<f32>(0.0); var c11 = vec4<f32>(0.0);
    var c12 = vec4<f32>(0.0); var c13 = vec4<f32>(0.0); var c14 = vec4<f32>(0.0); var c15 = vec4<f32>(0.0);
    var c16 = vec4<f32>(0.0); var c17 = vec4<f32>(0.0); var c18 = vec4<f32>(0.0); var c19 = vec4<f32>(0.0);
    var c20 = vec4<f32>(0.0); var c21 = vec4<f32>(0.0); var c22 = vec4<f32>(0.0); var c23 = vec4<f32>(0.0);
    var c24 = vec4<f32>(0.0); var c25 = vec4<f32>(0.0); var c26 = vec4<f32>(0.0); var c27 = vec4<f32>(0.0);
    var c28 = vec4<f32>(0.0); var c29 = vec4<f32>(0.0); var c30 = vec4<f32>(0.0); var c31 = vec4<f32>(0.0);
    // A split is a rectangle of output pixels; sum_splits adds the splits in order.
    let area = split_area(split);
    let first_column = tap_column(tap);
    for (var line = area.x; line < area.y; line++) {
        let source_row = line_row(line, tap);
        for (var ow = area.z; ow < area.w; ow++) {
            // The same for all lanes: one pixel, one tap.
            let s = row_pixel(source_row, first_column + i32(ow * params.stride));
            // A mask and not a branch: a source pixel outside the image adds zeros.
            let mask = select(0.0, 1.0, s >= 0);
            let xs = mask * x[u32(max(s, 0)) + safe_row];
            let d = dy[(line * params.out_w + ow) * params.quads_out + safe_column];
            // dw[ci][co] += x[ci] * dy[co]; input channel 4 l + i is component i of lane l.
            c0 += subgroupBroadcast(xs.x, 0u) * d; c1 += subgroupBroadcast(xs.y, 0u) * d;
            c2 += subgroupBroadcast(xs.z, 0u) * d; c3 += subgroupBroadcast(xs.w, 0u) * d;
            c4 += subgroupBroadcast(xs.x, 1u) * d; c5 += subgroupBroadcast(xs.y, 1u) * d;
            c6 += subgroupBroadcast(xs.z, 1u) * d; c7 += subgroupBroadcast(xs.w, 1u) * d;
            c8 += subgroupBroadcast(xs.x, 2u) * d; c9 += subgroupBroadcast(xs.y, 2u) * d;
            c10 += subgroupBroadcast(xs.z, 2u) * d; c11 += subgroupBroadcast(xs.w, 2u) * d;
            c12 += subgroupBroadcast(xs.x, 3u) * d; c13 += subgroupBroadcast(xs.y, 3u) * d;
            c14 += subgroupBroadcast(xs.z, 3u) * d; c15 += subgroupBroadcast(xs.w, 3u) * d;
            c16 += subgroupBroadcast(xs.x, 4u) * d; c17 += subgroupBroadcast(xs.y, 4u) * d;
            c18 += subgroupBroadcast(xs.z, 4u) * d; c19 += subgroupBroadcast(xs.w, 4u) * d;
            c20 += subgroupBroadcast(xs.x, 5u) * d; c21 += subgroupBroadcast(xs.y, 5u) * d;
            c22 += subgroupBroadcast(xs.z, 5u) * d; c23 += subgroupBroadcast(xs.w, 5u) * d;
            c24 += subgroupBroadcast(xs.x, 6u) * d; c25 += subgroupBroadcast(xs.y, 6u) * d;
            c26 += subgroupBroadcast(xs.z, 6u) * d; c27 += subgroupBroadcast(xs.w, 6u) * d;
            c28 += subgroupBroadcast(xs.x, 7u) * d; c29 += subgroupBroadcast(xs.y, 7u) * d;
            c30 += subgroupBroadcast(xs.z, 7u) * d; c31 += subgroupBroadcast(xs.w, 7u) * d;
        }
    }
    if (column >= params.quads_out) {
        return;
    }
    // Input channels from this tile's first on, padding included: their gradients are sums of zeros.
    let left = 4u * (params.quads_in - row);
    // y is [splits][taps][4 * quads_in][quads_out].
    let at = ((split * taps + tap) * 4u * params.quads_in + 4u * row) * params.quads_out + column;
    if (left > 0u) { y[at + 0u * params.quads_out] = c0; } if (left > 1u) { y[at + 1u * params.quads_out] = c1; }
    if (left > 2u) { y[at + 2u * params.quads_out] = c2; } if (left > 3u) { y[at + 3u * params.quads_out] = c3; }
    if (left > 4u) { y[at + 4u * params.quads_out] = c4; } if (left > 5u) { y[at + 5u * params.quads_out] = c5; }
    if (left > 6u) { y[at + 6u * params.quads_out] = c6; } if (left > 7u) { y[at + 7u * params.quads_out] = c7; }
    if (left > 8u) { y[at + 8u * params.quads_out] = c8; } if (left > 9u) { y[at + 9u * params.quads_out] = c9; }
    if (left > 10u) { y[at + 10u * params.quads_out] = c10; } if (left > 11u) { y[at + 11u * params.quads_out] = c11; }
    if (left > 12u) { y[at + 12u * params.quads_out] = c12; } if (left > 13u) { y[at + 13u * params.quads_out] = c13; }
    if (left > 14u) { y[at + 14u * params.quads_out] = c14; } if (left > 15u) { y[at + 15u * params.quads_out] = c15; }
    if (left > 16u) { y[at + 16u * params.quads_out] = c16; } if (left > 17u) { y[at + 17u * params.quads_out] = c17; }
    if (left > 18u) { y[at + 18u * params.quads_out] = c18; } if (left > 19u) { y[at + 19u * params.quads_out] = c19; }
    if (left > 20u) { y[at + 20u * params.quads_out] = c20; } if (left > 21u) { y[at + 21u * params.quads_out] = c21; }
    if (left > 22u) { y[at + 22u * params.quads_out] = c22; } if (left > 23u) { y[at + 23u * params.quads_out] = c23; }
    if (left > 24u) { y[at + 24u * params.quads_out] = c24; } if (left > 25u) { y[at + 25u * params.quads_out] = c25; }
    if (left > 26u) { y[at + 26u * params.quads_out] = c26; } if (left > 27u) { y[at + 27u * params.quads_out] = c27; }
    if (left > 28u) { y[at + 28u * params.quads_out] = c28; } if (left > 29u) { y[at + 29u * params.quads_out] = c29; }
    if (left > 30u) { y[at + 30u * params.quads_out] = c30; } if (left > 31u) { y[at + 31u * params.quads_out] = c31; }
}
