// A factor per channel: y = x gamma; the LayerScale of Touvron et al. 2021. Gradients: dx = dy gamma, dgamma = sum of dy x.
//
// Layout: rows of `quads` vec4s; gamma is rank 1 and masked. An invocation walks down one vec4 column (lib/walk.wgsl).
// Iterations: rows of a block (at most 64), parts (128).
//!include lib/index.wgsl
//!include lib/lanes.wgsl
//!include lib/walk.wgsl
//!include lib/columns.wgsl

struct Params {
    // Rows, vec4s per row, real channels.
    rows: u32,
    quads: u32,
    channels: u32,
    // The column walk of lib/walk.wgsl.
    team_rows: u32,
    block_rows: u32,
    // Partial sums of dgamma: written by channel_scale_grad, and left when the merging is done.
    num_parts: u32,
    parts_in: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> gamma: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> dgamma: array<vec4<f32>>;

@compute @workgroup_size(64)
fn channel_scale(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = start(id, groups);
    // Loaded once for the column.
    let factor = masked(gamma[at.quad], at.quad, params.channels);
    for (var row = at.row; row < at.end; row += params.team_rows) {
        let i = row * params.quads + at.quad;
        out[i] = x[i] * factor;
    }
}

// dx, and parts of dgamma.
@compute @workgroup_size(64)
fn channel_scale_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = start(id, groups);
    if (at.part >= params.num_parts) {
        return;
    }
    let factor = masked(gamma[at.quad], at.quad, params.channels);
    var sum = vec4<f32>(0.0);
    for (var row = at.row; row < at.end; row += params.team_rows) {
        let i = row * params.quads + at.quad;
        let g = dy[i];
        sum += g * x[i];
        out[i] = g * factor;
    }
    parts_out[at.part * params.quads + at.quad] = sum;
}

@compute @workgroup_size(64)
fn channel_scale_finish(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.quads) {
        let sum = column_sum(0u, params.parts_in, params.quads, id.x);
        dgamma[id.x] = masked(sum, id.x, params.channels);
    }
}
