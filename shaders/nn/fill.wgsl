// out = value in every logical lane, zero in the padding lanes of each row.
//
// Layout: rows of `quads` vec4s, `channels` logical lanes. Workgroup: 64 invocations, one vec4 each.
//!include lib/index.wgsl
//!include lib/lanes.wgsl

struct Params {
    num_quads: u32,
    quads: u32,
    channels: u32,
    value: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn fill(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        out[i] = params.value * lane_mask(i % params.quads, params.channels);
    }
}
