// out = x / (1 - p) where the draw is at least p, else 0; the draw is counter-based: (seed, step, index), so the gradient
// is this same kernel on dy, and no mask is stored.
//
// index = element (row * channels + channel), image * channels + channel when whole channels are dropped, image when whole
// images are: `rows_per_draw` rows share a draw. Layout: rows of vec4s. Workgroup: 64 invocations, one vec4 each.
//!include lib/index.wgsl
//!include lib/rng.wgsl

struct Params {
    // vec4s in all, and per row.
    num_quads: u32,
    quads: u32,
    // Draws of a row: its channels, or 1; and 1 where neighbouring channels have draws of their own, else 0.
    draws_per_row: u32,
    lanes: u32,
    // 1 per element; the pixels of an image where whole channels are dropped.
    rows_per_draw: u32,
    seed: u32,
    p: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> step: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn dropout(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.num_quads) {
        return;
    }
    // Counted without the padding, so the draw of an element does not depend on the layout.
    let draw = (i / params.quads) / params.rows_per_draw;
    let first = draw * params.draws_per_row + params.lanes * 4u * (i % params.quads);
    let u = vec4<f32>(
        rng_uniform(params.seed, step[0], first),
        rng_uniform(params.seed, step[0], first + params.lanes), rng_uniform(params.seed, step[0], first + 2u * params.lanes),
        rng_uniform(params.seed, step[0], first + 3u * params.lanes),
    );
    // Padding lanes draw too, and scale a zero.
    out[i] = select(vec4<f32>(0.0), x[i] / (1.0 - params.p), u >= vec4<f32>(params.p));
}
