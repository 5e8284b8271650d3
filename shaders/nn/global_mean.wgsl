// Mean over the pixels of an image: out[b, c] = (1 / (H*W)) * sum_{h,w} x[b,h,w,c]; the gradient spreads it evenly.
//
// Layout: NHWC in vec4s. One vec4 of channels of one image per invocation, workgroups of 64.
// Iterations: H*W, which the shape rule keeps below 65,000.
//!include lib/index.wgsl

struct Params {
    batch: u32,
    pixels: u32,
    quads: u32,
    // 1 / (H * W), rounded once on the host.
    factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn global_mean(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.batch * params.quads) {
        return;
    }
    // The same quad of successive pixels is `quads` apart; padding is a sum of zeros.
    let first = (i / params.quads) * params.pixels * params.quads + i % params.quads;
    var sum = vec4<f32>(0.0);
    for (var p = 0u; p < params.pixels; p++) {
        sum += x[first + p * params.quads];
    }
    out[i] = params.factor * sum;
}

// Here x is the gradient of the mean [batch][quads].
@compute @workgroup_size(64)
fn global_mean_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.batch * params.pixels * params.quads) {
        return;
    }
    let b = i / (params.pixels * params.quads);
    out[i] = params.factor * x[b * params.quads + i % params.quads];
}
