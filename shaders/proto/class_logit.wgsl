// Mask norm over the C classes of each row, in tiles of classes (spec sections 4 and 9.2):
//   o = gamma * hhat + beta,  hhat = (a - mean) * s,  s = 1 / sqrt(var + eps),  var = M2 / C
//   da = s * (gh - mean_c(gh) - hhat * mean_c(gh * hhat)),  gh = gamma * do
//   dgamma += sum_n do * hhat,  dbeta += sum_n do
// Running state per row: stats = (count, mean, M2, 0), merged tile by tile with Chan's formula;
// sums = (sum gh, sum gh * hhat, 0, 0).
//
// Layout: a, o, do, da [N, classes of the tile] in vec4s; gamma, beta and their gradients [C], read as vec4s from
// first_class (a multiple of 4), lanes beyond C masked.
// Workgroups of 64 without barriers. Loops: 8 vec4s of a tile, or the rows of a block, or the blocks: at most 2048.
//!include lib/index.wgsl
//!include lib/lanes.wgsl

struct Params {
    // N, then the tile: vec4s per row, real classes, its first class.
    num_rows: u32,
    quads: u32,
    channels: u32,
    first_class: u32,
    first: u32,        // 1 on the first tile: there is no running state yet
    // Rows of a partial sum of dgamma and dbeta, and how many such blocks there are.
    block_rows: u32,
    num_blocks: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> d_logit: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> stats: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> sums: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> gamma: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> beta: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> state: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> partial: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read_write> d_gamma: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read_write> d_beta: array<vec4<f32>>;

fn scale_of(row: vec4<f32>) -> f32 {
    // row = (count, mean, M2, 0); the variance is biased, as in every layer normalisation.
    return inverseSqrt(row.z / row.x + params.eps);
}

// A select and not a product: lanes beyond the end of gamma may hold anything.
fn gamma_of(q: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), gamma[params.first_class / 4u + q], lane_mask(q, params.channels) > vec4<f32>(0.0));
}

// One invocation: the tile's values of one row, mean first and then squares around it, so that nothing cancels.
@compute @workgroup_size(64)
fn class_logit_stats(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 64u);
    if (n >= params.num_rows) {
        return;
    }
    let ones = vec4<f32>(1.0);
    var total = vec4<f32>();
    for (var q = 0u; q < params.quads; q += 1u) {
        total += a[n * params.quads + q];
    }
    let count = f32(params.channels);
    let mean = dot(total, ones) / count;
    var squares = vec4<f32>();
    for (var q = 0u; q < params.quads; q += 1u) {
        // Padding lanes hold 0, which is not the mean: the mask keeps them out of M2.
        let distance = (a[n * params.quads + q] - mean) * lane_mask(q, params.channels);
        squares += distance * distance;
    }
    let m2 = dot(squares, ones);
    if (params.first == 1u) {
        state[n] = vec4<f32>(count, mean, m2, 0.0);
        return;
    }
    let old = state[n];
    let all = old.x + count;
    // Chan: mean += gap * n2 / n, M2 += M2' + gap^2 * n1 * n2 / n.
    let gap = mean - old.y;
    state[n] = vec4<f32>(all, old.y + gap * (count / all), old.z + m2 + gap * gap * (old.x * count / all), 0.0);
}

@compute @workgroup_size(64)
fn class_logit(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_rows * params.quads) {
        let n = i / params.quads;
        let q = i - n * params.quads;
        let row = stats[n];
        let hhat = (a[i] - row.y) * scale_of(row);
        let shift = beta[params.first_class / 4u + q];
        let inside = lane_mask(q, params.channels) > vec4<f32>(0.0);
        out[i] = select(vec4<f32>(0.0), gamma_of(q) * hhat + shift, inside);
    }
}

@compute @workgroup_size(64)
fn class_logit_sums(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 64u);
    if (n >= params.num_rows) {
        return;
    }
    let row = stats[n];
    let scale = scale_of(row);
    var plain = vec4<f32>();
    var weighted = vec4<f32>();
    for (var q = 0u; q < params.quads; q += 1u) {
        // Both sums run over all C classes, so each tile adds to what the earlier ones left.
        let gh = gamma_of(q) * d_logit[n * params.quads + q];
        plain += gh;
        weighted += gh * ((a[n * params.quads + q] - row.y) * scale);
    }
    let ones = vec4<f32>(1.0);
    let tile = vec4<f32>(dot(plain, ones), dot(weighted, ones), 0.0, 0.0);
    if (params.first == 1u) {
        state[n] = tile;
    } else {
        state[n] += tile;
    }
}

// With one class the logit is beta: da is 0, where the formula would give rounding errors times 1 / sqrt(eps).
@compute @workgroup_size(64)
fn class_logit_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_rows * params.quads) {
        let n = i / params.quads;
        let q = i - n * params.quads;
        let row = stats[n];
        // sums / C, where row.x = C once all tiles are merged: mean(gh) and mean(gh * hhat).
        let mean = sums[n] / row.x;
        let scale = scale_of(row);
        let hhat = (a[i] - row.y) * scale;
        let gh = gamma_of(q) * d_logit[i];
        let constant = row.x < 2.0;
        out[i] = select(scale, 0.0, constant) * (gh - mean.x - hhat * mean.y) * lane_mask(q, params.channels);
    }
}

// partial [block, quad, (dgamma, dbeta)]: one invocation sums one vec4 of classes over one block of rows.
@compute @workgroup_size(64)
fn class_logit_partial(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.num_blocks * params.quads) {
        return;
    }
    let block = i / params.quads;
    let q = i - block * params.quads;
    // Blocks bound both the loop and the rounding error of the sums.
    let end = min((block + 1u) * params.block_rows, params.num_rows);
    var to_gamma = vec4<f32>();
    var to_beta = vec4<f32>();
    for (var n = block * params.block_rows; n < end; n += 1u) {
        let row = stats[n];
        let g = d_logit[n * params.quads + q];
        to_gamma += g * ((a[n * params.quads + q] - row.y) * scale_of(row));
        to_beta += g;
    }
    partial[2u * i] = to_gamma;
    partial[2u * i + 1u] = to_beta;
}

// Adds the blocks in order. One invocation: one vec4 of classes; d_logit's padding is zero, so padding stays as it was.
@compute @workgroup_size(64)
fn class_logit_affine(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let q = linear_index(id, groups, 64u);
    if (q >= params.quads) {
        return;
    }
    var to_gamma = vec4<f32>();
    var to_beta = vec4<f32>();
    for (var block = 0u; block < params.num_blocks; block += 1u) {
        to_gamma += partial[2u * (block * params.quads + q)];
        to_beta += partial[2u * (block * params.quads + q) + 1u];
    }
    d_gamma[params.first_class / 4u + q] += to_gamma;
    d_beta[params.first_class / 4u + q] += to_beta;
}
