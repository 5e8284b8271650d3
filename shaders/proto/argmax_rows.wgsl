// Running arg-max over the classes of each row, tile by tile: best[n] and pred[n], lowest class index on ties.
//
// Layout: o [N, classes of the tile] in vec4s; best and pred [N] dense.
// One invocation per row, workgroups of 64; loop over the 8 vec4s of a tile at most.
//!include lib/index.wgsl

struct Params {
    num_rows: u32,
    quads: u32,
    channels: u32,
    first_class: u32,
    first: u32,  // 1 on the first tile: there is no running state yet
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> o: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> pred: array<u32>;
@group(0) @binding(3) var<storage, read_write> best: array<f32>;

@compute @workgroup_size(64)
fn argmax_rows(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 64u);
    if (n >= params.num_rows) {
        return;
    }
    // Below every logit. Padding lanes are skipped by the loop's bound.
    var high = -3e38;
    var winner = 0u;
    if (params.first == 0u) {
        high = best[n];
        winner = pred[n];
    }
    for (var q = 0u; q < params.quads; q += 1u) {
        let v = o[n * params.quads + q];
        for (var lane = 0u; lane < min(4u, params.channels - 4u * q); lane += 1u) {
            // Strictly greater, and classes in order: the lowest index wins a tie, across tiles too.
            if (v[lane] > high) {
                high = v[lane];
                winner = params.first_class + 4u * q + lane;
            }
        }
    }
    best[n] = high;
    pred[n] = winner;
}
