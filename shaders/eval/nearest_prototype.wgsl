// Which of its class's K prototypes every output pixel is nearest to, and its similarity to all K: the embedding at the pixel
// is interpolated bilinearly (aligned corners) and normalised again. Spec section 12.
//   e = sum of 4 corners,  sim[k] = <e, protos[c,k]> / max(|e|, 1e-12),  nearest = first k with the highest sim
// Pixels whose class is outside 0..C get nearest = 0 and sim = 0.
//
// Layout: emb [B,height,width,D], protos [C,K,D], sim [B,out_height,out_width,K] in vec4s; classes and nearest
// [B,out_height,out_width] dense.
// One invocation: one output pixel, its prototypes four at a time; workgroups of 64. Loops: K / 4 times D / 4.
//!include lib/index.wgsl
//!include lib/lanes.wgsl
//!include lib/corner_tap.wgsl

struct Params {
    // Output pixels; sizes of the feature map and of the output in pixels.
    num_pixels: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    quads: u32,
    num_protos: u32,
    num_classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> classes: array<i32>;
@group(0) @binding(2) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> protos: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> nearest: array<u32>;
@group(0) @binding(5) var<storage, read_write> sim: array<vec4<f32>>;

@compute @workgroup_size(64)
fn nearest_prototype(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let m = linear_index(id, groups, 64u);
    if (m >= params.num_pixels) {
        return;
    }
    let row = m / params.out_width;
    let image = row / params.out_height;
    let y = tap(row - image * params.out_height, params.height, params.out_height);
    let x = tap(m - row * params.out_width, params.width, params.out_width);
    let top = (image * params.height + y.low) * params.width;
    let bottom = (image * params.height + y.high) * params.width;
    // Digits: row and column of the corner.
    let e00 = (top + x.low) * params.quads;
    let e01 = (top + x.high) * params.quads;
    let e10 = (bottom + x.low) * params.quads;
    let e11 = (bottom + x.high) * params.quads;
    let label = classes[m];
    let inside = label >= 0 && label < i32(params.num_classes);
    // Pixels without a class compute with class 0, and their results are replaced by 0.
    let base = u32(select(0, label, inside)) * params.num_protos;
    let last = params.num_protos - 1u;
    let sim_quads = (params.num_protos + 3u) / 4u;
    var best = -3e38;
    var winner = 0u;
    for (var q = 0u; q < sim_quads; q += 1u) {
        // Prototypes past K repeat the last one; the winner is sought among real ones only.
        let p0 = (base + 4u * q) * params.quads;
        let p1 = (base + min(4u * q + 1u, last)) * params.quads;
        let p2 = (base + min(4u * q + 2u, last)) * params.quads;
        let p3 = (base + min(4u * q + 3u, last)) * params.quads;
        var products = vec4<f32>();
        var squares = 0.0;
        for (var d = 0u; d < params.quads; d += 1u) {
            // Interpolated again for every four prototypes: cheaper than keeping D numbers.
            let e = mix(mix(emb[e00 + d], emb[e01 + d], x.t), mix(emb[e10 + d], emb[e11 + d], x.t), y.t);
            squares += dot(e, e);
            products += vec4<f32>(dot(e, protos[p0 + d]), dot(e, protos[p1 + d]), dot(e, protos[p2 + d]), dot(e, protos[p3 + d]));
        }
        // Interpolation shortens a unit vector, so the cosine needs its length.
        let s = products / max(sqrt(squares), 1e-12);
        for (var lane = 0u; lane < min(4u, params.num_protos - 4u * q); lane += 1u) {
            if (s[lane] > best) {
                best = s[lane];
                winner = 4u * q + lane;
            }
        }
        sim[m * sim_quads + q] = select(vec4<f32>(0.0), s * lane_mask(q, params.num_protos), inside);
    }
    nearest[m] = select(0u, winner, inside);
}
