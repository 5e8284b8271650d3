// Gradients of mask norm's gamma and beta on GPUs: the sums over rows of class_logit.wgsl, by workgroups (lib/strips.wgsl).
// Workgroup: 256 invocations, 8 KiB of its memory.
//!include lib/strips.wgsl

struct Params {
    // N or the parts, vec4s of the tile's rows, and how they are shared out: see lib/strips.wgsl.
    rows: u32,
    quads: u32,
    wide: u32,
    block_rows: u32,
    // The tile's first class, a multiple of 4.
    first_class: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> d_logit: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> stats: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read_write> d_gamma: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read_write> d_beta: array<vec4<f32>>;

// do * hhat and do of one row.
fn terms(value: vec4<f32>, g: vec4<f32>, row: vec4<f32>, real: bool) -> Pair {
    // row = (count, mean, M2, 0).
    return pair_if(real, g * ((value - row.y) * inverseSqrt(row.z / row.x + params.eps)), g);
}

@compute @workgroup_size(256)
fn class_logit_partial(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    var sum = Pair();
    for (var row = at.row; row < at.end; row += 4u * at.step) {
        let f = four(at, row);
        // All are loaded before the first is used.
        let s0 = stats[f.row.x]; let s1 = stats[f.row.y]; let s2 = stats[f.row.z]; let s3 = stats[f.row.w];
        let g0 = d_logit[f.at.x]; let g1 = d_logit[f.at.y]; let g2 = d_logit[f.at.z]; let g3 = d_logit[f.at.w];
        let p0 = terms(a[f.at.x], g0, s0, f.real.x); let p1 = terms(a[f.at.y], g1, s1, f.real.y);
        let p2 = terms(a[f.at.z], g2, s2, f.real.z); let p3 = terms(a[f.at.w], g3, s3, f.real.w);
        sum = plus(sum, plus(plus(p0, p1), plus(p2, p3)));
    }
    store_pair(at, folded_pair(lane, sum));
}

// Adds the parts to what the gradients hold; d_logit's padding is zero, so padding stays as it was.
@compute @workgroup_size(256)
fn class_logit_affine(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    // Rows are the parts here.
    let all = pairs_of_parts(at, lane);
    if (at.stores) {
        d_gamma[params.first_class / 4u + at.quad] += all.one;
        d_beta[params.first_class / 4u + at.quad] += all.two;
    }
}
