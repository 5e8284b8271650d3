// How many pixels have which class and prototype: counts[c,k] = number of pixels with label c | k << 16. Labels out of range do not
// count.
//
// Layout: label [N] and counts [C,K] dense words.
//   labels_clear    one invocation per count
//   labels_group    a workgroup of 256 per 8192 pixels, for up to 2048 counts (lib/histogram.wgsl)
//   labels_direct   one invocation per pixel, for more
//!include lib/index.wgsl

struct Params {
    num_pixels: u32,
    // C * K.
    num_bins: u32,
    num_protos: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> label: array<u32>;
@group(0) @binding(2) var<storage, read_write> counts: array<atomic<u32>>;

//!include lib/histogram.wgsl

fn bin_of(m: u32) -> u32 {
    let word = label[m];
    let k = word >> 16u;
    // A class out of range gives a bin out of range: both are below 65,536, so nothing wraps around.
    return select(params.num_bins, (word & 0xffffu) * params.num_protos + k, k < params.num_protos);
}

@compute @workgroup_size(64)
fn labels_clear(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    clear_bin(linear_index(id, groups, 64u));
}

@compute @workgroup_size(256)
fn labels_group(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    count_in_group(group.x + group.y * groups.x, lane);
}

@compute @workgroup_size(64)
fn labels_direct(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    count_directly(linear_index(id, groups, 64u));
}
