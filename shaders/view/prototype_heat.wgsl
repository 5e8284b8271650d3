// How near every output pixel is to one prototype, or to the nearest of a class: the cosine of the embedding interpolated at the
// pixel (aligned corners) and normalised again, as in nearest_prototype.
//   heat = <e, p> / |e|, the largest over the class's K where selected k = 0xffffffff;  computed per lib/cell_gram.wgsl
// Selections out of range take the last class or prototype.
//
// Layout: emb [height,width,D], protos [C,K,D] and heat [out_height,out_width] in vec4s, the last axis padded; selected (class, k);
// gram three vec4s per place; dots [K / 4][place] a vec4 of four prototypes each.
//   heat_cells      one invocation per place: products among the corners of its cell
//   heat_dots       one invocation per place and four prototypes; nothing but the selected four if there are such
//   prototype_heat  one invocation per four neighbouring pixels
// Workgroups of 64. Loops: D / 4; four pixels times K / 4.
//!include lib/index.wgsl

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
@group(0) @binding(3) var<storage, read> selected: array<u32>;
@group(0) @binding(4) var<storage, read_write> gram: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> dots: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> heat: array<vec4<f32>>;

//!include lib/cell_gram.wgsl

// The vec4s of the class's K that are wanted, and which lane (4 = the largest of all).
struct Wanted {
    first: u32,
    end: u32,
    lane: u32,
}

fn wanted() -> Wanted {
    let k = selected[1];
    if (k == 0xffffffffu) {
        return Wanted(0u, (params.num_protos + 3u) / 4u, 4u);
    }
    let inside = min(k, params.num_protos - 1u);
    return Wanted(inside / 4u, inside / 4u + 1u, inside % 4u);
}

@compute @workgroup_size(64)
fn heat_cells(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 64u);
    if (n < params.height * params.width) {
        write_gram(n);
    }
}

@compute @workgroup_size(64)
fn heat_dots(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let places = params.height * params.width;
    let q = i / places;
    let range = wanted();
    if (q < range.first || q >= range.end) {
        return;
    }
    let last = params.num_protos - 1u;
    let base = min(selected[0], params.num_classes - 1u) * params.num_protos;
    // Prototypes past K repeat the last one.
    let p0 = (base + 4u * q) * params.quads;
    let p1 = (base + min(4u * q + 1u, last)) * params.quads;
    let p2 = (base + min(4u * q + 2u, last)) * params.quads;
    let p3 = (base + min(4u * q + 3u, last)) * params.quads;
    let e = (i - q * places) * params.quads;
    var products = vec4<f32>();
    for (var d = 0u; d < params.quads; d += 1u) {
        let x = emb[e + d];
        products += vec4<f32>(dot(x, protos[p0 + d]), dot(x, protos[p1 + d]), dot(x, protos[p2 + d]), dot(x, protos[p3 + d]));
    }
    dots[i] = products;
}

@compute @workgroup_size(64)
fn prototype_heat(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let runs = (params.out_width + 3u) / 4u;
    let row = i / runs;
    if (row >= params.out_height) {
        return;
    }
    let x = 4u * (i - row * runs);
    let places = params.height * params.width;
    let range = wanted();
    let y = tap(row, params.height, params.out_height);
    // Lanes past the row's end stay zeros, as padding is everywhere.
    var four = vec4<f32>();
    for (var lane = 0u; lane < min(4u, params.out_width - x); lane += 1u) {
        let corners = corners_at(y, tap(x + lane, params.width, params.out_width));
        var most = -3e38;
        for (var q = range.first; q < range.end; q += 1u) {
            let at = corners.at + q * places;
            let w = corners.weight;
            let v = w.x * dots[at.x] + w.y * dots[at.y] + w.z * dots[at.z] + w.w * dots[at.w];
            // Repeats of the last prototype change no maximum.
            let highest = max(max(v.x, v.y), max(v.z, v.w));
            most = max(most, select(v[range.lane % 4u], highest, range.lane == 4u));
        }
        four[lane] = most * inverse_length(corners);
    }
    heat[i] = four;
}
