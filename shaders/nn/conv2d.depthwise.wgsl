// Depthwise 2-D convolution: y[b,oh,ow,c] = sum_{ky,kx} x[b,sy,sx,c] * w[ky,kx,c], and its gradients.
//
// Source position, fraction and splits as in conv2d.wgsl; `reversed` = 1 reverses the taps, which with stride 1 and
// fraction = the forward stride gives the gradient with respect to x.
//
// Layout: NHWC in vec4s of channels, w [kh][kw][quads]. quads_in = quads_out = vec4s per pixel.
// One invocation: 4 channels of 4 neighbouring pixels of one line, so a weight is loaded once for 4 pixels; neighbouring
// invocations take neighbouring channels. Workgroup: 64, nothing shared.
// Iterations: kh * kw forward, the pixels of a split in the weight gradients.
//!include lib/index.wgsl
//!include lib/conv.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;

alias Element = vec4<f32>;

// A constant, since one more load among 27 shows in the time of a training step, which has no bias here.
override BIASED: bool = false;

//!include lib/conv_source.wgsl
//!include lib/epilogue.wgsl

// x at row base `line` (-1: outside) and column sx, zero outside the image.
fn pixel(line: i32, sx: i32, c: u32) -> vec4<f32> {
    let inside = (line >= 0) & (sx >= 0) & (sx < i32(params.in_w));
    let at = select(0u, u32(line + sx) * params.quads_in, inside);
    return select(0.0, 1.0, inside) * x[at + c];
}

// First pixel of source row sy of image b, or -1 outside.
fn line_start(b: u32, sy: i32) -> i32 {
    return select(-1, (i32(b * params.in_h) + sy) * i32(params.in_w), (sy >= 0) & (sy < i32(params.in_h)));
}

// Position / fraction where that is exact, else a column outside the image.
fn exact(s: i32) -> i32 {
    let q = s / i32(params.fraction);
    return select(-1, q, (s >= 0) & (q * i32(params.fraction) == s));
}

@compute @workgroup_size(64)
fn depthwise(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    // A strip is four neighbouring output pixels of one line, which share the weight's load.
    let strips = (params.out_w + 3u) / 4u;
    let c = i % params.quads_in;
    let ow = ((i / params.quads_in) % strips) * 4u;
    let line = i / (params.quads_in * strips);
    if (line >= params.num_lines) {
        return;
    }
    let b = line / params.out_h;
    // Source row of tap row 0; negative in the padding above the image.
    let oy = i32((line % params.out_h) * params.stride) - params.pad_h;
    let step = i32(params.stride);
    let taps = params.kernel_h * params.kernel_w;
    var y0 = vec4<f32>(0.0); var y1 = vec4<f32>(0.0); var y2 = vec4<f32>(0.0); var y3 = vec4<f32>(0.0);
    for (var ky = 0u; ky < params.kernel_h; ky++) {
        let base = line_start(b, exact(oy + i32(ky * params.dilation)));
        // A tap row outside the image, or between rows where there is a fraction, adds nothing.
        if (base < 0) {
            continue;
        }
        for (var kx = 0u; kx < params.kernel_w; kx++) {
            let tap = ky * params.kernel_w + kx;
            // Reversed taps give the gradient with respect to x.
            let weight = w[select(tap, taps - 1u - tap, params.reversed == 1u) * params.quads_in + c];
            let ox = i32(ow * params.stride + kx * params.dilation) - params.pad_w;
            // With a fraction most taps fall between pixels: those are not loaded.
            let s0 = exact(ox);
            if (s0 >= 0) {
                y0 += weight * pixel(base, s0, c);
            }
            let s1 = exact(ox + step);
            if (s1 >= 0) {
                y1 += weight * pixel(base, s1, c);
            }
            let s2 = exact(ox + 2 * step);
            if (s2 >= 0) {
                y2 += weight * pixel(base, s2, c);
            }
            let s3 = exact(ox + 3 * step);
            if (s3 >= 0) {
                y3 += weight * pixel(base, s3, c);
            }
        }
    }
    store(line, ow, c, y0, y1, y2, y3);
}

// 3x3, stride 1, dilation 1, fraction 1: a window of 6 columns slides over 4 pixels, 9 loads for 12 multiply-adds per row
// instead of 15.
@compute @workgroup_size(64)
fn depthwise_3x3(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let strips = (params.out_w + 3u) / 4u;
    let c = i % params.quads_in;
    let ow = ((i / params.quads_in) % strips) * 4u;
    let line = i / (params.quads_in * strips);
    if (line >= params.num_lines) {
        return;
    }
    let b = line / params.out_h;
    let oy = i32(line % params.out_h) - params.pad_h;
    let ox = i32(ow) - params.pad_w;
    var y0 = vec4<f32>(0.0); var y1 = vec4<f32>(0.0); var y2 = vec4<f32>(0.0); var y3 = vec4<f32>(0.0);
    for (var ky = 0u; ky < 3u; ky++) {
        let base = line_start(b, oy + i32(ky));
        // Reversed for the gradient, as above: tap t becomes 8 - t.
        let row = select(ky * 3u, 8u - ky * 3u, params.reversed == 1u);
        let w0 = w[row * params.quads_in + c];
        let w1 = w[select(row + 1u, row - 1u, params.reversed == 1u) * params.quads_in + c];
        let w2 = w[select(row + 2u, row - 2u, params.reversed == 1u) * params.quads_in + c];
        // Output pixel j needs window columns j, j + 1 and j + 2.
        let p0 = pixel(base, ox, c);
        let p1 = pixel(base, ox + 1, c); let p2 = pixel(base, ox + 2, c);
        let p3 = pixel(base, ox + 3, c); let p4 = pixel(base, ox + 4, c);
        let p5 = pixel(base, ox + 5, c);
        y0 += w0 * p0 + w1 * p1 + w2 * p2; y1 += w0 * p1 + w1 * p2 + w2 * p3;
        y2 += w0 * p2 + w1 * p3 + w2 * p4; y3 += w0 * p3 + w1 * p4 + w2 * p5;
    }
    store(line, ow, c, y0, y1, y2, y3);
}

