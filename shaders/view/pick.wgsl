// One pixel against all prototypes, for what the pointer is over: the embedding interpolated at the pixel (aligned corners) and
// normalised again, as in nearest_prototype.
//   cosines[c,k] = <e, protos[c,k]> / max(|e|, 1e-12),  e = sum of 4 corners at `at` (x, y) of the output map
// A pixel outside the map takes the nearest one of it.
//
// Layout: emb [height,width,D], protos [C,K,D] and cosines [C,K] in vec4s, the last axis padded; at two words.
// One invocation: four prototypes of a class; workgroups of 64. Loop: D / 4.
//!include lib/index.wgsl
//!include lib/lanes.wgsl
//!include lib/corner_tap.wgsl

struct Params {
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    quads: u32,
    num_classes: u32,
    num_protos: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> protos: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> at: array<u32>;
@group(0) @binding(4) var<storage, read_write> cosines: array<vec4<f32>>;

@compute @workgroup_size(64)
fn pick(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let proto_quads = (params.num_protos + 3u) / 4u;
    let c = i / proto_quads;
    if (c >= params.num_classes) {
        return;
    }
    let q = i - c * proto_quads;
    let x = tap(min(at[0], params.out_width - 1u), params.width, params.out_width);
    let y = tap(min(at[1], params.out_height - 1u), params.height, params.out_height);
    let e00 = (y.low * params.width + x.low) * params.quads;
    let e01 = (y.low * params.width + x.high) * params.quads;
    let e10 = (y.high * params.width + x.low) * params.quads;
    let e11 = (y.high * params.width + x.high) * params.quads;
    // Prototypes past K repeat the last one; what they give is masked.
    let base = c * params.num_protos;
    let last = params.num_protos - 1u;
    let p0 = (base + 4u * q) * params.quads;
    let p1 = (base + min(4u * q + 1u, last)) * params.quads;
    let p2 = (base + min(4u * q + 2u, last)) * params.quads;
    let p3 = (base + min(4u * q + 3u, last)) * params.quads;
    var products = vec4<f32>();
    var squares = 0.0;
    for (var d = 0u; d < params.quads; d += 1u) {
        // Interpolated again by every invocation: there is one pixel, so nothing would be saved by a pass of its own.
        let e = mix(mix(emb[e00 + d], emb[e01 + d], x.t), mix(emb[e10 + d], emb[e11 + d], x.t), y.t);
        squares += dot(e, e);
        products += vec4<f32>(dot(e, protos[p0 + d]), dot(e, protos[p1 + d]), dot(e, protos[p2 + d]), dot(e, protos[p3 + d]));
    }
    cosines[i] = masked(products / max(sqrt(squares), 1e-12), q, params.num_protos);
}
