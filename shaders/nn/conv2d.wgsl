// Dense 2-D convolution as implicit GEMM: y[b,oh,ow,:] = bias + sum_{ky,kx,ci} x[b,sy,sx,ci] * w[ky,kx,ci,:].
//
// Source position: s = (o * stride + k * dilation - pad) / fraction, counted only where the division is exact and the result lies
// in the image. fraction = 1 is the forward pass; the gradient with respect to x is the same kernel with stride 1,
// fraction = the forward stride and the weights of entry `flip`.
//
// Layout: NHWC, channels in vec4s; w [kh][kw][4*quads_in][quads_out], its rows beyond the true input channels hold zeros.
// Tile: 8 consecutive output pixels x 8 output channels per invocation in registers, no workgroup memory and no barrier:
// per 4 input channels 16 vec4 loads feed 256 multiply-adds. Neighbouring invocations take neighbouring channels.
// Iterations: kh * kw * quads_in (conv2d), the pixels of one split (conv2d_dw), the number of splits (sum_splits).
//!include lib/index.wgsl
//!include lib/conv.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> dy: array<vec4<f32>>;

alias Element = vec4<f32>;

//!include lib/conv_source.wgsl
//!include lib/epilogue.wgsl

@compute @workgroup_size(64)
fn conv2d(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let tiles = (params.quads_out + 1u) / 2u;
    // Invocations of the same 8 pixels are neighbours: they read the same x and adjacent columns of w.
    let first = (i / tiles) * 8u;
    if (first >= params.num_pixels) {
        return;
    }
    let column = (i % tiles) * 2u;
    // With an odd number of quads the second column of the last tile repeats the first and is not stored.
    let beside = select(0u, 1u, column + 1u < params.quads_out);
    // Pixels beyond the end repeat the last one and are not stored.
    let o0 = pixel_origin(min(first + 0u, params.num_pixels - 1u));
    let o1 = pixel_origin(min(first + 1u, params.num_pixels - 1u));
    let o2 = pixel_origin(min(first + 2u, params.num_pixels - 1u));
    let o3 = pixel_origin(min(first + 3u, params.num_pixels - 1u));
    let o4 = pixel_origin(min(first + 4u, params.num_pixels - 1u));
    let o5 = pixel_origin(min(first + 5u, params.num_pixels - 1u));
    let o6 = pixel_origin(min(first + 6u, params.num_pixels - 1u));
    let o7 = pixel_origin(min(first + 7u, params.num_pixels - 1u));
    // The bias is the sums' first term, which saves a pass over y.
    let bias0 = select(vec4<f32>(0.0), bias[column], params.has_bias == 1u);
    let bias1 = select(vec4<f32>(0.0), bias[column + beside], params.has_bias == 1u);
    // c[p][h]: pixel first + p, output column column + h. Named registers: an array indexed by a variable
    // would live in memory.
    var c00 = bias0; var c01 = bias1; var c10 = bias0; var c11 = bias1;
    var c20 = bias0; var c21 = bias1; var c30 = bias0; var c31 = bias1;
    var c40 = bias0; var c41 = bias1; var c50 = bias0; var c51 = bias1;
    var c60 = bias0; var c61 = bias1; var c70 = bias0; var c71 = bias1;
    for (var ky = 0u; ky < params.kernel_h; ky++) {
        for (var kx = 0u; kx < params.kernel_w; kx++) {
            // s < 0: the tap lies outside the image. Then vec4 0 is read and multiplied by 0, which costs less
            // than a branch in the inner loop.
            let s0 = source(o0, ky, kx); let m0 = select(0.0, 1.0, s0 >= 0); let a0 = u32(max(s0, 0));
            let s1 = source(o1, ky, kx); let m1 = select(0.0, 1.0, s1 >= 0); let a1 = u32(max(s1, 0));
            let s2 = source(o2, ky, kx); let m2 = select(0.0, 1.0, s2 >= 0); let a2 = u32(max(s2, 0));
            let s3 = source(o3, ky, kx); let m3 = select(0.0, 1.0, s3 >= 0); let a3 = u32(max(s3, 0));
            let s4 = source(o4, ky, kx); let m4 = select(0.0, 1.0, s4 >= 0); let a4 = u32(max(s4, 0));
            let s5 = source(o5, ky, kx); let m5 = select(0.0, 1.0, s5 >= 0); let a5 = u32(max(s5, 0));
            let s6 = source(o6, ky, kx); let m6 = select(0.0, 1.0, s6 >= 0); let a6 = u32(max(s6, 0));
            let s7 = source(o7, ky, kx); let m7 = select(0.0, 1.0, s7 >= 0); let a7 = u32(max(s7, 0));
            // Row of w: four input channels of this tap, each one row of quads_out vec4s.
            var row = ((ky * params.kernel_w + kx) * 4u * params.quads_in) * params.quads_out + column;
            for (var q = 0u; q < params.quads_in; q++) {
                // w[i][h]: input channel 4 q + i, output column column + h.
                let w00 = w[row]; let w01 = w[row + beside]; row += params.quads_out;
                let w10 = w[row]; let w11 = w[row + beside]; row += params.quads_out;
                let w20 = w[row]; let w21 = w[row + beside]; row += params.quads_out;
                let w30 = w[row]; let w31 = w[row + beside]; row += params.quads_out;
                // Each x is loaded once for 8 output channels, each w once for 8 pixels: 16 loads for 64 multiply-adds
                // of vec4s.
                let x0 = m0 * x[a0 + q];
                c00 += x0.x * w00 + x0.y * w10 + x0.z * w20 + x0.w * w30;
                c01 += x0.x * w01 + x0.y * w11 + x0.z * w21 + x0.w * w31;
                let x1 = m1 * x[a1 + q];
                c10 += x1.x * w00 + x1.y * w10 + x1.z * w20 + x1.w * w30;
                c11 += x1.x * w01 + x1.y * w11 + x1.z * w21 + x1.w * w31;
                let x2 = m2 * x[a2 + q];
                c20 += x2.x * w00 + x2.y * w10 + x2.z * w20 + x2.w * w30;
                c21 += x2.x * w01 + x2.y * w11 + x2.z * w21 + x2.w * w31;
                let x3 = m3 * x[a3 + q];
                c30 += x3.x * w00 + x3.y * w10 + x3.z * w20 + x3.w * w30;
                c31 += x3.x * w01 + x3.y * w11 + x3.z * w21 + x3.w * w31;
                let x4 = m4 * x[a4 + q];
                c40 += x4.x * w00 + x4.y * w10 + x4.z * w20 + x4.w * w30;
                c41 += x4.x * w01 + x4.y * w11 + x4.z * w21 + x4.w * w31;
                let x5 = m5 * x[a5 + q];
                c50 += x5.x * w00 + x5.y * w10 + x5.z * w20 + x5.w * w30;
                c51 += x5.x * w01 + x5.y * w11 + x5.z * w21 + x5.w * w31;
                let x6 = m6 * x[a6 + q];
                c60 += x6.x * w00 + x6.y * w10 + x6.z * w20 + x6.w * w30;
                c61 += x6.x * w01 + x6.y * w11 + x6.z * w21 + x6.w * w31;
                let x7 = m7 * x[a7 + q];
                c70 += x7.x * w00 + x7.y * w10 + x7.z * w20 + x7.w * w30;
                c71 += x7.x * w01 + x7.y * w11 + x7.z * w21 + x7.w * w31;
            }
        }
    }
    let at = first * params.quads_out + column;
    let left = params.num_pixels - first;
    store(left, at, 0u, beside, c00, c01); store(left, at, 1u, beside, c10, c11);
    store(left, at, 2u, beside, c20, c21); store(left, at, 3u, beside, c30, c31);
    store(left, at, 4u, beside, c40, c41); store(left, at, 5u, beside, c50, c51);
    store(left, at, 6u, beside, c60, c61); store(left, at, 7u, beside, c70, c71);
}

