// Batch normalisation over rows: y = act(gamma * (x - mean) / sqrt(var + eps) + beta), act = limited(., low, high).
//
// Layout: x, y, dy, dx are rows of `quads` vec4s; per-channel vectors are rank 1, read as vec4s with the padding masked.
// Forward: batch_norm_stats, batch_norm_merge (while there are many parts), batch_norm_finish, batch_norm.
// Backward: batch_norm_grad_sums, columns_merge, batch_norm_grad_finish, batch_norm_grad.
// The activation's mask is computed again from x: loading y costs more than two multiplications.
// Workgroup: 64 invocations, each walking down one vec4 column (lib/walk.wgsl), so per-channel numbers are loaded once.
// Iterations per invocation: rows per block (host: at most 64) or parts to merge (at most 128).
//!include lib/index.wgsl
//!include lib/lanes.wgsl
//!include lib/limited.wgsl
//!include lib/walk.wgsl
//!include lib/columns.wgsl
//!include lib/touch.wgsl

struct Params {
    rows: u32,
    quads: u32,
    channels: u32,
    team_rows: u32,
    block_rows: u32,
    // Parts written, and read by a merging or finishing kernel: `fan_in` by each invocation.
    num_parts: u32,
    parts_in: u32,
    fan_in: u32,
    eps: f32,
    low: f32,
    high: f32,
    // 1 / rows, or 0 where the statistics are constants (evaluation mode).
    weight: f32,
}

//!include lib/batch_norm.wgsl

// Reads one float of each cache line of x that this subgroup will walk over.
fn touch_x(at: Walk, lane: u32) -> f32 {
    var sum = 0.0;
    if (TOUCH == 0u) {
        return sum;
    }
    for (var t = first_touch(lane); at.row + t * params.team_rows < at.end; t += 4u) {
        sum += x[touch_place(at, lane, t)].x;
    }
    return sum;
}

fn touch_dy(at: Walk, lane: u32) -> f32 {
    var sum = 0.0;
    if (TOUCH == 0u) {
        return sum;
    }
    for (var t = first_touch(lane); at.row + t * params.team_rows < at.end; t += 4u) {
        sum += dy[touch_place(at, lane, t)].x;
    }
    return sum;
}

// Count, mean and sum of squared deviations of some rows.
struct Moments {
    count: f32,
    mean: vec4<f32>,
    spread: vec4<f32>,
}

fn store_moments(part: u32, quad: u32, m: Moments) {
    // A part is three rows of quads: count (the same in all lanes), mean, spread.
    let at = 3u * part * params.quads + quad;
    parts_out[at] = vec4<f32>(m.count);
    parts_out[at + params.quads] = m.mean;
    parts_out[at + 2u * params.quads] = m.spread;
}

// Sums are taken of the distance from the invocation's first row, so that a mean far from 0 cancels nothing.
@compute @workgroup_size(64)
fn batch_norm_stats(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = start(id, groups);
    if (at.part >= params.num_parts) {
        return;
    }
    // An invocation without a row reads the last one; its count is 0, which the merge ignores.
    let shift = x[min(at.row, params.rows - 1u) * params.quads + at.quad];
    var sum = vec4<f32>(0.0);
    var squares = vec4<f32>(0.0);
    var count = 0.0;
    let touched = touch_x(at, id.x % 8u);
    if (params.rows == 0u) {
        // Never: it keeps the loads alive.
        parts_out[0] = vec4<f32>(touched);
    }
    for (var row = at.row; row < at.end; row += params.team_rows) {
        let d = x[row * params.quads + at.quad] - shift;
        sum += d;
        squares += d * d;
        count += 1.0;
    }
    // mean = shift + offset, and sum (x - mean)^2 = squares - sum * offset. Rounding may leave that
    // slightly below 0; NaN must stay.
    let offset = sum / max(count, 1.0);
    let spread = squares - sum * offset;
    let kept = select(max(spread, vec4<f32>(0.0)), spread, is_nan(spread));
    store_moments(at.part, at.quad, Moments(count, shift + offset, kept));
}

// Chan's rule for the moments of disjoint sets, over the parts that fall to `part`.
fn merged(part: u32, quad: u32) -> Moments {
    var m = Moments(0.0, vec4<f32>(0.0), vec4<f32>(0.0));
    let last = min((part + 1u) * params.fan_in, params.parts_in);
    for (var p = part * params.fan_in; p < last; p++) {
        let at = 3u * p * params.quads + quad;
        let count = parts[at].x;
        // mean += d * n2 / (n1 + n2), spread += spread2 + d^2 * n1 * n2 / (n1 + n2). The floor of 1 serves two
        // empty parts.
        let share = count / max(m.count + count, 1.0);
        let d = parts[at + params.quads] - m.mean;
        m.mean += d * share;
        m.spread += parts[at + 2u * params.quads] + d * d * (m.count * share);
        m.count += count;
    }
    return m;
}

