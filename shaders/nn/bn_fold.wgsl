// Batch norm with given statistics, folded into the convolution before it, whose last axis holds the output channels:
// w'[r, c] = w[r, c] * s[c] and bias[c] = beta[c] - mean[c] * s[c] with s = gamma / sqrt(variance + eps).
//
// Layout: w and w' are rows of `quads` vec4s, whatever the kernel's shape; per-channel vectors are rank 1, read as vec4s with
// the padding masked. Workgroup: 64 invocations, one vec4 of w each; those of the first row write the bias too.
//!include lib/index.wgsl
//!include lib/lanes.wgsl

struct Params {
    rows: u32,
    quads: u32,
    channels: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gamma: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> beta: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> mean: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> variance: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> w_out: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> bias_out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn bn_fold(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.rows * params.quads) {
        return;
    }
    let quad = i % params.quads;
    // Masked before the root: what lies behind a rank-1 vector may be anything, and NaN would survive a product.
    let spread = masked(variance[quad], quad, params.channels) + params.eps;
    let factor = masked(gamma[quad] / sqrt(spread), quad, params.channels);
    w_out[i] = w[i] * factor;
    if (i < params.quads) {
        bias_out[i] = masked(beta[i] - mean[i] * factor, i, params.channels);
    }
}
