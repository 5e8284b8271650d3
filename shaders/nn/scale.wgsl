// out = factor * x, element by element.
//
// Layout: whole vec4s. Workgroup: 64 invocations, one vec4 each.
//!include lib/index.wgsl

struct Params {
    num_quads: u32,
    factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn scale(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        out[i] = params.factor * x[i];
    }
}
