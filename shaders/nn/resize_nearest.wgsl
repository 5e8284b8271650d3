// Resize of NHWC maps to the nearest pixel: y[b,oh,ow,:] = x[b, floor(oh * H / OH), floor(ow * W / OW), :], PyTorch's "nearest".
//
// Gradient: pixel i has the sum of dy over the outputs o with floor(o * from / to) = i, which are those from
// ceil(i * to / from) up to ceil((i + 1) * to / from), gathered in their order.
//
// Layout: NHWC in vec4s, padding stays zero by linearity. One vec4 per invocation, workgroups of 64.
// Iterations: none forward; the outputs of a pixel (gradient), which the shape rule keeps below 65,000.
//!include lib/index.wgsl
//!include lib/two_sizes.wgsl

@compute @workgroup_size(64)
fn resize_nearest(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.batch * params.out_h * params.out_w * params.quads) {
        return;
    }
    let pixel = i / params.quads;
    let line = pixel / params.out_w;
    let h = (line % params.out_h) * params.in_h / params.out_h;
    let w = (pixel % params.out_w) * params.in_w / params.out_w;
    let b = line / params.out_h;
    out[i] = x[((b * params.in_h + h) * params.in_w + w) * params.quads + i % params.quads];
}

// The first output that reads input position i along an axis.
fn first_output(i: u32, in_length: u32, out_length: u32) -> u32 {
    return (i * out_length + in_length - 1u) / in_length;
}

// Here x is the gradient of y and out that of x.
@compute @workgroup_size(64)
fn resize_nearest_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.batch * params.in_h * params.in_w * params.quads) {
        return;
    }
    let pixel = i / params.quads;
    let line = pixel / params.in_w;
    let h = line % params.in_h;
    let w = pixel % params.in_w;
    let image = (line / params.in_h) * params.out_h;
    let left = first_output(w, params.in_w, params.out_w);
    let right = first_output(w + 1u, params.in_w, params.out_w);
    let bottom = first_output(h + 1u, params.in_h, params.out_h);
    var sum = vec4<f32>(0.0);
    for (var oh = first_output(h, params.in_h, params.out_h); oh < bottom; oh++) {
        for (var ow = left; ow < right; ow++) {
            sum += x[((image + oh) * params.out_w + ow) * params.quads + i % params.quads];
        }
    }
    out[i] = sum;
}
