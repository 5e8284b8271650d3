// Adaptive average pooling: y[b,oh,ow,:] = mean of x[b,h,w,:] over the bin of (oh, ow), for an output of any size.
//
// Bin o of `to` bins over `from` pixels covers floor(o * from / to) to ceil((o + 1) * from / to) - 1, as PyTorch's: where
// `to` does not divide `from`, neighbours share a pixel. Seen from a pixel, the bins that hold it are those of the same
// rule with `from` and `to` exchanged, so that the gradient is gathered: no two invocations write one place.
//
// Layout: NHWC in vec4s, padding stays zero by linearity. One vec4 per invocation, workgroups of 64.
// Iterations: the pixels of a bin (forward), the bins that hold a pixel (gradient); the shape rule keeps both below 65,000.
//!include lib/index.wgsl
//!include lib/two_sizes.wgsl

// First of the `from` positions that bin o of `to` covers, and the one behind the last.
fn bin(o: u32, from_length: u32, to_length: u32) -> vec2<u32> {
    let end = (o + 1u) * from_length + to_length - 1u;
    return vec2<u32>(o * from_length / to_length, end / to_length);
}

@compute @workgroup_size(64)
fn adaptive_avg_pool2d(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.batch * params.out_h * params.out_w * params.quads) {
        return;
    }
    let pixel = i / params.quads;
    let line = pixel / params.out_w;
    let rows = bin(line % params.out_h, params.in_h, params.out_h);
    let columns = bin(pixel % params.out_w, params.in_w, params.out_w);
    let image = (line / params.out_h) * params.in_h;
    var sum = vec4<f32>(0.0);
    for (var h = rows.x; h < rows.y; h++) {
        var at = ((image + h) * params.in_w + columns.x) * params.quads + i % params.quads;
        for (var w = columns.x; w < columns.y; w++) {
            sum += x[at];
            at += params.quads;
        }
    }
    out[i] = sum / f32((rows.y - rows.x) * (columns.y - columns.x));
}

// Here x is the gradient of y and out that of x.
@compute @workgroup_size(64)
fn adaptive_avg_pool2d_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.batch * params.in_h * params.in_w * params.quads) {
        return;
    }
    let pixel = i / params.quads;
    let line = pixel / params.in_w;
    let down = bin(line % params.in_h, params.out_h, params.in_h);
    let across = bin(pixel % params.in_w, params.out_w, params.in_w);
    let image = (line / params.in_h) * params.out_h;
    var sum = vec4<f32>(0.0);
    // In the order of the bins: the same sum every time.
    for (var oh = down.x; oh < down.y; oh++) {
        let rows = bin(oh, params.in_h, params.out_h);
        for (var ow = across.x; ow < across.y; ow++) {
            let columns = bin(ow, params.in_w, params.out_w);
            let pixels = (rows.y - rows.x) * (columns.y - columns.x);
            sum += x[((image + oh) * params.out_w + ow) * params.quads + i % params.quads] / f32(pixels);
        }
    }
    out[i] = sum;
}
