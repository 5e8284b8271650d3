// Standard Gumbel noise g = -log(-log U), one number per pixel and prototype, from the counter (seed, step, n*K + k).
//
// With e = -log U exponential, the largest g come from U near 1, where log loses its relative accuracy (WGSL allows an
// absolute error of 2^-21 there). Below 1 - U = 1/64 the series of -log(1 - v) takes its place (relative error 1e-8).
// U is (2 b + 1) / 2^24 with 23 random bits b: exact in f32, never 0 or 1.
//
// Layout: [N] rows of `quads` vec4s, zero in the padding. Workgroup: 64 invocations, one vec4 each.
//!include lib/index.wgsl
//!include lib/lanes.wgsl
//!include lib/rng.wgsl

struct Params {
    num_quads: u32,
    quads: u32,
    num_protos: u32,
    seed: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> counter: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

fn sample(index: u32) -> f32 {
    // 2 b + 1 with b the upper 23 bits: the lower ones of the hash are not needed.
    let odd = ((rng_bits(params.seed, counter[0], index) >> 9u) << 1u) | 1u;
    let u = f32(odd) * (1.0 / 16777216.0);
    let v = 1.0 - u;
    // v + v^2 / 2 + v^3 / 3 + v^4 / 4 = -log(1 - v).
    let series = v * (1.0 + v * (0.5 + v * (1.0 / 3.0 + v * 0.25)));
    return -log(select(-log(u), series, v < 1.0 / 64.0));
}

@compute @workgroup_size(64)
fn gumbel(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        let quad = i % params.quads;
        let first = (i / params.quads) * params.num_protos + 4u * quad;
        let g = vec4<f32>(sample(first), sample(first + 1u), sample(first + 2u), sample(first + 3u));
        out[i] = g * lane_mask(quad, params.num_protos);
    }
}
