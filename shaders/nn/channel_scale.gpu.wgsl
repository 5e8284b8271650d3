// A factor per channel on GPUs: the formulas of channel_scale.wgsl, rows and columns shared out by lib/strips.wgsl.
// Workgroup: 256 invocations, 8 KiB of its memory at most.
//!include lib/lanes.wgsl
//!include lib/strips.wgsl
//!include lib/strip_store.wgsl

struct Params {
    // See lib/strips.wgsl.
    rows: u32,
    quads: u32,
    channels: u32,
    wide: u32,
    block_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> gamma: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> dgamma: array<vec4<f32>>;

// In range even for an invocation without a column, which walks nothing.
fn factor_of(column: u32) -> vec4<f32> {
    let quad = min(column, params.quads - 1u);
    return masked(gamma[quad], quad, params.channels);
}

@compute @workgroup_size(256)
fn channel_scale(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    let factor = factor_of(at.quad);
    for (var row = at.row; row < at.end; row += 4u * at.step) {
        let f = four(at, row);
        let x0 = x[f.at.x]; let x1 = x[f.at.y]; let x2 = x[f.at.z]; let x3 = x[f.at.w];
        store_four(f, x0 * factor, x1 * factor, x2 * factor, x3 * factor);
    }
}

// dx, and parts of dgamma.
@compute @workgroup_size(256)
fn channel_scale_grad(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    let factor = factor_of(at.quad);
    var sum = vec4<f32>(0.0);
    for (var row = at.row; row < at.end; row += 4u * at.step) {
        let f = four(at, row);
        // All are loaded before the first is stored: a store may not be overtaken by a load.
        let x0 = x[f.at.x]; let x1 = x[f.at.y]; let x2 = x[f.at.z]; let x3 = x[f.at.w];
        let g0 = dy[f.at.x]; let g1 = dy[f.at.y]; let g2 = dy[f.at.z]; let g3 = dy[f.at.w];
        sum += sum_if(f, g0 * x0, g1 * x1, g2 * x2, g3 * x3);
        store_four(f, g0 * factor, g1 * factor, g2 * factor, g3 * factor);
    }
    let all = folded(lane, sum);
    if (at.stores) {
        parts_out[at.block * params.quads + at.quad] = all;
    }
}

@compute @workgroup_size(256)
fn channel_scale_finish(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    // Rows are the parts here.
    let sum = sum_of_parts(at, lane, 0u);
    if (at.stores) {
        dgamma[at.quad] = masked(sum, at.quad, params.channels);
    }
}
