// What the GPU kernels of a dense convolution share: bindings, where a row of the implicit product of matrices comes from, and
// where its results go. ROWS and COLUMNS are declared by lib/gemm.wgsl or lib/matrix.wgsl, STEP, the depth quads of a
// round, there or by the includer.
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

//!include lib/conv_source.wgsl

// 1x1, stride 1, no padding: the source pixel is the output pixel, and nothing of the geometry is computed.
override POINT: bool = false;
// The gradient of a strided convolution: sources lie between pixels.
override BETWEEN: bool = false;

// Where the rows of the tile start to look, computed once.
var<workgroup> origins: array<vec3<i32>, ROWS>;

fn prepare(first: u32, place: u32, invocations: u32) {
    if (!POINT) {
        for (var row = place; row < ROWS; row += invocations) {
            // Pixels beyond the end repeat the last one and are not stored.
            origins[row] = pixel_origin(min(first + row, params.num_pixels - 1u));
        }
    }
}

// Index of the vec4 of row `row` at depth quad k = (tap, q), or -1 for a zero. A barrier lies behind `prepare`.
fn source_quad(first: u32, row: u32, k: u32, tap: u32, q: u32) -> i32 {
    if (POINT) {
        return i32(min(first + row, params.num_pixels - 1u) * params.quads_in + k);
    }
    let ky = tap / params.kernel_w;
    let kx = tap % params.kernel_w;
    let origin = origins[row];
    if (BETWEEN) {
        let at = source(origin, ky, kx);
        return select(-1, at + i32(q), at >= 0);
    }
    let sy = origin.y + i32(ky * params.dilation);
    let sx = origin.z + i32(kx * params.dilation);
    let inside = (sy >= 0) & (sx >= 0) & (sy < i32(params.in_h)) & (sx < i32(params.in_w));
    let at = ((origin.x * i32(params.in_h) + sy) * i32(params.in_w) + sx) * i32(params.quads_in) + i32(q);
    return select(-1, at, inside);
}

// Row `row` of the tile at depth quad k = (tap, q); zeros outside the image and beyond the depth.
fn left_quad(first: u32, row: u32, k: u32, tap: u32, q: u32, real: bool) -> vec4<f32> {
    let at = source_quad(first, row, k, tap, q);
    // A select and not a product: beyond the end of the depth anything may lie.
    return select(vec4<f32>(0.0), x[max(at, 0)], (at >= 0) & real);
}

// Number `i` of the round's quads of w: one input channel of one tap. Columns beyond the last repeat it and are not stored.
fn right_quad(first_quad: u32, round: u32, i: u32, depth: u32) -> vec4<f32> {
    let row = 4u * STEP * round + i / (COLUMNS / 4u);
    let at = row * params.quads_out + min(first_quad + i % (COLUMNS / 4u), params.quads_out - 1u);
    let real = row < 4u * depth;
    return select(vec4<f32>(0.0), w[select(0u, at, real)], real);
}

// The sums' first term.
fn bias_of(quad: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), bias[min(quad, params.quads_out - 1u)], params.has_bias == 1u);
}

alias Element = vec4<f32>;
//!include lib/epilogue.wgsl

// Every result goes through here.
fn store(pixel: u32, quad: u32, value: vec4<f32>) {
    if ((pixel < params.num_pixels) & (quad < params.quads_out)) {
        let at = pixel * params.quads_out + quad;
        y[at] = finished(value, at);
    }
}