// Stores the two columns of pixel number p of a tile, if it is one of its `left` real ones; `beside` is 1 where the
// second column is real.
fn store(left: u32, at: u32, p: u32, beside: u32, sum0: vec4<f32>, sum1: vec4<f32>) {
    if (left > p) {
        let to = at + p * params.quads_out;
        y[to] = finished(sum0, to);
        if (beside == 1u) {
            y[to + 1u] = finished(sum1, to + 1u);
        }
    }
}

// w'[kh-1-ky][kw-1-kx][co][ci] = w[ky][kx][ci][co], by blocks of 4 x 4: the weights that carry dy back to dx.
// Here quads_in and quads_out are those of the forward pass.
@compute @workgroup_size(64)
fn flip(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let taps = params.kernel_h * params.kernel_w;
    if (i >= taps * params.quads_in * params.quads_out) {
        return;
    }
    // One 4 x 4 block: input quad qi, output quad qo of one tap.
    let qo = i % params.quads_out;
    let qi = (i / params.quads_out) % params.quads_in;
    let tap = i / (params.quads_out * params.quads_in);
    let from_row = (tap * 4u * params.quads_in + 4u * qi) * params.quads_out + qo;
    let block = transpose(mat4x4<f32>(
        w[from_row],
        w[from_row + params.quads_out],
        w[from_row + 2u * params.quads_out],
        w[from_row + 3u * params.quads_out],
    ));
    // Taps in reverse order, rows and columns of the block exchanged.
    let to_row = ((taps - 1u - tap) * 4u * params.quads_out + 4u * qo) * params.quads_in + qi;
    y[to_row] = block[0];
    y[to_row + params.quads_in] = block[1];
    y[to_row + 2u * params.quads_in] = block[2];
    y[to_row + 3u * params.quads_in] = block[3];
}

