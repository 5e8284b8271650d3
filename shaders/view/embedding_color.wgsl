// The colour of every output pixel's embedding, interpolated (aligned corners) and normalised again:
//   channel i = round(255 * clamp((<e, basis_i> / |e| - low_i) / (high_i - low_i), 0, 1)),  alpha 255
// computed per lib/cell_gram.wgsl.
//
// Layout: emb [height,width,D] and basis [3,D] in vec4s, the last axis padded; range three vec4s (low, high, 0, 0); color
// [out_height,out_width] packed, dense; gram three vec4s and dots one vec4 per place.
//   color_cells      one invocation per place: products with the basis and among the corners of its cell
//   embedding_color  one invocation per four neighbouring pixels, for which the range is loaded once
// Workgroups of 64. Loops: D / 4; four pixels.
//!include lib/index.wgsl

struct Params {
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> basis: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> range: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> gram: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> dots: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> color: array<u32>;

//!include lib/cell_gram.wgsl

@compute @workgroup_size(64)
fn color_cells(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 64u);
    if (n >= params.height * params.width) {
        return;
    }
    var products = vec4<f32>();
    for (var d = 0u; d < params.quads; d += 1u) {
        let e = emb[n * params.quads + d];
        products += vec4<f32>(dot(e, basis[d]), dot(e, basis[params.quads + d]), dot(e, basis[2u * params.quads + d]), 0.0);
    }
    dots[n] = products;
    write_gram(n);
}

@compute @workgroup_size(64)
fn embedding_color(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let runs = (params.out_width + 3u) / 4u;
    let row = i / runs;
    if (row >= params.out_height) {
        return;
    }
    let x = 4u * (i - row * runs);
    let red = range[0];
    let green = range[1];
    let blue = range[2];
    let low = vec3<f32>(red.x, green.x, blue.x);
    let span = vec3<f32>(red.y, green.y, blue.y) - low;
    // An empty range becomes a threshold.
    let scale = 1.0 / select(span, vec3<f32>(1e-30), span == vec3<f32>(0.0));
    let y = tap(row, params.height, params.out_height);
    for (var lane = 0u; lane < min(4u, params.out_width - x); lane += 1u) {
        let corners = corners_at(y, tap(x + lane, params.width, params.out_width));
        let at = corners.at;
        let w = corners.weight;
        let v = (w.x * dots[at.x] + w.y * dots[at.y] + w.z * dots[at.z] + w.w * dots[at.w]) * inverse_length(corners);
        let share = clamp((v.xyz - low) * scale, vec3<f32>(0.0), vec3<f32>(1.0));
        let channels = vec3<u32>(share * 255.0 + 0.5);
        color[row * params.out_width + x + lane] = channels.x | (channels.y << 8u) | (channels.z << 16u) | 0xff000000u;
    }
}
