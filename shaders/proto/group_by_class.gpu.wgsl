// Pixels grouped by class on GPUs: the stable radix sort of group_by_class.wgsl, with a workgroup where that has an invocation.
// Per pass:
//   group_count    one workgroup per block of 256 pixels counts its keys into table[bucket, block]
//   group_sums     one workgroup per chunk of the table sums it, if there are several
//   group_prefix   turns the table into an exclusive prefix sum, a chunk per workgroup
//   group_scatter  one workgroup per block moves its pixels: each counts the equal keys before it in the block
// Counts are whole numbers, so the atomics give the same result in any order, and places follow from the pixels' order alone.
// Then the offsets: with a single pass they stand in the table, else group_offsets searches the sorted keys.
//
// Layout: dense integers. Workgroup: 256 invocations, 1 KiB of its memory. Iterations per invocation: 16 table entries; chunks /
// 256 (at most 4 for N = 4 million); 64 comparisons of four keys in the scatter; 14 steps of the search.
//!include lib/index.wgsl

struct Params {
    num_pixels: u32,
    num_classes: u32,
    num_blocks: u32,
    // The digit of this pass: first bit, and 2^bits values.
    shift: u32,
    num_buckets: u32,
    num_chunks: u32,
    // 1 in the first pass: pixels are read in their own order, which a stable sort keeps among equals.
    first: u32,
}

// Table entries of a chunk, and of an invocation.
const CHUNK = 4096u;
const OWN = 16u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gt: array<i32>;
@group(0) @binding(2) var<storage, read> source: array<u32>;
@group(0) @binding(3) var<storage, read_write> table: array<u32>;
@group(0) @binding(4) var<storage, read_write> sums: array<u32>;
@group(0) @binding(5) var<storage, read_write> order: array<u32>;
@group(0) @binding(6) var<storage, read_write> offsets: array<u32>;

var<workgroup> bins: array<atomic<u32>, 256>;
// Digits of a block's pixels, or sums on their way to a prefix.
var<workgroup> lanes: array<u32, 256>;

// The sort key: the class, C for ignored pixels.
fn key(pixel: u32) -> u32 {
    let label = gt[pixel];
    return select(params.num_classes, u32(label), label >= 0 && label < i32(params.num_classes));
}

fn pixel_at(place: u32) -> u32 {
    if (params.first == 1u) {
        return place;
    }
    return source[place];
}

fn digit(pixel: u32) -> u32 {
    return (key(pixel) >> params.shift) & (params.num_buckets - 1u);
}

@compute @workgroup_size(256)
fn group_count(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.x + group.y * groups.x;
    atomicStore(&bins[lane], 0u);
    workgroupBarrier();
    let place = block * 256u + lane;
    if (place < params.num_pixels) {
        atomicAdd(&bins[digit(pixel_at(place))], 1u);
    }
    workgroupBarrier();
    if (lane < params.num_buckets && block < params.num_blocks) {
        // Bucket first: the prefix sum then runs through bucket 0 of all blocks, then bucket 1: the order of the sorted result.
        table[lane * params.num_blocks + block] = atomicLoad(&bins[lane]);
    }
}

// The sum of a number per invocation, for all of them.
fn total_of(lane: u32, value: u32) -> u32 {
    lanes[lane] = value;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            lanes[lane] += lanes[lane + half];
        }
    }
    workgroupBarrier();
    return lanes[0];
}

// The sum of the numbers of the lanes before.
fn sum_before(lane: u32, value: u32) -> u32 {
    // What an earlier sum left must have been read.
    workgroupBarrier();
    lanes[lane] = value;
    for (var step = 1u; step < 256u; step *= 2u) {
        workgroupBarrier();
        let other = select(0u, lanes[lane - min(step, lane)], lane >= step);
        workgroupBarrier();
        lanes[lane] += other;
    }
    return lanes[lane] - value;
}

// Four entries of the table from `at` on, zeros beyond its end.
fn entries(at: u32) -> vec4<u32> {
    let end = params.num_buckets * params.num_blocks;
    let i = min(vec4<u32>(at) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(end - 1u));
    let all = vec4<u32>(table[i.x], table[i.y], table[i.z], table[i.w]);
    return select(vec4<u32>(0u), all, vec4<u32>(at) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(end));
}