// dw[ky,kx,ci,co] = sum over output pixels of x[source, ci] * dy[pixel, co], in splits of `split_rows` image rows by
// `split_columns` pixels; y is [splits][weights]. Tile: 8 input x 8 output channels per invocation.
@compute @workgroup_size(64)
fn conv2d_dw(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let tiles_out = (params.quads_out + 1u) / 2u;
    let tiles_in = (params.quads_in + 1u) / 2u;
    let column = (i % tiles_out) * 2u;
    let row = ((i / tiles_out) % tiles_in) * 2u;
    // Order of the invocations: output columns, input rows, taps, splits.
    let rest = i / (tiles_out * tiles_in);
    let taps = params.kernel_h * params.kernel_w;
    let tap = rest % taps;
    let split = rest / taps;
    if (split >= params.num_splits) {
        return;
    }
    let beside = select(0u, 1u, column + 1u < params.quads_out);
    // 0 where the tile has one input quad only: then the second reading repeats the first and is not
    // stored.
    let below = select(0u, 1u, row + 1u < params.quads_in);
    // c[i][h]: input channel 4 row + i, output column column + h.
    var c00 = vec4<f32>(0.0); var c01 = vec4<f32>(0.0); var c10 = vec4<f32>(0.0); var c11 = vec4<f32>(0.0);
    var c20 = vec4<f32>(0.0); var c21 = vec4<f32>(0.0); var c30 = vec4<f32>(0.0); var c31 = vec4<f32>(0.0);
    var c40 = vec4<f32>(0.0); var c41 = vec4<f32>(0.0); var c50 = vec4<f32>(0.0); var c51 = vec4<f32>(0.0);
    var c60 = vec4<f32>(0.0); var c61 = vec4<f32>(0.0); var c70 = vec4<f32>(0.0); var c71 = vec4<f32>(0.0);
    // Partial results over one rectangle of output pixels each, kept apart so that their sum has a fixed
    // order.
    let area = split_area(split);
    let first_column = tap_column(tap);
    for (var line = area.x; line < area.y; line++) {
        let source_row = line_row(line, tap);
        for (var ow = area.z; ow < area.w; ow++) {
            let s = row_pixel(source_row, first_column + i32(ow * params.stride));
            // The same for the whole tile, so the branch is cheap; it saves the work of taps in the border.
            if (s >= 0) {
                let from_x = u32(s) + row;
                let from_dy = (line * params.out_w + ow) * params.quads_out + column;
                // Four loads for 16 multiply-adds of vec4s: dw[ci][co] += x[ci] * dy[co].
                let d0 = dy[from_dy];
                let d1 = dy[from_dy + beside];
                let x0 = x[from_x];
                let x1 = x[from_x + below];
                c00 += x0.x * d0; c01 += x0.x * d1; c10 += x0.y * d0; c11 += x0.y * d1;
                c20 += x0.z * d0; c21 += x0.z * d1; c30 += x0.w * d0; c31 += x0.w * d1;
                c40 += x1.x * d0; c41 += x1.x * d1; c50 += x1.y * d0; c51 += x1.y * d1;
                c60 += x1.z * d0; c61 += x1.z * d1; c70 += x1.w * d0; c71 += x1.w * d1;
            }
        }
    }
    // y is [splits][taps][4 * quads_in][quads_out].
    var at = ((split * taps + tap) * 4u * params.quads_in + 4u * row) * params.quads_out + column;
    y[at] = c00; if (beside == 1u) { y[at + 1u] = c01; } at += params.quads_out;
    y[at] = c10; if (beside == 1u) { y[at + 1u] = c11; } at += params.quads_out;
    y[at] = c20; if (beside == 1u) { y[at + 1u] = c21; } at += params.quads_out;
    y[at] = c30; if (beside == 1u) { y[at + 1u] = c31; } at += params.quads_out;
    // The second input quad does not exist, so neither do its four rows.
    if (below == 0u) {
        return;
    }
    y[at] = c40; if (beside == 1u) { y[at + 1u] = c41; } at += params.quads_out;
    y[at] = c50; if (beside == 1u) { y[at + 1u] = c51; } at += params.quads_out;
    y[at] = c60; if (beside == 1u) { y[at + 1u] = c61; } at += params.quads_out;
    y[at] = c70; if (beside == 1u) { y[at + 1u] = c71; }
}

// Column sums of dy over one split of pixels: the gradient of the bias. y is [splits][quads_out].
@compute @workgroup_size(64)
fn conv2d_db(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let split = i / params.quads_out;
    if (split >= params.num_splits) {
        return;
    }
    let area = split_area(split);
    var sum = vec4<f32>(0.0);
    for (var line = area.x; line < area.y; line++) {
        for (var ow = area.z; ow < area.w; ow++) {
            sum += dy[(line * params.out_w + ow) * params.quads_out + i % params.quads_out];
        }
    }
    y[i] = sum;
}

// y[i] = sum over splits of x[split][i], in order; num_pixels is the number of vec4s in one split's result.
@compute @workgroup_size(64)
fn sum_splits(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    // Here num_pixels is the number of vec4s of a result, and every split_rows results become one.
    let first = (i / params.num_pixels) * params.split_rows;
    if (first >= params.num_splits) {
        return;
    }
    let place = i % params.num_pixels;
    var sum = vec4<f32>(0.0);
    for (var split = first; split < min(first + params.split_rows, params.num_splits); split++) {
        sum += x[split * params.num_pixels + place];
    }
    y[i] = sum;
}