@compute @workgroup_size(64)
fn batch_norm_merge(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    // Levels of merging repeat until a single invocation per quad can read what is left.
    let part = i / params.quads;
    if (part < params.num_parts) {
        let quad = i - part * params.quads;
        store_moments(part, quad, merged(part, quad));
    }
}

@compute @workgroup_size(64)
fn batch_norm_finish(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.quads) {
        let m = merged(0u, id.x);
        mean_out[id.x] = masked(m.mean, id.x, params.channels);
        // The biased variance: what the batch is normalised with. running_stats corrects it.
        variance_out[id.x] = masked(m.spread / m.count, id.x, params.channels);
    }
}

@compute @workgroup_size(64)
fn batch_norm(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = start(id, groups);
    // In range even for an invocation past the end, whose loop is empty.
    let quad = at.quad;
    let center = masked(mean[quad], quad, params.channels);
    // y = (x - mean) * slope + beta. Masks on all three keep the padding at limited(0, low, high) = 0.
    let slope = masked(gamma[quad] * inverse_deviation(quad), quad, params.channels);
    let shift = masked(beta[quad], quad, params.channels);
    let low = vec4<f32>(params.low);
    let high = vec4<f32>(params.high);
    let touched = touch_x(at, id.x % 8u);
    if (params.rows == 0u) {
        // Never: it keeps the loads alive.
        out[0] = vec4<f32>(touched);
    }
    for (var row = at.row; row < at.end; row += params.team_rows) {
        let i = row * params.quads + quad;
        out[i] = limited((x[i] - center) * slope + shift, low, high);
    }
}

// Parts of dgamma = sum g * xhat and, behind them, of dbeta = sum g, with g the gradient before the activation.
@compute @workgroup_size(64)
fn batch_norm_grad_sums(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let at = start(id, groups);
    if (at.part >= params.num_parts) {
        return;
    }
    let quad = at.quad;
    let center = masked(mean[quad], quad, params.channels);
    let inverse = inverse_deviation(quad);
    let slope = masked(gamma[quad] * inverse, quad, params.channels);
    let shift = masked(beta[quad], quad, params.channels);
    var sum = vec4<f32>(0.0);
    var product = vec4<f32>(0.0);
    let touched = touch_x(at, id.x % 8u) + touch_dy(at, id.x % 8u);
    if (params.rows == 0u) {
        // Never: it keeps the loads alive.
        parts_out[0] = vec4<f32>(touched);
    }
    for (var row = at.row; row < at.end; row += params.team_rows) {
        let i = row * params.quads + quad;
        let d = x[i] - center;
        let g = through(d, slope, shift, dy[i]);
        sum += g;
        // xhat = d * inverse: the constant factor is applied once, after the loop.
        product += g * d;
    }
    // Rows of a part: dgamma, then dbeta.
    let to = 2u * at.part * params.quads + quad;
    parts_out[to] = product * inverse;
    parts_out[to + params.quads] = sum;
}

// Adds up the last parts and lays out what batch_norm_grad needs per channel: center, slope, shift, pull, offset.
@compute @workgroup_size(64)
fn batch_norm_grad_finish(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = id.x;
    if (quad >= params.quads) {
        return;
    }
    // The two rows of a part lie side by side, so its width is 2 * quads.
    let product = masked(column_sum(0u, params.parts_in, 2u * params.quads, quad), quad, params.channels);
    let sum = masked(column_sum(0u, params.parts_in, 2u * params.quads, quad + params.quads), quad, params.channels);
    dgamma[quad] = product;
    dbeta[quad] = sum;
    let inverse = inverse_deviation(quad);
    let slope = masked(gamma[quad] * inverse, quad, params.channels);
    constants_out[quad] = masked(mean[quad], quad, params.channels);
    constants_out[quad + params.quads] = slope;
    constants_out[quad + 2u * params.quads] = masked(beta[quad], quad, params.channels);
    // pull = slope * xhat's share: xhat = d * inverse, mean = sum * weight. In evaluation mode weight is
    // 0: the statistics do not depend on x.
    constants_out[quad + 3u * params.quads] = slope * inverse * product * params.weight;
    constants_out[quad + 4u * params.quads] = slope * sum * params.weight;
}

// dx = slope * (g - mean(g) - xhat * mean(g * xhat)).
@compute @workgroup_size(64)
fn batch_norm_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = start(id, groups);
    // Five loads for a whole column of rows; the padding's constants are zeros, so dx is zero there.
    let center = constants[at.quad];
    let slope = constants[at.quad + params.quads];
    let shift = constants[at.quad + 2u * params.quads];
    let pull = constants[at.quad + 3u * params.quads];
    let offset = constants[at.quad + 4u * params.quads];
    let touched = touch_x(at, id.x % 8u) + touch_dy(at, id.x % 8u);
    if (params.rows == 0u) {
        // Never: it keeps the loads alive.
        out[0] = vec4<f32>(touched);
    }
    for (var row = at.row; row < at.end; row += params.team_rows) {
        let i = row * params.quads + at.quad;
        let d = x[i] - center;
        out[i] = slope * through(d, slope, shift, dy[i]) - pull * d - offset;
    }
}
