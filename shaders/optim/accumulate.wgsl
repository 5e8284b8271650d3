// Sum over the micro-batches of a step, in place:
//   sum = factor * g   for the first micro-batch,   sum = sum + factor * g   for the others
//
// Layout: whole vec4s; zero padding stays zero. first is one number, written before every micro-batch: 1 for the first, whose sum
// may hold anything before, 0 for the others. Workgroup: 64 invocations, one vec4 each.
//!include lib/index.wgsl

struct Params {
    num_quads: u32,
    // Share of a micro-batch.
    factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> first: array<u32>;
@group(0) @binding(3) var<storage, read_write> sum: array<vec4<f32>>;

@compute @workgroup_size(64)
fn accumulate(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        // Selected, not multiplied away: what the sum held before may be NaN.
        let before = select(sum[i], vec4<f32>(0.0), first[0] != 0u);
        sum[i] = before + params.factor * gradient[i];
    }
}
