// Class logits by class vectors that every image has of its own: o[n,c] = <emb[n], vectors[b(n),c]>, for a tile of classes.
//
// Layout: emb [B pixels][quads] vec4s, vectors [B][num_classes][quads], o and its gradient rows of `columns` vec4s.
// Tiles in registers, no workgroup memory: 4 pixels of one image x 4 classes in query_logit, 4 pixels x 1 vec4 of channels in
// the gradient to the pixels, 4 classes x 1 vec4 in that to the vectors, whose sum over pixels is taken in blocks of rows.
// Iterations: quads (at most 1,024), classes / 4, the rows of a block (512), the blocks of a dispatch (at most 32,768).
//!include lib/index.wgsl
//!include lib/lanes.wgsl

struct Params {
    // B, and the pixels of one image.
    images: u32,
    pixels: u32,
    // vec4s of an embedding, and of a row of logits.
    quads: u32,
    columns: u32,
    // C, and the tile: its first class and how many it has.
    num_classes: u32,
    first_class: u32,
    classes: u32,
    // Gradient to the pixels: 1 to add to what is there.
    accumulate: u32,
    // Gradient to the vectors: where in each image the dispatch begins, rows of a block, blocks per image.
    first_pixel: u32,
    rows: u32,
    blocks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// Every entry binds what it names; `out` is logits, a gradient, or the sums of blocks.
@group(0) @binding(1) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> d_out: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> partial: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

// Where the vector of class `c` of the tile begins; the last class stands in beyond the end.
fn vector_row(image: u32, c: u32) -> u32 {
    return (image * params.num_classes + params.first_class + min(c, params.classes - 1u)) * params.quads;
}

// Pixel `p` of an image as a row of the batch; the last one stands in beyond the end.
fn pixel(image: u32, p: u32) -> u32 {
    return image * params.pixels + min(p, params.pixels - 1u);
}

// Products of a pixel's vec4 with those of four classes.
fn four(x: vec4<f32>, e: mat4x4<f32>) -> vec4<f32> {
    // A row vector times a matrix of columns: one dot product per column.
    return x * e;
}

@compute @workgroup_size(64)
fn query_logit(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let tiles = (params.pixels + 3u) / 4u;
    // Neighbours take neighbouring classes of the same pixels.
    let column = i % params.columns;
    let p = (i / params.columns % tiles) * 4u;
    let image = i / (params.columns * tiles);
    if (image >= params.images) {
        return;
    }
    // Four rows of pixels and four of vectors: eight loads feed sixteen products of vec4s.
    let n0 = pixel(image, p) * params.quads;
    let n1 = pixel(image, p + 1u) * params.quads;
    let n2 = pixel(image, p + 2u) * params.quads;
    let n3 = pixel(image, p + 3u) * params.quads;
    let c0 = vector_row(image, 4u * column);
    let c1 = vector_row(image, 4u * column + 1u);
    let c2 = vector_row(image, 4u * column + 2u);
    let c3 = vector_row(image, 4u * column + 3u);
    // s<p>: the logits of pixel p for the four classes of the column.
    var s0 = vec4<f32>(0.0);
    var s1 = vec4<f32>(0.0);
    var s2 = vec4<f32>(0.0);
    var s3 = vec4<f32>(0.0);
    for (var q = 0u; q < params.quads; q++) {
        // Four loads of vectors serve four pixels.
        let e = mat4x4<f32>(vectors[c0 + q], vectors[c1 + q], vectors[c2 + q], vectors[c3 + q]);
        s0 += four(emb[n0 + q], e);
        s1 += four(emb[n1 + q], e);
        s2 += four(emb[n2 + q], e);
        s3 += four(emb[n3 + q], e);
    }
    // Rows of this tile are stored one after the other, the padding of classes as zeros.
    let to = (image * params.pixels + p) * params.columns + column;
    let left = params.pixels - p;
    out[to] = masked(s0, column, params.classes);
    if (left > 1u) { out[to + params.columns] = masked(s1, column, params.classes); }
    if (left > 2u) { out[to + 2u * params.columns] = masked(s2, column, params.classes); }
    if (left > 3u) { out[to + 3u * params.columns] = masked(s3, column, params.classes); }
}

// d_emb[n] (+)= sum over the tile's classes of d_out[n,c] * vectors[b,c].
@compute @workgroup_size(64)
fn query_logit_emb_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let tiles = (params.pixels + 3u) / 4u;
    // Neighbours take neighbouring channels: they read the same gradients and adjacent columns of the vectors.
    let q = i % params.quads;
    let p = (i / params.quads % tiles) * 4u;
    let image = i / (params.quads * tiles);
    if (image >= params.images) {
        return;
    }
    let n0 = pixel(image, p);
    let n1 = pixel(image, p + 1u);
    let n2 = pixel(image, p + 2u);
    let n3 = pixel(image, p + 3u);
    var s0 = vec4<f32>(0.0);
    var s1 = vec4<f32>(0.0);
    var s2 = vec4<f32>(0.0);
    var s3 = vec4<f32>(0.0);
    for (var column = 0u; column < params.columns; column++) {
        // Classes beyond the end repeat the last one, and their gradient is the padding's zero.
        let e = mat4x4<f32>(
            vectors[vector_row(image, 4u * column) + q],
            vectors[vector_row(image, 4u * column + 1u) + q],
            vectors[vector_row(image, 4u * column + 2u) + q],
            vectors[vector_row(image, 4u * column + 3u) + q],
        );
        s0 += e * d_out[n0 * params.columns + column];
        s1 += e * d_out[n1 * params.columns + column];
        s2 += e * d_out[n2 * params.columns + column];
        s3 += e * d_out[n3 * params.columns + column];
    }
    // A tile at the end of an image has fewer pixels; the next row belongs to the next image.
    let left = params.pixels - p;
    let to = n0 * params.quads + q;
    add(to, s0);
    if (left > 1u) { add(to + params.quads, s1); }
    if (left > 2u) { add(to + 2u * params.quads, s2); }
    if (left > 3u) { add(to + 3u * params.quads, s3); }
}

