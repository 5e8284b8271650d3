// Labels of the hard pixels, all others ignored (online hard example mining): a labelled pixel is hard where its loss
// lse - own is above `-ln threshold`, that is where its class has a probability below the threshold, or among the `min_kept`
// largest losses (all of those that are as large as the last of them).
//
// The last of the `min_kept` largest losses is found by a radix select over the bits of the losses, which for numbers of 0 and
// more are in the order of the numbers. Four passes, one per byte from the top:
//   hard_pixels_count   counts the losses that begin with the bytes found so far by their next byte
//   hard_pixels_select  walks the 256 counts from the top to the byte of the loss looked for
// hard_pixels_start sets the state before the first pass; hard_pixels writes the labels behind the last one.
// Counts are whole numbers, so the atomics give the same result in any order.
//
// Layout: dense. state = (bytes found so far, losses still to pass). Workgroup: 256 invocations, one per count.
// Iterations: 64 pixels per invocation in the count, 256 counts in one invocation of the select.
//!include lib/index.wgsl

struct Params {
    num_pixels: u32,
    num_classes: u32,
    min_kept: u32,
    // Bits of -ln threshold.
    above: u32,
    // Bits above the byte of this pass, and the byte's own place.
    mask: u32,
    shift: u32,
}

//!include lib/hard_pixels.wgsl

@compute @workgroup_size(256)
fn hard_pixels_start(@builtin(local_invocation_index) lane: u32) {
    atomicStore(&counts[lane], 0u);
    if (lane == 0u) {
        state[0] = 0u;
        state[1] = params.min_kept;
    }
}

@compute @workgroup_size(256)
fn hard_pixels_count(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.x + group.y * groups.x;
    atomicStore(&bins[lane], 0u);
    workgroupBarrier();
    for (var i = 0u; i < 64u; i++) {
        let n = block * 16384u + i * 256u + lane;
        if (n < params.num_pixels) {
            let bits = key(n);
            if (is_valid(n) && (bits & params.mask) == (state[0] & params.mask)) {
                atomicAdd(&bins[(bits >> params.shift) & 255u], 1u);
            }
        }
    }
    workgroupBarrier();
    // Once per workgroup and count, rather than once per pixel.
    let count = atomicLoad(&bins[lane]);
    if (count > 0u) {
        atomicAdd(&counts[lane], count);
    }
}

@compute @workgroup_size(256)
fn hard_pixels_select(@builtin(local_invocation_index) lane: u32) {
    if (lane == 0u) {
        var left = state[1];
        var chosen = 0u;
        var found = false;
        for (var i = 0u; i < 256u; i++) {
            let bin = 255u - i;
            let count = atomicLoad(&counts[bin]);
            if (!found && (count >= left || bin == 0u)) {
                // Where fewer pixels are labelled than are to be kept, every byte is 0 and every loss is as large.
                found = true;
                chosen = bin;
            } else if (!found) {
                left -= count;
            }
        }
        state[0] = state[0] | (chosen << params.shift);
        state[1] = left;
    }
    storageBarrier();
    // For the next pass.
    atomicStore(&counts[lane], 0u);
}

@compute @workgroup_size(256)
fn hard_pixels(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 256u);
    if (n < params.num_pixels) {
        let bits = key(n);
        let keep = bits > params.above || (params.min_kept > 0u && bits >= state[0]);
        hard[n] = select(-1, labels[n], keep && is_valid(n));
    }
}
