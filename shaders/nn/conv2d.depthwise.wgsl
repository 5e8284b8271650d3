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

//!include lib/conv_pixel.wgsl

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
