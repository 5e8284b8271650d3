// Rectifier with an optional ceiling: y = limited(x, 0, ceiling); ceiling 6 is ReLU6, infinity plain ReLU.
// Gradient from the output alone: dx = dy where 0 < y < ceiling, else 0 (the value at the two kinks is 0).
//
// Layout: whole vec4s. Workgroup: 64 invocations, one vec4 each.
//!include lib/index.wgsl
//!include lib/limited.wgsl

struct Params {
    num_quads: u32,
    ceiling: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn relu(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        out[i] = limited(x[i], vec4<f32>(0.0), vec4<f32>(params.ceiling));
    }
}

// Here x is the forward output y.
@compute @workgroup_size(64)
fn relu_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        let y = x[i];
        // Both strict: the gradient at 0 and at the ceiling is 0.
        let open = (y > vec4<f32>(0.0)) & (y < vec4<f32>(params.ceiling));
        out[i] = select(vec4<f32>(0.0), dy[i], open);
    }
}
