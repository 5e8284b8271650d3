// Sums of the embeddings that a prototype's update uses: sums[j] = sum of emb[n] over pixels with key[n] = j, and their
// number counts[j], j = c*K + k.
//
// prototype_key: key = gt*K + khat where the pixel takes part, else -1.
// Then the pixels are grouped by key (group_by_class), and the sums are a segmented reduction over the sorted pixels:
//   prototype_blocks  each invocation walks 256 consecutive positions for one vec4 of channels. A run of equal keys that
//                     lies wholly inside its block goes straight to `sums`; a run that began before the block goes to
//                     slot 0 of the block, one that goes on behind it to slot 1.
//   prototype_sums    adds the slots of runs that cross blocks, in the order of the blocks, and zeroes absent keys.
// Work is N*D whatever C and K are and however uneven the classes, every sum has a fixed order, and the scratch is
// N*D/128.
//
// Layout: emb [N] and sums [C*K] rows of `quads` vec4s; edges [blocks, 2, quads]. Workgroup: 64 invocations, neighbouring
// vec4s of a row. Iterations: 256 in a block; N / 256 (16,384 for N = 4 million) in the second.
//!include lib/index.wgsl

struct Params {
    num_pixels: u32,
    num_classes: u32,
    num_protos: u32,
    // C * K keys, and vec4s per row.
    num_groups: u32,
    quads: u32,
}

const BLOCK = 256u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gt: array<i32>;
@group(0) @binding(2) var<storage, read> khat: array<i32>;
@group(0) @binding(3) var<storage, read> predicted: array<i32>;
@group(0) @binding(4) var<storage, read_write> key_out: array<i32>;
@group(0) @binding(5) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> key: array<i32>;
@group(0) @binding(7) var<storage, read> order: array<u32>;
@group(0) @binding(8) var<storage, read> offsets: array<u32>;
@group(0) @binding(9) var<storage, read_write> edges: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read_write> sums: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read_write> counts: array<u32>;

fn key_of(label: i32, k: i32, takes_part: bool) -> i32 {
    let valid = takes_part && label >= 0 && label < i32(params.num_classes) && k >= 0;
    // -1 sorts behind all keys and lies beyond offsets[num_groups]: never summed.
    return select(-1, label * i32(params.num_protos) + k, valid);
}

// Every labelled pixel takes part.
@compute @workgroup_size(64)
fn prototype_key_all(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 64u);
    if (n < params.num_pixels) {
        key_out[n] = key_of(gt[n], khat[n], true);
    }
}

// Only pixels whose predicted class is right.
@compute @workgroup_size(64)
fn prototype_key_correct(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 64u);
    if (n < params.num_pixels) {
        key_out[n] = key_of(gt[n], khat[n], predicted[n] == gt[n]);
    }
}

@compute @workgroup_size(64)
fn prototype_blocks(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let d = i % params.quads;
    let block = i / params.quads;
    let start = block * BLOCK;
    // Pixels without a key are at the end of `order`; a block that has only those does nothing.
    let end = min(start + BLOCK, offsets[params.num_groups]);
    var run = 0u;
    var run_end = start;
    var sum = vec4<f32>(0.0);
    for (var p = start; p < end; p++) {
        let n = order[p];
        // A run is the pixels of one key. The block's first position always starts one here, even in mid-run.
        if (p == run_end) {
            run = u32(key[n]);
            run_end = offsets[run + 1u];
            sum = vec4<f32>(0.0);
        }
        sum += emb[n * params.quads + d];
        // The run or the block ends. A run that covers the whole block began before it: slot 0.
        if (p + 1u == run_end || p + 1u == end) {
            if (offsets[run] < start) {
                edges[2u * block * params.quads + d] = sum;
            } else if (run_end > end) {
                edges[(2u * block + 1u) * params.quads + d] = sum;
            } else {
                sums[run * params.quads + d] = sum;
            }
        }
    }
}

@compute @workgroup_size(64)
fn prototype_sums(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let d = i % params.quads;
    let j = i / params.quads;
    if (j >= params.num_groups) {
        return;
    }
    let begin = offsets[j];
    let end = offsets[j + 1u];
    // No pixel has this key: prototype_blocks has not written it.
    if (begin == end) {
        sums[i] = vec4<f32>(0.0);
    } else {
        // Blocks that hold the run's first and last pixel. In one block: already complete in `sums`.
        let first = begin / BLOCK;
        let last = (end - 1u) / BLOCK;
        if (first != last) {
            var sum = vec4<f32>(0.0);
            // Every 64 blocks go to a second sum, which keeps the rounding error of long runs small.
            // The first block left the run's head in slot 1, all others left theirs in slot 0.
            var part = edges[(2u * first + 1u) * params.quads + d];
            for (var block = first + 1u; block <= last; block++) {
                part += edges[2u * block * params.quads + d];
                if ((block & 63u) == 0u) {
                    sum += part;
                    part = vec4<f32>(0.0);
                }
            }
            sums[i] = sum + part;
        }
    }
    // One of the row's invocations writes the count.
    if (d == 0u) {
        counts[j] = end - begin;
    }
}
