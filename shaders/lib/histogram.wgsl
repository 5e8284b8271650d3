// How many pixels fall into each bin. Integer atomics: sums of whole numbers are the same in any order.
// Reads params.{num_pixels,num_bins} and the function bin_of(pixel), num_bins or more for a pixel that does not count; adds to
// counts, which clear_bin must have zeroed.
// Workgroups of 256 count in their own memory and add the sums up once, where there are MAX_BINS or fewer: then neighbours of one
// class do not wait for one another's words in storage. 32 pixels per invocation.

const MAX_BINS: u32 = 2048u;
const PIXELS_PER_GROUP: u32 = 8192u;

var<workgroup> bins: array<atomic<u32>, 2048>;

fn clear_bin(i: u32) {
    if (i < params.num_bins) {
        atomicStore(&counts[i], 0u);
    }
}

fn count_directly(m: u32) {
    if (m < params.num_pixels) {
        let bin = bin_of(m);
        if (bin < params.num_bins) {
            atomicAdd(&counts[bin], 1u);
        }
    }
}

// All 256 invocations of group number `group` come here.
fn count_in_group(group: u32, lane: u32) {
    // Pipelines are made without the zeros that WGSL promises: the bins in use are cleared here.
    for (var bin = lane; bin < min(params.num_bins, MAX_BINS); bin += 256u) {
        atomicStore(&bins[bin], 0u);
    }
    workgroupBarrier();
    let start = group * PIXELS_PER_GROUP;
    for (var m = start + lane; m < min(start + PIXELS_PER_GROUP, params.num_pixels); m += 256u) {
        let bin = bin_of(m);
        if (bin < min(params.num_bins, MAX_BINS)) {
            atomicAdd(&bins[bin], 1u);
        }
    }
    workgroupBarrier();
    for (var bin = lane; bin < min(params.num_bins, MAX_BINS); bin += 256u) {
        let sum = atomicLoad(&bins[bin]);
        if (sum > 0u) {
            atomicAdd(&counts[bin], sum);
        }
    }
}