// Earlier tiles' classes have been added already.
fn add(to: u32, sum: vec4<f32>) {
    if (params.accumulate == 1u) {
        out[to] += sum;
    } else {
        out[to] = sum;
    }
}

// Sums over one block of rows of d_out[n,c] * emb[n], as [images][blocks][4 columns][quads].
@compute @workgroup_size(64)
fn query_logit_vectors_partial(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = linear_index(id, groups, 64u);
    let q = i % params.quads;
    let column = i / params.quads % params.columns;
    // Image and block together: number `part` of images * blocks.
    let part = i / (params.quads * params.columns);
    if (part >= params.images * params.blocks) {
        return;
    }
    // A block never leaves its image, whose pixels alone the vectors are compared with.
    let image = part / params.blocks;
    let first = params.first_pixel + (part % params.blocks) * params.rows;
    let last = min(first + params.rows, params.pixels);
    var s0 = vec4<f32>(0.0);
    var s1 = vec4<f32>(0.0);
    var s2 = vec4<f32>(0.0);
    var s3 = vec4<f32>(0.0);
    for (var p = first; p < last; p++) {
        let n = image * params.pixels + p;
        let g = d_out[n * params.columns + column];
        let x = emb[n * params.quads + q];
        // Lane c of the gradient is that of class 4 column + c.
        s0 += g.x * x;
        s1 += g.y * x;
        s2 += g.z * x;
        s3 += g.w * x;
    }
    // Rows of classes beyond the tile's end hold zeros, which nobody reads.
    let to = (part * 4u * params.columns + 4u * column) * params.quads + q;
    out[to] = s0;
    out[to + params.quads] = s1;
    out[to + 2u * params.quads] = s2;
    out[to + 3u * params.quads] = s3;
}

// Adds the sums of the dispatch's blocks, in their order, to the gradient of the vectors.
@compute @workgroup_size(64)
fn query_logit_vectors_grad(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = linear_index(id, groups, 64u);
    let q = i % params.quads;
    let c = i / params.quads % params.classes;
    let image = i / (params.quads * params.classes);
    if (image >= params.images) {
        return;
    }
    var sum = vec4<f32>(0.0);
    for (var block = 0u; block < params.blocks; block++) {
        let part = image * params.blocks + block;
        sum += partial[(part * 4u * params.columns + c) * params.quads + q];
    }
    // Added, not set: other dispatches have summed other blocks, and other tiles other classes.
    out[vector_row(image, c) + q] += sum;
}
