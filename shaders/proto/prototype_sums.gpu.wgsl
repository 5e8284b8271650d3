// Sums of embeddings per prototype on GPUs: the segmented sums of prototype_sums.wgsl, with short blocks, four rows loaded at
// once, and a workgroup for the blocks of a key. A GPU waits half a microsecond for a load, and here each needs two before it.
//   prototype_blocks  each invocation walks `block_rows` consecutive positions for one vec4 of channels; slots as there
//   prototype_sums    a workgroup per key and strip of columns adds the slots of its run by a tree, and zeroes absent keys
// Keys of neighbours are compared instead of looking up where a run ends.
//
// Layout: as in prototype_sums.wgsl. Workgroup: 64 invocations, and 256 in the second with 4 KiB of its memory.
// Iterations: the rows of a block / 4; blocks of a run / (256 / wide) / 4.
//!include lib/index.wgsl
//!include lib/strips.wgsl

struct Params {
    // N, vec4s per row, columns of a strip, positions of a block.
    rows: u32,
    quads: u32,
    wide: u32,
    block_rows: u32,
    // C * K keys.
    num_groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(5) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> key: array<i32>;
@group(0) @binding(7) var<storage, read> order: array<u32>;
@group(0) @binding(8) var<storage, read> offsets: array<u32>;
@group(0) @binding(9) var<storage, read_write> edges: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read_write> sums: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read_write> counts: array<u32>;

// The run that a walk is in.
struct Run {
    key: i32,
    sum: vec4<f32>,
    // Whether it began before the block.
    open: bool,
}

// The run is over: slot 0 of the block if it began before, slot 1 if it goes on behind, else the sum is complete.
fn leave(run: Run, goes_on: bool, block: u32, d: u32) {
    if (run.open) {
        edges[2u * block * params.quads + d] = run.sum;
    } else if (goes_on) {
        edges[(2u * block + 1u) * params.quads + d] = run.sum;
    } else {
        sums[u32(run.key) * params.quads + d] = run.sum;
    }
}

// One position more.
fn walked(run: Run, k: i32, e: vec4<f32>, block: u32, d: u32) -> Run {
    if (k == run.key) {
        return Run(k, run.sum + e, run.open);
    }
    leave(run, false, block, d);
    return Run(k, e, false);
}

@compute @workgroup_size(64)
fn prototype_blocks(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let d = i % params.quads;
    let block = i / params.quads;
    let start = block * params.block_rows;
    // Pixels without a key are at the end of `order`; a block that has only those does nothing.
    let all = offsets[params.num_groups];
    let end = min(start + params.block_rows, all);
    if (start >= end) {
        return;
    }
    let first = key[order[start]];
    // No key is -1.
    let before = select(-1, key[order[max(start, 1u) - 1u]], start > 0u);
    let after = select(-1, key[order[min(end, all - 1u)]], end < all);
    var run = Run(first, vec4<f32>(0.0), first == before);
    for (var p = start; p < end; p += 4u) {
        let at = min(vec4<u32>(p) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(end - 1u));
        let n = vec4<u32>(order[at.x], order[at.y], order[at.z], order[at.w]);
        let k = vec4<i32>(key[n.x], key[n.y], key[n.z], key[n.w]);
        let rows = n * params.quads + d;
        let e0 = emb[rows.x]; let e1 = emb[rows.y]; let e2 = emb[rows.z]; let e3 = emb[rows.w];
        run = walked(run, k.x, e0, block, d);
        if (p + 1u < end) { run = walked(run, k.y, e1, block, d); }
        if (p + 2u < end) { run = walked(run, k.z, e2, block, d); }
        if (p + 3u < end) { run = walked(run, k.w, e3, block, d); }
    }
    leave(run, run.key == after, block, d);
}

@compute @workgroup_size(256)
fn prototype_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let linear = group.x + group.y * groups.x;
    let strips = (params.quads + params.wide - 1u) / params.wide;
    let j = linear / strips;
    let d = (linear - j * strips) * params.wide + lane % params.wide;
    let inside = j < params.num_groups && d < params.quads;
    let begin = select(0u, offsets[min(j, params.num_groups - 1u)], inside);
    let end = select(0u, offsets[min(j + 1u, params.num_groups)], inside);
    // Blocks that hold the run's first and last pixel. In one block: already complete in `sums`.
    let first = begin / params.block_rows;
    let last = max(end, 1u) - 1u;
    let behind = select(first, last / params.block_rows + 1u, end > begin);
    let step = 256u / params.wide;
    let zero = vec4<f32>(0.0);
    var sum = zero;
    if (behind > first + 1u) {
        // The first block left the run's head in slot 1, all others left theirs in slot 0.
        if (lane < params.wide) {
            sum = edges[(2u * first + 1u) * params.quads + d];
        }
        for (var block = first + 1u + lane / params.wide; block < behind; block += 4u * step) {
            let all = vec4<u32>(block) + vec4<u32>(0u, 1u, 2u, 3u) * step;
            let real = all < vec4<u32>(behind);
            let at = 2u * min(all, vec4<u32>(behind - 1u)) * params.quads + d;
            let a = edges[at.x]; let b = edges[at.y]; let c = edges[at.z]; let e = edges[at.w];
            sum += (a + select(zero, b, real.y)) + (select(zero, c, real.z) + select(zero, e, real.w));
        }
    }
    let all = folded(lane, sum);
    if (lane >= params.wide || !inside) {
        return;
    }
    // No pixel has this key, or several blocks hold it.
    if (behind != first + 1u) {
        sums[j * params.quads + d] = all;
    }
    // One of the row's invocations writes the count.
    if (d == 0u) {
        counts[j] = end - begin;
    }
}
