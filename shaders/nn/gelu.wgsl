// Gaussian error linear unit (Hendrycks and Gimpel 2016), the exact one: y = x P(x), P the normal distribution function.
// Gradient: dx = dy (P(x) + x p(x)), p its density.
//
// P(-a) for a >= 0 is half the complementary error function of a / sqrt(2), by formula 7.1.26 of Abramowitz and Stegun (error
// below 1.5e-7, and small against P itself on this side, where x P(x) is all that is left).
// Layout: whole vec4s; 0 goes to 0, so padding stays zero. Workgroup: 64 invocations, one vec4 each.
//!include lib/index.wgsl

struct Params {
    num_quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

// P of every lane.
fn distribution(x: vec4<f32>) -> vec4<f32> {
    let a = abs(x) * 0.70710678;
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    let tail = 0.5 * poly * exp(-a * a);
    return select(1.0 - tail, tail, x < vec4<f32>(0.0));
}

@compute @workgroup_size(64)
fn gelu(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        let value = x[i];
        out[i] = value * distribution(value);
    }
}

// Here out is dx.
@compute @workgroup_size(64)
fn gelu_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        let value = x[i];
        // The density: 1 / sqrt(2 pi) times the bell.
        let density = 0.39894228 * exp(-0.5 * value * value);
        out[i] = dy[i] * (distribution(value) + value * density);
    }
}
