// Batch normalisation on GPUs: the formulas of batch_norm.wgsl, rows and columns shared out by lib/strips.wgsl.
//
// Forward: batch_norm_stats, batch_norm_finish, batch_norm. Backward: batch_norm_grad_sums, batch_norm_grad_finish,
// batch_norm_grad. Constants per channel are loaded once per invocation, for 4 rows or more.
// Workgroup: 256 invocations; 9 KiB of its memory at most.
//!include lib/lanes.wgsl
//!include lib/limited.wgsl
//!include lib/strips.wgsl
//!include lib/strip_store.wgsl

struct Params {
    // See lib/strips.wgsl.
    rows: u32,
    quads: u32,
    channels: u32,
    wide: u32,
    block_rows: u32,
    // Rows of the batch and of a block, whatever is walked: the counts behind the parts.
    batch_rows: u32,
    batch_block_rows: u32,
    eps: f32,
    low: f32,
    high: f32,
    // 1 / rows of the batch, or 0 where the statistics are constants (evaluation mode).
    weight: f32,
}

//!include lib/batch_norm.wgsl

// Count, mean and sum of squared deviations of some rows.
struct Moments {
    count: f32,
    mean: vec4<f32>,
    spread: vec4<f32>,
}

var<workgroup> counts: array<f32, 256>;

// Chan's rule for the moments of disjoint sets.
fn joined(a: Moments, b: Moments) -> Moments {
    // The floor of 1 serves two empty sets.
    let share = b.count / max(a.count + b.count, 1.0);
    let d = b.mean - a.mean;
    return Moments(a.count + b.count, a.mean + d * share, a.spread + b.spread + d * d * (a.count * share));
}

// Leaves in the lanes that store the moments of the workgroup's rows.
fn folded_moments(lane: u32, m: Moments) -> Moments {
    counts[lane] = m.count;
    ones[lane] = m.mean;
    twos[lane] = m.spread;
    var all = m;
    for (var half = 128u; half >= params.wide; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            let other = lane + half;
            all = joined(all, Moments(counts[other], ones[other], twos[other]));
            // Lanes below `half` are read in a later turn only.
            counts[lane] = all.count;
            ones[lane] = all.mean;
            twos[lane] = all.spread;
        }
    }
    return all;
}

// Sums are taken of the distance from the invocation's first row, so that a mean far from 0 cancels nothing.
@compute @workgroup_size(256)
fn batch_norm_stats(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    let shift = x[min(at.row, params.rows - 1u) * params.quads + min(at.quad, params.quads - 1u)];
    var sum = Pair();
    var count = 0.0;
    for (var row = at.row; row < at.end; row += 4u * at.step) {
        let f = four(at, row);
        // All four are loaded before the first is used.
        let d0 = x[f.at.x] - shift; let d1 = x[f.at.y] - shift; let d2 = x[f.at.z] - shift; let d3 = x[f.at.w] - shift;
        let p0 = pair_if(f.real.x, d0, d0 * d0); let p1 = pair_if(f.real.y, d1, d1 * d1);
        let p2 = pair_if(f.real.z, d2, d2 * d2); let p3 = pair_if(f.real.w, d3, d3 * d3);
        sum = plus(sum, plus(plus(p0, p1), plus(p2, p3)));
        // No dot(): of constants alone DXC makes one in f64, which it then refuses.
        let ones = select(vec4<f32>(0.0), vec4<f32>(1.0), f.real);
        count += (ones.x + ones.y) + (ones.z + ones.w);
    }
    // mean = shift + offset, and sum (x - mean)^2 = squares - sum * offset. Rounding may leave that slightly below 0; NaN
    // must stay. An invocation without a row has the moments of nothing, which change no others.
    let offset = sum.one / max(count, 1.0);
    let spread = sum.two - sum.one * offset;
    let kept = select(max(spread, vec4<f32>(0.0)), spread, is_nan(spread));
    let m = folded_moments(lane, Moments(count, select(vec4<f32>(0.0), shift + offset, count > 0.0), kept));
    // A part is mean and spread: its count follows from its number.
    store_pair(at, Pair(m.mean, m.spread));
}

// The moments of part number `part`, whose mean stands at `at`; of nothing if it is not real.
fn moments_of_part(part: u32, at: u32, real: bool) -> Moments {
    let first = part * params.batch_block_rows;
    let count = select(0.0, f32(min(params.batch_block_rows, params.batch_rows - first)), real);
    let pair = part_pair(at, real);
    return Moments(count, pair.one, pair.two);
}

@compute @workgroup_size(256)
fn batch_norm_finish(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    // Rows are the parts here.
    let at = strip(group, groups, lane);
    var m = Moments();
    for (var part = at.row; part < at.end; part += 4u * at.step) {
        let f = four(at, part);
        let i = 2u * f.at - vec4<u32>(at.quad);
        let m0 = moments_of_part(part, i.x, f.real.x);
        let m1 = moments_of_part(part + at.step, i.y, f.real.y);
        let m2 = moments_of_part(part + 2u * at.step, i.z, f.real.z);
        let m3 = moments_of_part(part + 3u * at.step, i.w, f.real.w);
        m = joined(m, joined(joined(m0, m1), joined(m2, m3)));
    }
    let all = folded_moments(lane, m);
    if (at.stores) {
        mean_out[at.quad] = masked(all.mean, at.quad, params.channels);
        // The biased variance: what the batch is normalised with. running_stats corrects it.
        variance_out[at.quad] = masked(all.spread / all.count, at.quad, params.channels);
    }
}

