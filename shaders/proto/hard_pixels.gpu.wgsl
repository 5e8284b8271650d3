// Labels of the hard pixels on GPUs: the radix select of hard_pixels.wgsl. Every workgroup of a pass finds by itself what the
// pass before has decided, by a prefix sum of the 256 counts: no dispatch with one workgroup stands between the passes.
//   hard_pixels_start   clears the counts of all passes
//   hard_pixels_count   a pass: counts by its byte the losses that begin with the bytes found so far
//   hard_pixels         the labels, behind the last pass
//
// Layout: counts [4, 256]; state [5, 2] = (bytes found so far, losses still to pass) before each pass and behind the last.
// Workgroup: 256 invocations, 2 KiB of its memory. Iterations: 8 pixels per invocation, 8 steps of the prefix sum.
//!include lib/index.wgsl

struct Params {
    num_pixels: u32,
    num_classes: u32,
    min_kept: u32,
    // Bits of -ln threshold.
    above: u32,
    // Which byte, from the top; 4 behind the last pass.
    level: u32,
}

//!include lib/hard_pixels.wgsl

// Pixels of an invocation in a pass.
const OWN = 8u;

// Counts of a byte and all above it.
var<workgroup> reached: array<u32, 257>;
// What the pass begins with.
var<workgroup> begins: array<u32, 2>;

@compute @workgroup_size(256)
fn hard_pixels_start(@builtin(local_invocation_index) lane: u32) {
    for (var level = 0u; level < 4u; level++) {
        atomicStore(&counts[256u * level + lane], 0u);
    }
}

// Leaves in `begins` what this pass begins with, from the state and the counts of the pass before; `keeps` writes it down for
// the next one.
fn begin(lane: u32, keeps: bool) {
    var found = 0u;
    var left = params.min_kept;
    // A uniform: all invocations go the same way.
    if (params.level > 0u) {
        if (params.level > 1u) {
            found = state[2u * params.level - 2u];
            left = state[2u * params.level - 1u];
        }
        reached[lane] = atomicLoad(&counts[256u * (params.level - 1u) + lane]);
        if (lane == 0u) {
            reached[256] = 0u;
        }
        for (var step = 1u; step < 256u; step *= 2u) {
            workgroupBarrier();
            let other = reached[min(lane + step, 256u)];
            workgroupBarrier();
            reached[lane] += other;
        }
        workgroupBarrier();
        // The highest byte down to which there are enough; 0 if there never are, where fewer pixels are labelled than are to be
        // kept: every loss is as large.
        let above = reached[lane + 1u];
        if (above < left && (reached[lane] >= left || lane == 0u)) {
            begins[0] = found | (lane << (32u - 8u * params.level));
            begins[1] = left - above;
        }
        // None are to be kept.
        if (left == 0u && lane == 0u) {
            begins[0] = 0u;
            begins[1] = 0u;
        }
    } else if (lane == 0u) {
        begins[0] = found;
        begins[1] = left;
    }
    workgroupBarrier();
    if (keeps && lane == 0u) {
        state[2u * params.level] = begins[0];
        state[2u * params.level + 1u] = begins[1];
    }
}

// This pass's byte of a loss that begins with `found`, 256 of any other and beyond the last pixel.
fn bin(place: u32, found: u32) -> u32 {
    let n = min(place, params.num_pixels - 1u);
    let bits = key(n);
    let shift = 24u - 8u * params.level;
    // The bits above this pass's byte: none in the first.
    let mask = 0xffffff00u << shift;
    let wanted = place < params.num_pixels && is_valid(n) && (bits & mask) == found;
    return select(256u, (bits >> shift) & 255u, wanted);
}

@compute @workgroup_size(256)
fn hard_pixels_count(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.x + group.y * groups.x;
    atomicStore(&bins[lane], 0u);
    begin(lane, block == 0u);
    let found = begins[0];
    for (var i = 0u; i < OWN; i += 4u) {
        // Four losses are loaded before the first is counted.
        let n = (block * OWN + i) * 256u + lane;
        let b0 = bin(n, found);
        let b1 = bin(n + 256u, found);
        let b2 = bin(n + 512u, found);
        let b3 = bin(n + 768u, found);
        if (b0 < 256u) { atomicAdd(&bins[b0], 1u); }
        if (b1 < 256u) { atomicAdd(&bins[b1], 1u); }
        if (b2 < 256u) { atomicAdd(&bins[b2], 1u); }
        if (b3 < 256u) { atomicAdd(&bins[b3], 1u); }
    }
    workgroupBarrier();
    // Once per workgroup and count, rather than once per pixel.
    let count = atomicLoad(&bins[lane]);
    if (count > 0u) {
        atomicAdd(&counts[256u * params.level + lane], count);
    }
}

@compute @workgroup_size(256)
fn hard_pixels(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    begin(lane, false);
    let n = (group.x + group.y * groups.x) * 256u + lane;
    if (n < params.num_pixels) {
        let bits = key(n);
        let keep = bits > params.above || (params.min_kept > 0u && bits >= begins[0]);
        hard[n] = select(-1, labels[n], keep && is_valid(n));
    }
}
