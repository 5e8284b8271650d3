// out = a + factor * b, element by element.
//
// Layout: whole vec4s; padding lanes hold zero in both operands and so in the result.
// Workgroup: 64 invocations, one vec4 each. On software adapters larger groups cost more to start than they save.
//!include lib/index.wgsl

struct Params {
    num_quads: u32,
    factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn add(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        out[i] = a[i] + params.factor * b[i];
    }
}
