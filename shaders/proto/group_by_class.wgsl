// Pixels grouped by class: order = the pixels stably sorted by gt, ignored ones last; offsets[c] = first position of
// class c in it, offsets[C] = number of valid pixels.
//
// A stable radix sort, least significant digit first, with as many buckets per pass as the classes need: one pass up to
// 255 classes, two up to 65,535, so the count table stays at N words or below whatever C is. Per pass:
//   group_count    one invocation per block of pixels counts its keys into table[bucket, block]
//   group_sums     one invocation per chunk of the table sums it
//   group_prefix   turns the table into an exclusive prefix sum: adds up the chunks before, then walks its own
//   group_scatter  one invocation per block moves its pixels, in order, to their places
// Serial blocks keep the sort stable without any atomic: the result is the same every time.
// Then group_offsets searches the sorted keys for the first of each class.
//
// Layout: dense integers. Workgroup: 64 invocations. Iterations per invocation: at most buckets + block (256 + 1024) in
// the block kernels, chunks + chunk length (about 2048 for N = 4 million) in the scan, 32 in the search.
//!include lib/index.wgsl

struct Params {
    num_pixels: u32,
    num_classes: u32,
    // Pixels per block, and blocks.
    block: u32,
    num_blocks: u32,
    // The digit of this pass: first bit, and 2^bits values.
    shift: u32,
    num_buckets: u32,
    // Table entries per chunk of the prefix sum, and chunks.
    chunk: u32,
    num_chunks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gt: array<i32>;
@group(0) @binding(2) var<storage, read> source: array<u32>;
@group(0) @binding(3) var<storage, read_write> table: array<u32>;
@group(0) @binding(4) var<storage, read_write> sums: array<u32>;
@group(0) @binding(5) var<storage, read_write> order: array<u32>;
@group(0) @binding(6) var<storage, read_write> offsets: array<u32>;

// The sort key: the class, C for ignored pixels.
fn key(pixel: u32) -> u32 {
    let label = gt[pixel];
    return select(params.num_classes, u32(label), label >= 0 && label < i32(params.num_classes));
}

fn cell(pixel: u32, block: u32) -> u32 {
    let bucket = (key(pixel) >> params.shift) & (params.num_buckets - 1u);
    // Bucket first: the prefix sum then runs through bucket 0 of all blocks, then bucket 1: the order of
    // the sorted result.
    return bucket * params.num_blocks + block;
}

@compute @workgroup_size(64)
fn group_identity(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 64u);
    if (n < params.num_pixels) {
        // The first pass reads the pixels in their own order, which a stable sort keeps among equals.
        order[n] = n;
    }
}

@compute @workgroup_size(64)
fn group_count(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let block = linear_index(id, groups, 64u);
    if (block < params.num_blocks) {
        for (var bucket = 0u; bucket < params.num_buckets; bucket++) {
            // Every block clears its own column: the scratch holds anything before.
            table[bucket * params.num_blocks + block] = 0u;
        }
        let end = min((block + 1u) * params.block, params.num_pixels);
        for (var i = block * params.block; i < end; i++) {
            let at = cell(source[i], block);
            table[at] = table[at] + 1u;
        }
    }
}

@compute @workgroup_size(64)
fn group_sums(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let chunk = linear_index(id, groups, 64u);
    if (chunk < params.num_chunks) {
        let end = min((chunk + 1u) * params.chunk, params.num_buckets * params.num_blocks);
        var sum = 0u;
        for (var i = chunk * params.chunk; i < end; i++) {
            sum += table[i];
        }
        sums[chunk] = sum;
    }
}

@compute @workgroup_size(64)
fn group_prefix(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let chunk = linear_index(id, groups, 64u);
    if (chunk < params.num_chunks) {
        var sum = 0u;
        // Repeated by every invocation, which costs less than one more dispatch.
        for (var before = 0u; before < chunk; before++) {
            sum += sums[before];
        }
        let end = min((chunk + 1u) * params.chunk, params.num_buckets * params.num_blocks);
        for (var i = chunk * params.chunk; i < end; i++) {
            let count = table[i];
            // Exclusive: where the block's first pixel of this bucket goes.
            table[i] = sum;
            sum += count;
        }
    }
}

@compute @workgroup_size(64)
fn group_scatter(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let block = linear_index(id, groups, 64u);
    if (block < params.num_blocks) {
        let end = min((block + 1u) * params.block, params.num_pixels);
        for (var i = block * params.block; i < end; i++) {
            let pixel = source[i];
            let at = cell(pixel, block);
            // Only this block uses this entry, so it counts on without an atomic.
            let place = table[at];
            table[at] = place + 1u;
            order[place] = pixel;
        }
    }
}

// The first position whose key is not below the class, by bisection. `source` is the sorted order here.
@compute @workgroup_size(64)
fn group_offsets(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let class_index = linear_index(id, groups, 64u);
    // Class C gives the number of valid pixels: ignored ones sort behind them.
    if (class_index <= params.num_classes) {
        var low = 0u;
        var high = params.num_pixels;
        while (low < high) {
            let middle = (low + high) / 2u;
            if (key(source[middle]) < class_index) {
                low = middle + 1u;
            } else {
                high = middle;
            }
        }
        offsets[class_index] = low;
    }
}
