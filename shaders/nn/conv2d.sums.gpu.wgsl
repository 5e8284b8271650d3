// Column sums for the gradients of a convolution on GPUs (lib/strips.wgsl): those of dy, which are the gradient of the bias, and
// those of partial results, of which each is a row.
// Workgroup: 256 invocations, 4 KiB of its memory.
//!include lib/strips.wgsl

struct Params {
    // See lib/strips.wgsl.
    rows: u32,
    quads: u32,
    wide: u32,
    block_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

// One row for every block of rows of `parts`; with one block, the sum.
@compute @workgroup_size(256)
fn conv2d_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    // Padding lanes of dy and of partial results are zero, so they stay zero here.
    let sum = sum_of_parts(at, lane, 0u);
    if (at.stores) {
        parts_out[at.block * params.quads + at.quad] = sum;
    }
}
