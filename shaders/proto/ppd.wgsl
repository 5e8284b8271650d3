// Pixel-prototype distance of each pixel: value[n] = (1 - S_t)^2 with S_t = <emb[n], protos[t_n]>; 0 for ignored pixels.
// gap[n] = 1 - S_t is kept for the gradient: d emb[n] = -2 gap[n] g[n] protos[t_n].
//
// Layout: emb [N] and protos [C*K] rows of `quads` vec4s; the rest dense. Workgroup: 64 invocations, one pixel each
// forward (quads iterations), one vec4 of a pixel each backward.
//!include lib/index.wgsl
//!include lib/total.wgsl

struct Params {
    // N, C * K, and vec4s per row.
    num_pixels: u32,
    num_rows: u32,
    quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> protos: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> assigned: array<i32>;
@group(0) @binding(4) var<storage, read_write> value: array<f32>;
@group(0) @binding(5) var<storage, read_write> gap: array<f32>;
@group(0) @binding(6) var<storage, read> gap_in: array<f32>;
@group(0) @binding(7) var<storage, read> upstream: array<f32>;
@group(0) @binding(8) var<storage, read_write> out: array<vec4<f32>>;

// -1 marks ignored pixels.
fn is_valid(row: i32) -> bool {
    return row >= 0 && row < i32(params.num_rows);
}

@compute @workgroup_size(64)
fn ppd(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 64u);
    if (n < params.num_pixels) {
        let valid = is_valid(assigned[n]);
        // Ignored pixels read prototype 0, and their result is dropped: cheaper than parting the lanes.
        let row = select(0u, u32(assigned[n]), valid) * params.quads;
        var s = vec4<f32>(0.0);
        for (var d = 0u; d < params.quads; d++) {
            s += emb[n * params.quads + d] * protos[row + d];
        }
        // 1 - S lies in [0, 2], as both vectors have unit length.
        let distance = select(0.0, 1.0 - total(s), valid);
        value[n] = distance * distance;
        gap[n] = distance;
    }
}

@compute @workgroup_size(64)
fn ppd_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let n = i / params.quads;
    if (n < params.num_pixels) {
        let valid = is_valid(assigned[n]);
        let row = select(0u, u32(assigned[n]), valid) * params.quads;
        // d (1 - S)^2 / d S = -2 (1 - S), and d S / d emb = protos[t]. Prototypes get no gradient.
        let slope = select(0.0, -2.0 * gap_in[n] * upstream[n], valid);
        out[i] = slope * protos[row + i % params.quads];
    }
}