// What y = (x - center) * slope + shift takes of a column.
struct Line {
    center: vec4<f32>,
    slope: vec4<f32>,
    shift: vec4<f32>,
    inverse: vec4<f32>,
}

fn line(column: u32) -> Line {
    // In range even for an invocation without a column, which walks nothing.
    let quad = min(column, params.quads - 1u);
    let inverse = inverse_deviation(quad);
    // Masks on all three keep the padding at limited(0, low, high) = 0.
    return Line(
        masked(mean[quad], quad, params.channels),
        masked(gamma[quad] * inverse, quad, params.channels),
        masked(beta[quad], quad, params.channels),
        inverse,
    );
}

fn normed(value: vec4<f32>, l: Line) -> vec4<f32> {
    return limited((value - l.center) * l.slope + l.shift, vec4<f32>(params.low), vec4<f32>(params.high));
}

@compute @workgroup_size(256)
fn batch_norm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    let l = line(at.quad);
    for (var row = at.row; row < at.end; row += 4u * at.step) {
        let f = four(at, row);
        // All four are loaded before the first is stored, which no later load may overtake.
        let x0 = x[f.at.x]; let x1 = x[f.at.y]; let x2 = x[f.at.z]; let x3 = x[f.at.w];
        store_four(
            f,
            normed(x0, l),
            normed(x1, l),
            normed(x2, l),
            normed(x3, l),
        );
    }
}

// g and g * (x - mean) of a row, for dbeta and dgamma.
fn products(d: vec4<f32>, g: vec4<f32>, l: Line, real: bool) -> Pair {
    let open = through(d, l.slope, l.shift, g);
    return pair_if(real, open * d, open);
}

// Parts of dgamma = sum g * xhat and, behind them, of dbeta = sum g, with g the gradient before the activation.
@compute @workgroup_size(256)
fn batch_norm_grad_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    let l = line(at.quad);
    // In the order of a part: first what becomes dgamma.
    var sum = Pair();
    for (var row = at.row; row < at.end; row += 4u * at.step) {
        let f = four(at, row);
        let d0 = x[f.at.x] - l.center; let d1 = x[f.at.y] - l.center;
        let d2 = x[f.at.z] - l.center; let d3 = x[f.at.w] - l.center;
        let p0 = products(d0, dy[f.at.x], l, f.real.x); let p1 = products(d1, dy[f.at.y], l, f.real.y);
        let p2 = products(d2, dy[f.at.z], l, f.real.z); let p3 = products(d3, dy[f.at.w], l, f.real.w);
        sum = plus(sum, plus(plus(p0, p1), plus(p2, p3)));
    }
    // xhat = d * inverse: the constant factor is applied once, after the sum.
    let all = folded_pair(lane, sum);
    store_pair(at, Pair(all.one * l.inverse, all.two));
}

// Adds up the parts and lays out what batch_norm_grad needs per channel: center, slope, shift, pull, offset.
@compute @workgroup_size(256)
fn batch_norm_grad_finish(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    let all = pairs_of_parts(at, lane);
    if (!at.stores) {
        return;
    }
    let quad = at.quad;
    let product = masked(all.one, quad, params.channels);
    let sum = masked(all.two, quad, params.channels);
    dgamma[quad] = product;
    dbeta[quad] = sum;
    let l = line(quad);
    constants_out[quad] = l.center;
    constants_out[quad + params.quads] = l.slope;
    constants_out[quad + 2u * params.quads] = l.shift;
    // pull = slope * xhat's share: xhat = d * inverse, mean = sum * weight. In evaluation mode weight is 0: the statistics do
    // not depend on x.
    constants_out[quad + 3u * params.quads] = l.slope * l.inverse * product * params.weight;
    constants_out[quad + 4u * params.quads] = l.slope * sum * params.weight;
}

// dx = slope * (g - mean(g) - xhat * mean(g * xhat)).
fn pulled(d: vec4<f32>, g: vec4<f32>, slope: vec4<f32>, shift: vec4<f32>, pull: vec4<f32>, offset: vec4<f32>) -> vec4<f32> {
    return slope * through(d, slope, shift, g) - pull * d - offset;
}

@compute @workgroup_size(256)
fn batch_norm_grad(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    let quad = min(at.quad, params.quads - 1u);
    // Five loads for a whole column of rows; the padding's constants are zeros, so dx is zero there.
    let center = constants[quad];
    let slope = constants[quad + params.quads];
    let shift = constants[quad + 2u * params.quads];
    let pull = constants[quad + 3u * params.quads];
    let offset = constants[quad + 4u * params.quads];
    for (var row = at.row; row < at.end; row += 4u * at.step) {
        let f = four(at, row);
        let d0 = x[f.at.x] - center; let d1 = x[f.at.y] - center;
        let d2 = x[f.at.z] - center; let d3 = x[f.at.w] - center;
        let g0 = dy[f.at.x]; let g1 = dy[f.at.y]; let g2 = dy[f.at.z]; let g3 = dy[f.at.w];
        store_four(
            f,
            pulled(d0, g0, slope, shift, pull, offset),
            pulled(d1, g1, slope, shift, pull, offset),
            pulled(d2, g2, slope, shift, pull, offset),
            pulled(d3, g3, slope, shift, pull, offset),
        );
    }
}
