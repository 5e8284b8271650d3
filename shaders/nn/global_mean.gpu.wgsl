// Mean over the pixels of an image on GPUs: sums of blocks of pixels, and then their sum, by workgroups (lib/strips.wgsl).
//
// Layout: NHWC in vec4s; an image per workgroup along z. Workgroup: 256 invocations, 4 KiB of its memory.
//!include lib/strips.wgsl

struct Params {
    // Of one image, see lib/strips.wgsl; rows are pixels, or the sums of blocks.
    rows: u32,
    quads: u32,
    wide: u32,
    block_rows: u32,
    num_blocks: u32,
    // 1 / (H * W), rounded once on the host; 1 for the sums of blocks.
    factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

// out is [batch][num_blocks][quads].
@compute @workgroup_size(256)
fn global_mean(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    let image = group.z * params.rows * params.quads;
    var sum = vec4<f32>(0.0);
    for (var row = at.row; row < at.end; row += 4u * at.step) {
        let f = four(at, row);
        let i = f.at + vec4<u32>(image);
        sum += sum_if(f, x[i.x], x[i.y], x[i.z], x[i.w]);
    }
    let all = folded(lane, sum);
    if (at.stores) {
        // Padding is a sum of zeros.
        out[(group.z * params.num_blocks + at.block) * params.quads + at.quad] = params.factor * all;
    }
}
