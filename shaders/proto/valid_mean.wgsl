// Mean of a value per pixel over the valid ones (labels >= 0): loss = sum / N_V, and `empty` (0 or NaN, from the host) when none is
// valid. N_V is counted here, so nothing that depends on the data is known to the plan.
// Gradient: d value[n] = g / N_V for valid pixels, else 0 (all 0 when none is valid).
//
// valid_mean_blocks sums blocks of 1024 pixels, valid_mean adds the blocks up; both in a fixed order.
// Layout: dense. Workgroup: 64 invocations; in a block each adds 16 pixels, 64 apart. Iterations: 16, then
// blocks / 64 (62 for N = 4 million), then 64 in one invocation.
//!include lib/index.wgsl

struct Params {
    num_pixels: u32,
    num_blocks: u32,
    // Loss when no pixel is valid.
    empty: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<i32>;
@group(0) @binding(3) var<storage, read_write> block_sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> block_counts: array<u32>;
@group(0) @binding(5) var<storage, read_write> loss: array<f32>;
@group(0) @binding(6) var<storage, read_write> num_valid: array<u32>;
@group(0) @binding(7) var<storage, read> valid_in: array<u32>;
@group(0) @binding(8) var<storage, read> upstream: array<f32>;
@group(0) @binding(9) var<storage, read_write> out: array<f32>;

struct Partial {
    sum: f32,
    count: u32,
}

var<workgroup> lanes: array<Partial, 64>;

// The 64 invocations' parts in order of the lanes; the result is lane 0's.
fn fold(lane: u32, part: Partial) -> Partial {
    lanes[lane] = part;
    workgroupBarrier();
    var all = Partial(0.0, 0u);
    if (lane == 0u) {
        // Serial and in order: 64 additions, once per workgroup, and the same bits every time.
        for (var i = 0u; i < 64u; i++) {
            all = Partial(all.sum + lanes[i].sum, all.count + lanes[i].count);
        }
    }
    return all;
}

@compute @workgroup_size(64)
fn valid_mean_blocks(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.x + group.y * groups.x;
    var part = Partial(0.0, 0u);
    for (var i = 0u; i < 16u; i++) {
        let n = block * 1024u + i * 64u + lane;
        // The index is clamped as well, so that no reading depends on && stopping early.
        if (n < params.num_pixels && labels[min(n, params.num_pixels - 1u)] >= 0) {
            part = Partial(part.sum + values[n], part.count + 1u);
        }
    }
    let all = fold(lane, part);
    if (lane == 0u && block < params.num_blocks) {
        block_sums[block] = all.sum;
        block_counts[block] = all.count;
    }
}

@compute @workgroup_size(64)
fn valid_mean(@builtin(local_invocation_index) lane: u32) {
    var part = Partial(0.0, 0u);
    for (var block = lane; block < params.num_blocks; block += 64u) {
        part = Partial(part.sum + block_sums[block], part.count + block_counts[block]);
    }
    let all = fold(lane, part);
    if (lane == 0u) {
        // The floor of 1 keeps 0 / 0 out of the unselected branch.
        loss[0] = select(params.empty, all.sum / f32(max(all.count, 1u)), all.count > 0u);
        num_valid[0] = all.count;
    }
}

@compute @workgroup_size(64)
fn valid_mean_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 64u);
    if (n < params.num_pixels) {
        // Without a valid pixel N_V is 0 and no label selects the share.
        let share = upstream[0] / f32(max(valid_in[0], 1u));
        out[n] = select(0.0, share, labels[n] >= 0);
    }
}
