// Sums over splits for GPUs: y[i] = sum over splits of x[split][i]. There are many splits and few results, and one invocation per
// result, as in conv2d.wgsl, would leave a GPU waiting for memory: here 16 invocations share a result.
//
// Layout: x [num_splits][num_pixels] vec4s, num_pixels being the vec4s of one split's result. Workgroup: 16 neighbouring
// results x 16 lanes, so that a row of a split is read in one go. Iterations: num_splits / 16, then 16.
//!include lib/conv.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

const LANES = 16u;

// [lane][result]
var<workgroup> parts: array<vec4<f32>, 256>;

@compute @workgroup_size(16, 16)
fn sum_splits(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let i = (group.x + group.y * groups.x) * LANES + local.x;
    // Results beyond the last repeat it and are not stored: the barrier needs all invocations.
    let safe = min(i, params.num_pixels - 1u);
    var sum = vec4<f32>(0.0);
    for (var split = local.y; split < params.num_splits; split += LANES) {
        sum += x[split * params.num_pixels + safe];
    }
    parts[local.y * LANES + local.x] = sum;
    workgroupBarrier();
    if ((local.y == 0u) & (i < params.num_pixels)) {
        // In the order of the lanes, whatever the adapter.
        var all = parts[local.x];
        for (var lane = 1u; lane < LANES; lane++) {
            all += parts[lane * LANES + local.x];
        }
        y[i] = all;
    }
}
