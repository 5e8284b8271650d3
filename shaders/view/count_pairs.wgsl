// How many pixels of which true class got which class: counts[t,c] = number of pixels with truth t and class c (the low 16 bits of
// their label). Pixels whose truth or class is out of range, such as ignored ones, do not count.
//
// Layout: truth and label [N], counts [C,C] dense words.
//   pairs_clear    one invocation per count
//   pairs_group    a workgroup of 256 per 8192 pixels, for up to 2048 counts (lib/histogram.wgsl)
//   pairs_direct   one invocation per pixel, for more
//!include lib/index.wgsl

struct Params {
    num_pixels: u32,
    // C * C.
    num_bins: u32,
    num_classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> truth: array<u32>;
@group(0) @binding(2) var<storage, read> label: array<u32>;
@group(0) @binding(3) var<storage, read_write> counts: array<atomic<u32>>;

//!include lib/histogram.wgsl

fn bin_of(m: u32) -> u32 {
    let wanted = truth[m];
    let found = label[m] & 0xffffu;
    // Ignored pixels have truth 0xffffffff, of which no product may be taken.
    let counts_here = wanted < params.num_classes && found < params.num_classes;
    return select(params.num_bins, wanted * params.num_classes + found, counts_here);
}

@compute @workgroup_size(64)
fn pairs_clear(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    clear_bin(linear_index(id, groups, 64u));
}

@compute @workgroup_size(256)
fn pairs_group(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    count_in_group(group.x + group.y * groups.x, lane);
}

@compute @workgroup_size(64)
fn pairs_direct(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    count_directly(linear_index(id, groups, 64u));
}
