// Layer normalisation of every row over its channels: y = gamma * (x - mean) / sqrt(var + eps) + beta, biased variance.
//
// Layout: rows of `quads` vec4s; gamma and beta are rank 1 and masked. stats and sums hold two numbers per row.
// Row kernels (layer_norm_stats, layer_norm_grad_rows): `team` neighbouring invocations share a row, so that wide rows are
// read in order; after a barrier each adds up the team's numbers in the same order. On software
// adapters the team is 1: there a barrier and workgroup memory cost more than strided reads.
// Column kernels (layer_norm, layer_norm_grad): an invocation walks down one vec4 column (lib/walk.wgsl).
// Iterations per invocation: quads of a row (at most 512 for 2048 channels), rows of a block (at most 64), parts (128).
//!include lib/index.wgsl
//!include lib/lanes.wgsl
//!include lib/walk.wgsl
//!include lib/columns.wgsl
//!include lib/total.wgsl

struct Params {
    // Rows, vec4s per row, real channels.
    rows: u32,
    quads: u32,
    channels: u32,
    // The column walk of lib/walk.wgsl.
    team_rows: u32,
    block_rows: u32,
    // Partial sums of dgamma and dbeta: written by layer_norm_grad, and left when the merging is done.
    num_parts: u32,
    parts_in: u32,
    // Invocations that share a row: 8 or 1, so that no team crosses a workgroup of 64.
    team: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> gamma: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> beta: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> stats: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read> sums: array<vec2<f32>>;
@group(0) @binding(7) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> stats_out: array<vec2<f32>>;
@group(0) @binding(9) var<storage, read_write> sums_out: array<vec2<f32>>;
@group(0) @binding(10) var<storage, read_write> dgamma: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read_write> dbeta: array<vec4<f32>>;

// One pair for every invocation of the workgroup.
var<workgroup> shared_pairs: array<vec2<f32>, 64>;

// The row of this invocation; the last one stands in for rows beyond the end, which are not stored.
fn row_of(id: vec3<u32>, groups: vec3<u32>) -> u32 {
    return linear_index(id, groups, 64u) / params.team;
}

// The sum of the team's pairs, in order of its invocations.
fn team_sum(place: u32, pair: vec2<f32>) -> vec2<f32> {
    // Nobody may still be reading the pairs of an earlier sum.
    workgroupBarrier();
    shared_pairs[place] = pair;
    workgroupBarrier();
    // Everybody adds the same numbers in the same order, so the whole team agrees on the bits.
    let first = place - place % params.team;
    var sum = vec2<f32>(0.0);
    for (var k = 0u; k < params.team; k++) {
        sum += shared_pairs[first + k];
    }
    return sum;
}

// Mean and 1 / sqrt(var + eps) per row. The variance takes a second reading of the row (it is in the cache by then): in one
// reading, a row with one large channel would cancel. Padding lanes are zero, so only their distance needs the mask.
@compute @workgroup_size(64)
fn layer_norm_stats(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    // Nobody returns early: the barriers in team_sum need all 64.
    let wanted = row_of(id, groups);
    let row = min(wanted, params.rows - 1u);
    let member = place % params.team;
    let weight = 1.0 / f32(params.channels);
    var sum = vec4<f32>(0.0);
    for (var quad = member; quad < params.quads; quad += params.team) {
        sum += x[row * params.quads + quad];
    }
    let mean = team_sum(place, vec2<f32>(total(sum), 0.0)).x * weight;
    var squares = vec4<f32>(0.0);
    for (var quad = member; quad < params.quads; quad += params.team) {
        let d = (x[row * params.quads + quad] - mean) * lane_mask(quad, params.channels);
        squares += d * d;
    }
    let variance = team_sum(place, vec2<f32>(total(squares), 0.0)).x * weight;
    if (wanted < params.rows && member == 0u) {
        stats_out[row] = vec2<f32>(mean, 1.0 / sqrt(variance + params.eps));
    }
}

@compute @workgroup_size(64)
fn layer_norm(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = start(id, groups);
    // Loaded once for the column. Masked, they also write the padding's zeros: (0 - mean) * 0 + 0.
    let scale = masked(gamma[at.quad], at.quad, params.channels);
    let shift = masked(beta[at.quad], at.quad, params.channels);
    for (var row = at.row; row < at.end; row += params.team_rows) {
        let s = stats[row];
        let i = row * params.quads + at.quad;
        out[i] = (x[i] - s.x) * s.y * scale + shift;
    }
}

// Per row: mean(gz) and mean(gz * xhat), gz = gamma * dy.
@compute @workgroup_size(64)
fn layer_norm_grad_rows(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    let wanted = row_of(id, groups);
    let row = min(wanted, params.rows - 1u);
    let member = place % params.team;
    let s = stats[row];
    var sum = vec4<f32>(0.0);
    var product = vec4<f32>(0.0);
    for (var quad = member; quad < params.quads; quad += params.team) {
        let i = row * params.quads + quad;
        // gz is the gradient of xhat; in the padding gamma is masked to 0.
        let gz = dy[i] * masked(gamma[quad], quad, params.channels);
        sum += gz;
        // xhat = (x - mean) * s.y; the factor is applied once per row, below.
        product += gz * (x[i] - s.x);
    }
    let both = team_sum(place, vec2<f32>(total(sum), total(product) * s.y)) / f32(params.channels);
    if (wanted < params.rows && member == 0u) {
        sums_out[row] = both;
    }
}

// dx = (gz - mean(gz) - xhat * mean(gz * xhat)) / deviation, and parts of dgamma = sum dy * xhat, dbeta = sum dy.
@compute @workgroup_size(64)
fn layer_norm_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = start(id, groups);
    if (at.part >= params.num_parts) {
        return;
    }
    let scale = masked(gamma[at.quad], at.quad, params.channels);
    // Without it the padding would get -s.y * (mean(gz) + xhat * ...): the row's means are not 0 there.
    let mask = lane_mask(at.quad, params.channels);
    var sum = vec4<f32>(0.0);
    var product = vec4<f32>(0.0);
    for (var row = at.row; row < at.end; row += params.team_rows) {
        let s = stats[row];
        // mean(gz) and mean(gz * xhat): the parts of dx that leave the row's mean and deviation unchanged.
        let m = sums[row];
        let i = row * params.quads + at.quad;
        let g = dy[i];
        let xhat = (x[i] - s.x) * s.y;
        sum += g;
        product += g * xhat;
        out[i] = mask * (s.y * (g * scale - m.x - xhat * m.y));
    }
    // Rows of a part: dgamma, then dbeta.
    let to = 2u * at.part * params.quads + at.quad;
    parts_out[to] = product;
    parts_out[to + params.quads] = sum;
}

@compute @workgroup_size(64)
fn layer_norm_grad_finish(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.quads) {
        // dgamma and dbeta of a part lie side by side.
        let width = 2u * params.quads;
        let product = column_sum(0u, params.parts_in, width, id.x);
        let sum = column_sum(0u, params.parts_in, width, id.x + params.quads);
        dgamma[id.x] = masked(product, id.x, params.channels);
        dbeta[id.x] = masked(sum, id.x, params.channels);
    }
}
