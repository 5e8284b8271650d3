// Gradient to the class vectors on GPUs: the sums over pixels of query_logit.wgsl in short blocks with four pixels loaded at once,
// and then of the blocks by workgroups (lib/strips.wgsl).
//
// Layout: as in query_logit.wgsl; sums of blocks are [images][blocks][4 columns][quads].
// Workgroup: 64 invocations, and 256 for the sums of blocks with 4 KiB of its memory, an image along z.
//!include lib/index.wgsl
//!include lib/strips.wgsl

struct Params {
    // Blocks of an image, vec4s of their sums, and how those are shared out: see lib/strips.wgsl.
    rows: u32,
    quads: u32,
    wide: u32,
    block_rows: u32,
    // Pixels of one image and of a block; images * blocks.
    pixels: u32,
    block: u32,
    num_parts: u32,
    // vec4s of an embedding, and of a row of logits.
    depth: u32,
    columns: u32,
    // C, and the tile: its first class and how many it has.
    num_classes: u32,
    first_class: u32,
    classes: u32,
    // Where in each image the dispatch begins.
    first_pixel: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> d_out: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn query_logit_vectors_partial(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = linear_index(id, groups, 64u);
    let q = i % params.depth;
    let column = i / params.depth % params.columns;
    // Image and block together.
    let part = i / (params.depth * params.columns);
    if (part >= params.num_parts) {
        return;
    }
    let image = part / params.rows;
    let first = params.first_pixel + (part % params.rows) * params.block;
    let last = min(first + params.block, params.pixels);
    // Column c: the sum for class 4 column + c.
    var sum = mat4x4<f32>();
    for (var p = first; p < last; p += 4u) {
        let real = vec4<u32>(p) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(last);
        let n = image * params.pixels + min(vec4<u32>(p) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last - 1u));
        let rows = n * params.columns + column;
        let at = n * params.depth + q;
        let g0 = d_out[rows.x]; let g1 = d_out[rows.y]; let g2 = d_out[rows.z]; let g3 = d_out[rows.w];
        let x0 = emb[at.x]; let x1 = emb[at.y]; let x2 = emb[at.z]; let x3 = emb[at.w];
        let zero = vec4<f32>(0.0);
        // Rows are pixels here: lane c of a gradient belongs to class c.
        let g = mat4x4<f32>(g0, select(zero, g1, real.y), select(zero, g2, real.z), select(zero, g3, real.w));
        let x = mat4x4<f32>(x0, x1, x2, x3);
        sum += x * transpose(g);
    }
    let to = (part * 4u * params.columns + 4u * column) * params.depth + q;
    parts_out[to] = sum[0];
    parts_out[to + params.depth] = sum[1];
    parts_out[to + 2u * params.depth] = sum[2];
    parts_out[to + 3u * params.depth] = sum[3];
}

// Adds the sums of the dispatch's blocks to the gradient of the vectors.
@compute @workgroup_size(256)
fn query_logit_vectors_grad(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = strip(group, groups, lane);
    // The blocks of this image.
    let all = sum_of_parts(at, lane, group.z * params.rows * params.quads);
    let c = at.quad / params.depth;
    // Rows of classes beyond the tile's end hold zeros, which nobody reads.
    if (at.stores && c < params.classes) {
        // Added, not set: other dispatches have summed other blocks, and other tiles other classes.
        let row = group.z * params.num_classes + params.first_class + c;
        out[row * params.depth + at.quad % params.depth] += all;
    }
}
