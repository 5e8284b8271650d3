// Max pooling: y[b,oh,ow,:] = max of x[b,h,w,:] over the pixels of the window that lie in the image; what pads it is -inf.
// Window o covers h in [o * stride - padding, o * stride - padding + kernel); the shape rule leaves none without a pixel.
//
// Gradient: all of dy goes to the first maximum of the window in the order of rows (with ReLU in front, ties of zeros are
// common). Two kernels, so that no pixel looks for earlier maxima in its windows while its neighbours wait:
//   max_pool2d_places  per window the place of the first maximum, ky * kernel + kx, a byte per channel; 255 where it is NaN
//   max_pool2d_grad    a pixel takes dy of every window whose place it is: no two invocations write one place
//
// Layout: NHWC in vec4s, padding stays zero. One vec4 per invocation, workgroups of 64.
// Iterations: kernel^2 (per window), ceil(kernel / stride)^2 (max_pool2d_grad); kernel is at most 15.
//!include lib/index.wgsl

struct Params {
    batch: u32,
    quads: u32,
    // Heights and widths in pixels: "in" of x, "out" of y.
    in_h: u32,
    in_w: u32,
    out_h: u32,
    out_w: u32,
    kernel: u32,
    stride: u32,
    padding: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> places_out: array<u32>;

// First and last input position of window o along an axis, both inside the image.
fn window(o: u32, length_in: u32) -> vec2<u32> {
    let first = max(o * params.stride, params.padding) - params.padding;
    return vec2<u32>(first, min(o * params.stride + params.kernel - params.padding, length_in) - 1u);
}

// First window that holds input position i along an axis, and the one behind the last.
fn windows(i: u32, length_out: u32) -> vec2<u32> {
    let end = i + params.padding;
    // The smallest o with o * stride + kernel > end.
    let first = (max(end + params.stride, params.kernel) - params.kernel) / params.stride;
    return vec2<u32>(first, min(end / params.stride + 1u, length_out));
}

@compute @workgroup_size(64)
fn max_pool2d(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.batch * params.out_h * params.out_w * params.quads) {
        return;
    }
    let pixel = i / params.quads;
    let line = pixel / params.out_w;
    let rows = window(line % params.out_h, params.in_h);
    let columns = window(pixel % params.out_w, params.in_w);
    let image = (line / params.out_h) * params.in_h;
    // Starting from a pixel of the window needs no number for -inf.
    var best = x[((image + rows.x) * params.in_w + columns.x) * params.quads + i % params.quads];
    // The largest magnitude as bits: above those of infinity it is a NaN (see lib/nan.wgsl), which must stay: a broken
    // network must show in its loss. A maximum of whole numbers costs less than a test of every number.
    var top = vec4<u32>(0u);
    for (var h = rows.x; h <= rows.y; h++) {
        var at = ((image + h) * params.in_w + columns.x) * params.quads + i % params.quads;
        for (var w = columns.x; w <= columns.y; w++) {
            let value = x[at];
            best = select(best, value, value > best);
            top = max(top, bitcast<vec4<u32>>(value) & vec4<u32>(0x7fffffffu));
            at += params.quads;
        }
    }
    out[i] = select(best, bitcast<vec4<f32>>(top), top > vec4<u32>(0x7f800000u));
}

@compute @workgroup_size(64)
fn max_pool2d_places(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.batch * params.out_h * params.out_w * params.quads) {
        return;
    }
    let pixel = i / params.quads;
    let line = pixel / params.out_w;
    let oh = line % params.out_h;
    let ow = pixel % params.out_w;
    let rows = window(oh, params.in_h);
    let columns = window(ow, params.in_w);
    let image = (line / params.out_h) * params.in_h;
    // Places count from the window's corner, which may lie in the padding.
    let left = columns.x + params.padding - ow * params.stride;
    var best = x[((image + rows.x) * params.in_w + columns.x) * params.quads + i % params.quads];
    var place = vec4<u32>((rows.x + params.padding - oh * params.stride) * params.kernel + left);
    // The largest magnitude as bits, as in max_pool2d: above those of infinity it is a NaN.
    var top = vec4<u32>(0u);
    for (var h = rows.x; h <= rows.y; h++) {
        var at = ((image + h) * params.in_w + columns.x) * params.quads + i % params.quads;
        var number = (h + params.padding - oh * params.stride) * params.kernel + left;
        for (var w = columns.x; w <= columns.y; w++) {
            let value = x[at];
            // Strictly more: the first of equals keeps its place.
            let more = value > best;
            best = select(best, value, more);
            place = select(place, vec4<u32>(number), more);
            top = max(top, bitcast<vec4<u32>>(value) & vec4<u32>(0x7fffffffu));
            at += params.quads;
            number += 1u;
        }
    }
    let kept = select(place, vec4<u32>(255u), top > vec4<u32>(0x7f800000u));
    places_out[i] = kept.x | (kept.y << 8u) | (kept.z << 16u) | (kept.w << 24u);
}

// Here out is dx.
@compute @workgroup_size(64)
fn max_pool2d_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.batch * params.in_h * params.in_w * params.quads) {
        return;
    }
    let quad = i % params.quads;
    let pixel = i / params.quads;
    let w = pixel % params.in_w;
    let line = pixel / params.in_w;
    let h = line % params.in_h;
    let b = line / params.in_h;
    let down = windows(h, params.out_h);
    let across = windows(w, params.out_w);
    var sum = vec4<f32>(0.0);
    // In the order of the windows: the same sum every time.
    for (var oh = down.x; oh < down.y; oh++) {
        let row = (h + params.padding - oh * params.stride) * params.kernel;
        for (var ow = across.x; ow < across.y; ow++) {
            let o = ((b * params.out_h + oh) * params.out_w + ow) * params.quads + quad;
            let own = row + w + params.padding - ow * params.stride;
            let found = (vec4<u32>(places[o]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
            // Loaded whether it counts or not, so that it does not wait for the place.
            sum += select(vec4<f32>(0.0), dy[o], found == vec4<u32>(own));
        }
    }
    out[i] = sum;
}
