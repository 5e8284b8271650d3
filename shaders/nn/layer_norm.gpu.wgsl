// The column kernels of layer normalisation on GPUs: the formulas of layer_norm.wgsl, rows and columns shared out by
// lib/strips.wgsl. The row kernels (statistics, and the means of the gradient) are those of layer_norm.wgsl.
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
@group(0) @binding(4) var<storage, read> beta: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> stats: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read> sums: array<vec2<f32>>;
@group(0) @binding(7) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read_write> dgamma: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read_write> dbeta: array<vec4<f32>>;

// One row of the column, loaded: values and what stats and sums hold of it.
struct Loaded {
    x: vec4<f32>,
    g: vec4<f32>,
    s: vec2<f32>,
    m: vec2<f32>,
}

@compute @workgroup_size(256)
fn layer_norm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    // In range even for an invocation without a column, which walks nothing.
    let quad = min(at.quad, params.quads - 1u);
    // Masked, they also write the padding's zeros: (0 - mean) * 0 + 0.
    let scale = masked(gamma[quad], quad, params.channels);
    let shift = masked(beta[quad], quad, params.channels);
    for (var row = at.row; row < at.end; row += 4u * at.step) {
        let f = four(at, row);
        let s0 = stats[f.row.x]; let s1 = stats[f.row.y]; let s2 = stats[f.row.z]; let s3 = stats[f.row.w];
        let x0 = x[f.at.x]; let x1 = x[f.at.y]; let x2 = x[f.at.z]; let x3 = x[f.at.w];
        store_four(
            f,
            (x0 - s0.x) * s0.y * scale + shift,
            (x1 - s1.x) * s1.y * scale + shift,
            (x2 - s2.x) * s2.y * scale + shift,
            (x3 - s3.x) * s3.y * scale + shift,
        );
    }
}

fn loaded(at: u32, row: u32) -> Loaded {
    return Loaded(x[at], dy[at], stats[row], sums[row]);
}

fn xhat(l: Loaded) -> vec4<f32> {
    return (l.x - l.s.x) * l.s.y;
}

// dx = (gz - mean(gz) - xhat * mean(gz * xhat)) / deviation, gz = gamma * dy.
fn dx_of(l: Loaded, scale: vec4<f32>) -> vec4<f32> {
    return l.s.y * (l.g * scale - l.m.x - xhat(l) * l.m.y);
}

// dx, and parts of dgamma = sum dy * xhat, dbeta = sum dy.
@compute @workgroup_size(256)
fn layer_norm_grad(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    let quad = min(at.quad, params.quads - 1u);
    let scale = masked(gamma[quad], quad, params.channels);
    // Without it the padding would get -s.y * (mean(gz) + xhat * ...): the row's means are not 0 there.
    let mask = lane_mask(quad, params.channels);
    var sum = Pair();
    for (var row = at.row; row < at.end; row += 4u * at.step) {
        let f = four(at, row);
        // All are loaded before the first is stored.
        let l0 = loaded(f.at.x, f.row.x); let l1 = loaded(f.at.y, f.row.y);
        let l2 = loaded(f.at.z, f.row.z); let l3 = loaded(f.at.w, f.row.w);
        let p0 = pair_if(f.real.x, l0.g * xhat(l0), l0.g); let p1 = pair_if(f.real.y, l1.g * xhat(l1), l1.g);
        let p2 = pair_if(f.real.z, l2.g * xhat(l2), l2.g); let p3 = pair_if(f.real.w, l3.g * xhat(l3), l3.g);
        sum = plus(sum, plus(plus(p0, p1), plus(p2, p3)));
        store_four(
            f,
            mask * dx_of(l0, scale),
            mask * dx_of(l1, scale),
            mask * dx_of(l2, scale),
            mask * dx_of(l3, scale),
        );
    }
    store_pair(at, folded_pair(lane, sum));
}

@compute @workgroup_size(256)
fn layer_norm_grad_finish(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    // Rows are the parts here: dgamma, then dbeta.
    let all = pairs_of_parts(at, lane);
    if (at.stores) {
        dgamma[at.quad] = masked(all.one, at.quad, params.channels);
        dbeta[at.quad] = masked(all.two, at.quad, params.channels);
    }
}
