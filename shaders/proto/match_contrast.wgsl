// Gradient of matching and contrast in one: the matching's share of the contrast's weights.
//   d emb[n] = sum_j (w_j + [j is the winner of its class c] da[n,c]) protos[j],   w_j as in ppc.wgsl
// ppc_weights has written w of a block of pixels and a tile of prototypes; this adds da where a class has its winner
// there, and ppc_accumulate then multiplies both by the prototypes at once. Every winner is another place, so no two
// invocations add to the same.
//
// Layout: da [N,C] in whole vec4s, winner [N,C] dense; weights one float per pixel and prototype, in the order of the
// family's ppc kernels. Workgroup: 64 neighbouring pixels. No loop.
//!include lib/index.wgsl

struct Params {
    num_items: u32,    // pixels of the block x classes that have a prototype in the tile
    num_protos: u32,   // K
    num_classes: u32,
    first: u32,        // the block
    pixels: u32,
    start: u32,        // the tile
    count: u32,
    first_class: u32,  // the first class with a prototype in the tile
    rows: u32,         // 1: weights [pixel][64 prototypes], 0: [vec4 of prototypes][pixel]
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> da: array<f32>;
@group(0) @binding(2) var<storage, read> winner: array<u32>;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;

@compute @workgroup_size(64)
fn match_contrast_winners(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.num_items) {
        return;
    }
    let c = params.first_class + i / params.pixels;
    let p = i % params.pixels;
    let n = params.first + p;
    let j = c * params.num_protos + winner[n * params.num_classes + c];
    // A class may lie across two tiles, and its winner in the other one.
    if (j >= params.start && j < params.start + params.count) {
        let local = j - params.start;
        let at = select(4u * (local / 4u * params.pixels + p) + local % 4u, 64u * p + local, params.rows == 1u);
        weights[at] += da[n * 4u * ((params.num_classes + 3u) / 4u) + c];
    }
}
