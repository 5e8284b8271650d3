// Similarity of every pixel to the prototypes of its own class: out[n, k] = <emb[n], protos[gt[n], k]>, and rows of
// zeros for ignored pixels.
//
// Layout: emb [N] rows of `quads` vec4s; protos [C*K] rows of `quads`; out [N] rows of `out_quads`, zero in the padding.
// Workgroup: 64 invocations; each takes four pixels that stand together in `order`, and four neighbouring k: 8 loads for 16
// products of vec4s where the pixels have one class, which all but C of the quadruples do. The others go one by one.
// Iterations: quads (at most 256), five times that at a border of two classes.
//!include lib/index.wgsl
//!include lib/lanes.wgsl

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
@group(0) @binding(4) var<storage, read> order: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

fn is_valid(label: i32) -> bool {
    return label >= 0 && label < i32(params.num_classes);
}

// Addresses of four prototypes of a class. Lanes past K repeat the last one and are masked when stored.
fn proto_rows(label: i32, k_quad: u32) -> vec4<u32> {
    let k = min(vec4<u32>(4u * k_quad) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.num_protos - 1u));
    // Ignored pixels compute with class 0; store() writes zeros for them.
    let class_row = select(0u, u32(label), is_valid(label)) * params.num_protos;
    return (vec4<u32>(class_row) + k) * params.quads;
}

fn four(e: vec4<f32>, p0: vec4<f32>, p1: vec4<f32>, p2: vec4<f32>, p3: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(dot(e, p0), dot(e, p1), dot(e, p2), dot(e, p3));
}

fn single(n: u32, row: vec4<u32>) -> vec4<f32> {
    var s = vec4<f32>(0.0);
    for (var d = 0u; d < params.quads; d++) {
        let e = emb[n * params.quads + d];
        s += four(e, protos[row.x + d], protos[row.y + d], protos[row.z + d], protos[row.w + d]);
    }
    return s;
}

fn store(n: u32, k_quad: u32, s: vec4<f32>) {
    let mask = lane_mask(k_quad, params.num_protos);
    out[n * params.out_quads + k_quad] = select(vec4<f32>(0.0), s * mask, is_valid(gt[n]));
}

@compute @workgroup_size(64)
fn own_similarity(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let k_quad = i % params.out_quads;
    // In `order` pixels of a class lie together, so four neighbours nearly always share their prototypes.
    let position = 4u * (i / params.out_quads);
    if (position >= params.num_pixels) {
        return;
    }
    // Past the end the last pixel is repeated, and written with what it gets anyway.
    let at = min(vec4<u32>(position) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.num_pixels - 1u));
    let n = vec4<u32>(order[at.x], order[at.y], order[at.z], order[at.w]);
    let labels = vec4<i32>(gt[n.x], gt[n.y], gt[n.z], gt[n.w]);
    var s0 = vec4<f32>(0.0); var s1 = vec4<f32>(0.0); var s2 = vec4<f32>(0.0); var s3 = vec4<f32>(0.0);
    // Lanes part only at the C borders between classes.
    if (all(labels == vec4<i32>(labels.x))) {
        let row = proto_rows(labels.x, k_quad);
        let pixel = n * params.quads;
        for (var d = 0u; d < params.quads; d++) {
            let p0 = protos[row.x + d]; let p1 = protos[row.y + d];
            let p2 = protos[row.z + d]; let p3 = protos[row.w + d];
            s0 += four(emb[pixel.x + d], p0, p1, p2, p3); s1 += four(emb[pixel.y + d], p0, p1, p2, p3);
            s2 += four(emb[pixel.z + d], p0, p1, p2, p3); s3 += four(emb[pixel.w + d], p0, p1, p2, p3);
        }
    } else {
        s0 = single(n.x, proto_rows(labels.x, k_quad)); s1 = single(n.y, proto_rows(labels.y, k_quad));
        s2 = single(n.z, proto_rows(labels.z, k_quad)); s3 = single(n.w, proto_rows(labels.w, k_quad));
    }
    store(n.x, k_quad, s0); store(n.y, k_quad, s1); store(n.z, k_quad, s2); store(n.w, k_quad, s3);
}
