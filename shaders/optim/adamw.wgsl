// Adam with decoupled weight decay, in place (Loshchilov and Hutter 2019), t = step + 1:
//   m = beta1 m + (1 - beta1) g,   v = beta2 v + (1 - beta2) g^2
//   w = w - lr * lr_scale * (weight_decay * w + (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps))
// adamw_clipped takes factor * g for g.
//
// Layout: weight, gradient and both moments as whole vec4s; zero padding stays zero. lr, step and factor are one number each,
// written every step. Workgroup: 64 invocations, one vec4 each.
//!include lib/index.wgsl

struct Params {
    num_quads: u32,
    beta1: f32,
    beta2: f32,
    // 1 - beta and ln beta, from f64: in f32 they would lose what 0.999 has behind its last 9.
    rest1: f32,
    rest2: f32,
    ln_beta1: f32,
    ln_beta2: f32,
    eps: f32,
    weight_decay: f32,
    lr_scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> lr: array<f32>;
@group(0) @binding(3) var<storage, read> step: array<u32>;
@group(0) @binding(4) var<storage, read_write> weight: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> first: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> second: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> factor: array<f32>;

// 1 - exp(x) for x <= 0. Near 0 by the series, since the difference would keep four digits at beta2 = 0.999 and t = 1.
fn one_minus_exp(x: f32) -> f32 {
    let series = 1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0 * (1.0 + x / 6.0 * (1.0 + x / 7.0)))));
    return select(1.0 - exp(x), -x * series, x > -0.4);
}

fn descend(i: u32, g: vec4<f32>) {
    let m = params.beta1 * first[i] + params.rest1 * g;
    let v = params.beta2 * second[i] + params.rest2 * g * g;
    first[i] = m;
    second[i] = v;
    let t = f32(step[0]) + 1.0;
    let mean = m / one_minus_exp(t * params.ln_beta1);
    let spread = sqrt(v / one_minus_exp(t * params.ln_beta2)) + vec4<f32>(params.eps);
    let w = weight[i];
    weight[i] = w - lr[0] * params.lr_scale * (params.weight_decay * w + mean / spread);
}

@compute @workgroup_size(64)
fn adamw(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        descend(i, gradient[i]);
    }
}

@compute @workgroup_size(64)
fn adamw_clipped(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        descend(i, factor[0] * gradient[i]);
    }
}
