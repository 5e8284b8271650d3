// Similarity of every pixel to the prototypes of its own class: out[n, k] = <emb[n], protos[gt[n], k]>, and rows of
// zeros for ignored pixels.
//
// Layout: emb [N] rows of `quads` vec4s; protos [C*K] rows of `quads`; out [N] rows of `out_quads`, zero in the padding.
// Workgroup: 64 invocations; each computes four neighbouring k of one pixel, so an embedding vec4 is loaded once for
// four products. Iterations: quads (at most 256).
//!include lib/index.wgsl
//!include lib/lanes.wgsl
//!include lib/total.wgsl

struct Params {
    num_pixels: u32,
    num_classes: u32,
    num_protos: u32,
    quads: u32,
    out_quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> protos: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> gt: array<i32>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn own_similarity(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let n = i / params.out_quads;
    let k_quad = i % params.out_quads;
    if (n >= params.num_pixels) {
        return;
    }
    let label = gt[n];
    let valid = label >= 0 && label < i32(params.num_classes);
    let class_row = select(0u, u32(label), valid) * params.num_protos;
    // Lanes past K read the last prototype and are masked below.
    let k = min(vec4<u32>(4u * k_quad) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.num_protos - 1u));
    let row = (vec4<u32>(class_row) + k) * params.quads;
    let pixel = n * params.quads;
    var s0 = vec4<f32>(0.0);
    var s1 = vec4<f32>(0.0);
    var s2 = vec4<f32>(0.0);
    var s3 = vec4<f32>(0.0);
    for (var d = 0u; d < params.quads; d++) {
        let e = emb[pixel + d];
        s0 += e * protos[row.x + d];
        s1 += e * protos[row.y + d];
        s2 += e * protos[row.z + d];
        s3 += e * protos[row.w + d];
    }
    let s = vec4<f32>(total(s0), total(s1), total(s2), total(s3));
    out[i] = select(vec4<f32>(0.0), s * lane_mask(k_quad, params.num_protos), valid);
}