fn store(line: u32, ow: u32, c: u32, y0: vec4<f32>, y1: vec4<f32>, y2: vec4<f32>, y3: vec4<f32>) {
    let at = (line * params.out_w + ow) * params.quads_in + c;
    var shift = vec4<f32>(0.0);
    if (BIASED) {
        shift = bias[c];
    }
    // Pixels left in the line; a strip never reaches into the next one.
    let left = params.out_w - ow;
    y[at] = finished(y0 + shift, at);
    if (left > 1u) {
        y[at + params.quads_in] = finished(y1 + shift, at + params.quads_in);
    }
    if (left > 2u) { y[at + 2u * params.quads_in] = finished(y2 + shift, at + 2u * params.quads_in); }
    if (left > 3u) { y[at + 3u * params.quads_in] = finished(y3 + shift, at + 3u * params.quads_in); }
}

// dw[tap, c] over one split of pixels, one tap per invocation; y is [splits][taps][quads].
@compute @workgroup_size(64)
fn depthwise_dw(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    // Order of the invocations: quads, taps, splits, so neighbours read adjacent vec4s.
    let c = i % params.quads_in;
    let taps = params.kernel_h * params.kernel_w;
    let tap = (i / params.quads_in) % taps;
    let split = i / (params.quads_in * taps);
    if (split >= params.num_splits) {
        return;
    }
    // Partial sums over one rectangle of output pixels each; sum_splits adds them in order.
    let area = split_area(split);
    var sum = vec4<f32>(0.0);
    let first_column = tap_column(tap);
    for (var line = area.x; line < area.y; line++) {
        let source_row = line_row(line, tap);
        for (var ow = area.z; ow < area.w; ow++) {
            let s = row_pixel(source_row, first_column + i32(ow * params.stride));
            // Outside the image x is zero and so is the product.
            if (s >= 0) {
                sum += x[u32(s) + c] * dy[(line * params.out_w + ow) * params.quads_in + c];
            }
        }
    }
    y[i] = sum;
}

// The same for 3x3 with stride 1 and dilation 1: all nine taps per invocation while a 3x3 window slides along the line,
// 4 loads for 9 multiply-adds instead of 18.
@compute @workgroup_size(64)
fn depthwise_dw_3x3(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let c = i % params.quads_in;
    let split = i / params.quads_in;
    if (split >= params.num_splits) {
        return;
    }
    let area = split_area(split);
    // s[3 ky + kx], one for each tap.
    var s0 = vec4<f32>(0.0); var s1 = vec4<f32>(0.0); var s2 = vec4<f32>(0.0); var s3 = vec4<f32>(0.0);
    var s4 = vec4<f32>(0.0); var s5 = vec4<f32>(0.0); var s6 = vec4<f32>(0.0); var s7 = vec4<f32>(0.0);
    var s8 = vec4<f32>(0.0);
    for (var line = area.x; line < area.y; line++) {
        let b = line / params.out_h;
        let oy = i32(line % params.out_h) - params.pad_h;
        let from0 = line_start(b, oy);
        let from1 = line_start(b, oy + 1);
        let from2 = line_start(b, oy + 2);
        let ox = i32(area.z) - params.pad_w;
        // The window's columns are a, b, c from left to right; the numbers are its rows.
        var a0 = pixel(from0, ox, c); var a1 = pixel(from1, ox, c);
        var a2 = pixel(from2, ox, c);
        var b0 = pixel(from0, ox + 1, c); var b1 = pixel(from1, ox + 1, c);
        var b2 = pixel(from2, ox + 1, c);
        for (var ow = area.z; ow < area.w; ow++) {
            // Only the column that enters the window on the right is loaded.
            let sx = i32(ow) - params.pad_w + 2;
            let c0 = pixel(from0, sx, c); let c1 = pixel(from1, sx, c);
            let c2 = pixel(from2, sx, c);
            let d = dy[(line * params.out_w + ow) * params.quads_in + c];
            s0 += a0 * d; s1 += b0 * d; s2 += c0 * d; s3 += a1 * d; s4 += b1 * d; s5 += c1 * d;
            s6 += a2 * d; s7 += b2 * d; s8 += c2 * d;
            // The window moves one pixel to the right.
            a0 = b0; a1 = b1; a2 = b2;
            b0 = c0; b1 = c1; b2 = c2;
        }
    }
    let at = split * 9u * params.quads_in + c;
    y[at] = s0;
    y[at + params.quads_in] = s1;
    y[at + 2u * params.quads_in] = s2; y[at + 3u * params.quads_in] = s3;
    y[at + 4u * params.quads_in] = s4; y[at + 5u * params.quads_in] = s5;
    y[at + 6u * params.quads_in] = s6; y[at + 7u * params.quads_in] = s7;
    y[at + 8u * params.quads_in] = s8;
}