// The sum of the invocation's entries of a chunk.
fn own_sum(first: u32) -> u32 {
    let sum = (entries(first) + entries(first + 4u)) + (entries(first + 8u) + entries(first + 12u));
    return sum.x + sum.y + sum.z + sum.w;
}

@compute @workgroup_size(256)
fn group_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let chunk = group.x + group.y * groups.x;
    let sum = total_of(lane, own_sum(chunk * CHUNK + lane * OWN));
    if (lane == 0u && chunk < params.num_chunks) {
        sums[chunk] = sum;
    }
}

@compute @workgroup_size(256)
fn group_prefix(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let chunk = group.x + group.y * groups.x;
    var before = 0u;
    for (var c = lane; c < min(chunk, params.num_chunks); c += 256u) {
        before += sums[c];
    }
    let first = chunk * CHUNK + lane * OWN;
    var sum = total_of(lane, before);
    sum += sum_before(lane, own_sum(first));
    let end = params.num_buckets * params.num_blocks;
    for (var at = first; at < min(first + OWN, end); at += 4u) {
        let all = entries(at);
        // Exclusive: where the block's first pixel of this bucket goes.
        table[at] = sum;
        if (at + 1u < end) { table[at + 1u] = sum + all.x; }
        if (at + 2u < end) { table[at + 2u] = sum + all.x + all.y; }
        if (at + 3u < end) { table[at + 3u] = sum + all.x + all.y + all.z; }
        sum += all.x + all.y + all.z + all.w;
    }
}

@compute @workgroup_size(256)
fn group_scatter(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.x + group.y * groups.x;
    let place = block * 256u + lane;
    let inside = place < params.num_pixels;
    var pixel = 0u;
    // Above every digit: counted by nobody.
    var own = 256u;
    if (inside) {
        pixel = pixel_at(place);
        own = digit(pixel);
    }
    lanes[lane] = own;
    workgroupBarrier();
    // How many equal digits stand before.
    var rank = 0u;
    for (var i = 0u; i < lane; i += 4u) {
        let at = vec4<u32>(i) + vec4<u32>(0u, 1u, 2u, 3u);
        let others = vec4<u32>(lanes[at.x], lanes[at.y], lanes[at.z], lanes[at.w]);
        let same = (others == vec4<u32>(own)) & (at < vec4<u32>(lane));
        let ones = select(vec4<u32>(0u), vec4<u32>(1u), same);
        rank += (ones.x + ones.y) + (ones.z + ones.w);
    }
    if (inside) {
        order[table[own * params.num_blocks + block] + rank] = pixel;
    }
}

// After a single pass: where a bucket's first block begins. Bucket C are the ignored pixels, behind the valid ones.
@compute @workgroup_size(64)
fn group_offsets_of_table(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let class_index = linear_index(id, groups, 64u);
    if (class_index <= params.num_classes) {
        offsets[class_index] = table[class_index * params.num_blocks];
    }
}

// The first position whose key is not below the class. `source` is the sorted order here. Four places are looked at in a step,
// whose loads wait for each other no more than those of one would.
@compute @workgroup_size(64)
fn group_offsets(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let class_index = linear_index(id, groups, 64u);
    if (class_index > params.num_classes) {
        return;
    }
    var low = 0u;
    var high = params.num_pixels;
    while (low < high) {
        let step = (high - low) / 5u + 1u;
        let at = vec4<u32>(low - 1u) + vec4<u32>(1u, 2u, 3u, 4u) * step;
        let i = min(at, vec4<u32>(high - 1u));
        let keys = vec4<u32>(key(source[i.x]), key(source[i.y]), key(source[i.z]), key(source[i.w]));
        let below = (keys < vec4<u32>(class_index)) & (at < vec4<u32>(high));
        // Keys are sorted: those below come first.
        let ones = select(vec4<u32>(0u), vec4<u32>(1u), below);
        let count = ones.x + ones.y + ones.z + ones.w;
        high = min(high, low - 1u + (count + 1u) * step);
        low += count * step;
    }
    offsets[class_index] = low;
}
