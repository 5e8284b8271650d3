// What the GPU kernels of the matching share: sizes, bindings, and the maximum of a class once its similarities are known.
struct Params {
    num_items: u32,
    num_rows: u32,
    quads: u32,       // vec4s per embedding
    num_protos: u32,  // K
    first_class: u32,
    classes: u32,
    // Of the gradients, which proto_match.wgsl computes.
    first_row: u32,
    rows: u32,
    num_blocks: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> protos: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> a: array<f32>;
@group(0) @binding(4) var<storage, read_write> kstar: array<u32>;

// Writes class c of row n: `best` and its prototype, or the zero of a padding lane.
fn write(n: u32, c: u32, best: f32, winner: u32) {
    // Floats per row of a, padding included; kstar is dense.
    let stride = 4u * ((params.classes + 3u) / 4u);
    if (c < params.classes) {
        a[n * stride + c] = best;
        kstar[n * params.classes + c] = winner;
    } else {
        a[n * stride + c] = 0.0;
    }
}

// Classes that a tile writes: its own, and the last tile also the padding lanes behind them.
fn classes_written(first_class: u32, per_tile: u32) -> u32 {
    let padded = 4u * ((params.classes + 3u) / 4u);
    return select(per_tile, padded - first_class, first_class + per_tile >= params.classes);
}
