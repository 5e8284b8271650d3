// The gradient of max pooling on GPUs. Invocations of a GPU go together: where one in a few finds its pixel to be a maximum, and
// looks for an earlier one in the window, all of them wait. So a first kernel finds the place of each window's maximum, at the
// cost of the forward pass, and the second compares places only.
//
//   max_pool2d_places  per window the place of the first maximum, ky * kernel + kx, a byte per channel; 255 where it is NaN
//   max_pool2d_grad    a pixel takes dy of every window whose place it is: no two invocations write one place
//
// Layout: NHWC in vec4s. One vec4 per invocation, workgroups of 64.
// Iterations: kernel^2, and ceil(kernel / stride)^2; kernel is at most 15.
//!include lib/index.wgsl
//!include lib/pool_windows.wgsl

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> places_out: array<u32>;

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
