// Exponential moving average of a weight, in place, t = step counted from 0:
//   a = a + rest_t (w - a),   rest_t = max(1 - decay, 9 / (10 + t))
//
// The second term is what 1 - (1 + t) / (10 + t) is: while the decay would still remember the first weights, the average is that
// of the steps so far. Written as a difference, an average of equal weights stays equal to them to the bit.
// Layout: whole vec4s; zero padding stays zero. step is one number, written every step. Workgroup: 64 invocations, one vec4 each.
//!include lib/index.wgsl

struct Params {
    num_quads: u32,
    // 1 - decay, from f64: in f32 it would lose what 0.9999 has behind its last 9.
    rest: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> step: array<u32>;
@group(0) @binding(3) var<storage, read_write> average: array<vec4<f32>>;

@compute @workgroup_size(64)
fn ema(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        let rest = max(params.rest, 9.0 / (10.0 + f32(step[0])));
        let a = average[i];
        average[i] = a + rest * (weight[i] - a);
    }
}
