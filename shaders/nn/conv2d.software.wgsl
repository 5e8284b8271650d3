// Dense 2-D convolution for software adapters with subgroups of 8: the formulas and layouts of conv2d.wgsl.
//
// There, 8 invocations are the lanes of one vector register and every load is a branch per lane, so each float is loaded
// once per subgroup and spread by broadcast. One subgroup per workgroup, no workgroup memory, no barrier. Tile: 32 pixels
// x 32 output channels; a lane owns 4 channels (one vec4 column) of all 32 pixels. Per 4 input channels a lane loads 4
// vec4 of x (pixels lane, lane+8, ...) and 4 of w: 8 loads feed 1024 multiply-adds per lane.
// Measured on lavapipe (Mesa 22.3): 22 to 37 GFLOP/s per core against 8 to 9 for the register tile of conv2d.wgsl.
//!include lib/conv.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> dy: array<vec4<f32>>;

alias Element = vec4<f32>;

//!include lib/conv_source.wgsl
//!include lib/touch.wgsl
//!include lib/lane_of_8.wgsl
//!include lib/epilogue.wgsl

// 1: a 1x1 kernel with stride 1 and without padding. A constant: both sides of a branch run on such adapters, and the
// divisions that find a pixel's place in the image, one lane at a time, are a tenth of a tile with few input channels.
override POINTWISE: u32 = 0u;

fn tile_origin(n: u32) -> vec3<i32> {
    if (POINTWISE == 1u) {
        return vec3<i32>(i32(n * params.quads_in), 0, 0);
    }
    return pixel_origin(n);
}

fn tile_source(origin: vec3<i32>, ky: u32, kx: u32) -> i32 {
    if (POINTWISE == 1u) {
        return origin.x;
    }
    return source(origin, ky, kx);
}

@compute @workgroup_size(8)
fn conv2d(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    // One subgroup is one tile; groups beyond 65,535 are folded into y.
    let i = group.x + group.y * groups.x;
    let tiles = (params.quads_out + 7u) / 8u;
    // Tiles of the same 32 pixels are neighbours, so their rows of x are still in the cache.
    let first = (i / tiles) * 32u;
    if (first >= params.num_pixels) {
        return;
    }
    let column = (i % tiles) * 8u + lane;
    // Lanes beyond the last column keep working on it: every lane must take part in the broadcasts.
    let safe = min(column, params.quads_out - 1u);
    // Pixels beyond the end repeat the last one and are not stored.
    let o0 = tile_origin(min(first + lane + 0u, params.num_pixels - 1u));
    let o1 = tile_origin(min(first + lane + 8u, params.num_pixels - 1u));
    let o2 = tile_origin(min(first + lane + 16u, params.num_pixels - 1u));
    let o3 = tile_origin(min(first + lane + 24u, params.num_pixels - 1u));
    // The bias is the sums' first term, which saves a pass over y.
    let start = select(vec4<f32>(0.0), bias[safe], params.has_bias == 1u);
    // c[p] is this lane's vec4 of output channels of pixel first + p: 32 registers, named because an array
    // indexed by a variable would live in memory.
    var c0 = start; var c1 = start; var c2 = start; var c3 = start;
    var c4 = start; var c5 = start; var c6 = start; var c7 = start;
    var c8 = start; var c9 = start; var c10 = start; var c11 = start;
    var c12 = start; var c13 = start; var c14 = start; var c15 = start;
    var c16 = start; var c17 = start; var c18 = start; var c19 = start;
    var c20 = start; var c21 = start; var c22 = start; var c23 = start;
    var c24 = start; var c25 = start; var c26 = start; var c27 = start;
    var c28 = start; var c29 = start; var c30 = start; var c31 = start;
    for (var ky = 0u; ky < params.kernel_h; ky++) {
        for (var kx = 0u; kx < params.kernel_w; kx++) {
            // A tap outside the image reads vec4 0 and is multiplied by 0: a branch would part the lanes before a
            // broadcast.
            let s0 = tile_source(o0, ky, kx); let m0 = select(0.0, 1.0, s0 >= 0); var a0 = u32(max(s0, 0));
            let s1 = tile_source(o1, ky, kx); let m1 = select(0.0, 1.0, s1 >= 0); var a1 = u32(max(s1, 0));
            let s2 = tile_source(o2, ky, kx); let m2 = select(0.0, 1.0, s2 >= 0); var a2 = u32(max(s2, 0));
            let s3 = tile_source(o3, ky, kx); let m3 = select(0.0, 1.0, s3 >= 0); var a3 = u32(max(s3, 0));
            // Row of w: four input channels of this tap, each one row of quads_out vec4s.
            var row = ((ky * params.kernel_w + kx) * 4u * params.quads_in) * params.quads_out + safe;
            for (var q = 0u; q < params.quads_in; q++) {
                // w[i] belongs to input channel 4 q + i, in this lane's output channels.
                let w0 = w[row];
                let w1 = w[row + params.quads_out];
                let w2 = w[row + 2u * params.quads_out];
                let w3 = w[row + 3u * params.quads_out];
                row += 4u * params.quads_out;
                // Lane l holds pixels l, l + 8, l + 16, l + 24 of the tile; x[j] of lane l is pixel 8 j + l.
                let x0 = m0 * x[a0]; a0 += 1u; let x1 = m1 * x[a1]; a1 += 1u;
                let x2 = m2 * x[a2]; a2 += 1u; let x3 = m3 * x[a3]; a3 += 1u;
//!include lib/broadcast_32.wgsl
            }
        }
    }
    // Only now may lanes leave: no broadcast follows.
    if (column >= params.quads_out) {
        return;
    }
    // Real pixels of this tile, counted from its first.
    let left = params.num_pixels - first;
    let at = first * params.quads_out + column;
    store(left, at, 0u, c0); store(left, at, 1u, c1); store(left, at, 2u, c2); store(left, at, 3u, c3);
    store(left, at, 4u, c4); store(left, at, 5u, c5); store(left, at, 6u, c6); store(left, at, 7u, c7);
    store(left, at, 8u, c8); store(left, at, 9u, c9); store(left, at, 10u, c10); store(left, at, 11u, c11);
    store(left, at, 12u, c12); store(left, at, 13u, c13); store(left, at, 14u, c14); store(left, at, 15u, c15);
    store(left, at, 16u, c16); store(left, at, 17u, c17); store(left, at, 18u, c18); store(left, at, 19u, c19);
    store(left, at, 20u, c20); store(left, at, 21u, c21); store(left, at, 22u, c22); store(left, at, 23u, c23);
    store(left, at, 24u, c24); store(left, at, 25u, c25); store(left, at, 26u, c26); store(left, at, 27u, c27);
    store(left, at, 28u, c28); store(left, at, 29u, c29); store(left, at, 30u, c30); store(left, at, 31u, c31);
}

// Stores pixel number p of a tile, if it is one of its `left` real ones.
fn store(left: u32, at: u32, p: u32, sum: vec4<f32>) {
    if (left > p) {
        let to = at + p * params.quads_out;
        y[to] = finished(sum, to);
    }
}

// Index of the source pixel of output column ow in a row found by line_row, or -1 outside the image or from `end` on.
fn split_pixel(row: i32, first_column: i32, ow: u32, end: u32) -> i32 {
    let s = row_pixel(row, first_column + i32(ow * params.stride));
    return select(-1, s, ow < end);
}

// Touches what the columns of `area` read of one line: two cache lines of x and two of dy for each pixel, four pixels of
// either at a time.
fn touch(source_row: i32, first_column: i32, dy_row: u32, area: vec4<u32>, lane: u32, row: u32, column: u32) -> f32 {
    var sum = 0.0;
    if (TOUCH == 0u) {
        return sum;
    }
    for (var ow = area.z + lane / 2u; ow < area.w; ow += 4u) {
        let s = max(row_pixel(source_row, first_column + i32(ow * params.stride)), 0);
        sum += x[u32(s) + row + 4u * (lane % 2u)].x;
        sum += dy[(dy_row + ow) * params.quads_out + column + 4u * (lane % 2u)].x;
    }
    return sum;
}

// Gradient of the weights, tile 32 input x 32 output channels: lane l loads input quad l and output quad l of four
// pixels, eight loads for 512 multiply-adds per lane.
@compute @workgroup_size(8)
fn conv2d_dw(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    // Order of the tiles: output columns, input rows, taps, splits; neighbours share the rows of x.
    let i = group.x + group.y * groups.x;
    let tiles_out = (params.quads_out + 7u) / 8u;
    let tiles_in = (params.quads_in + 7u) / 8u;
    let column = (i % tiles_out) * 8u + lane;
    let row = ((i / tiles_out) % tiles_in) * 8u;
    let rest = i / (tiles_out * tiles_in);
    let taps = params.kernel_h * params.kernel_w;
    // One tap of the kernel per tile, so that all its lanes read one source pixel.
    let tap = rest % taps;
    let split = rest / taps;
    if (split >= params.num_splits) {
        return;
    }
    // Lanes beyond the last quad repeat it: all must take part in the broadcasts.
    let safe_column = min(column, params.quads_out - 1u);
    let safe_row = min(row + lane, params.quads_in - 1u);
    // c[8 j + l] is the gradient of input channel 4 (row + l) + j with this lane's four output channels.
    var c0 = vec4<f32>(0.0); var c1 = vec4<f32>(0.0); var c2 = vec4<f32>(0.0); var c3 = vec4<f32>(0.0);
    var c4 = vec4<f32>(0.0); var c5 = vec4<f32>(0.0); var c6 = vec4<f32>(0.0); var c7 = vec4<f32>(0.0);
    var c8 = vec4<f32>(0.0); var c9 = vec4<f32>(0.0); var c10 = vec4<f32>(0.0); var c11 = vec4<f32>(0.0);
    var c12 = vec4<f32>(0.0); var c13 = vec4<f32>(0.0); var c14 = vec4<f32>(0.0); var c15 = vec4<f32>(0.0);
    var c16 = vec4<f32>(0.0); var c17 = vec4<f32>(0.0); var c18 = vec4<f32>(0.0); var c19 = vec4<f32>(0.0);
    var c20 = vec4<f32>(0.0); var c21 = vec4<f32>(0.0); var c22 = vec4<f32>(0.0); var c23 = vec4<f32>(0.0);
    var c24 = vec4<f32>(0.0); var c25 = vec4<f32>(0.0); var c26 = vec4<f32>(0.0); var c27 = vec4<f32>(0.0);
    var c28 = vec4<f32>(0.0); var c29 = vec4<f32>(0.0); var c30 = vec4<f32>(0.0); var c31 = vec4<f32>(0.0);
    // A split is a rectangle of output pixels; sum_splits adds the splits in order.
    let area = split_area(split);
    let first_column = tap_column(tap);
    for (var line = area.x; line < area.y; line++) {
        let source_row = line_row(line, tap);
        let dy_row = line * params.out_w;
        let touched = touch(source_row, first_column, dy_row, area, lane, row, column - lane);
        if (params.num_splits == 0u) {
            // Never: it keeps the loads alive.
            y[0] = vec4<f32>(touched);
        }
        // Four pixels at a time: the 32 sums do not fit in registers, and each is fetched once for four products.
        for (var ow = area.z; ow < area.w; ow += 4u) {
            // The same for all lanes: one pixel, one tap. A mask and not a branch: a source pixel outside the image adds
            // zeros, and so does a pixel beyond the split's last.
            let s0 = split_pixel(source_row, first_column, ow, area.w);
            let s1 = split_pixel(source_row, first_column, ow + 1u, area.w);
            let s2 = split_pixel(source_row, first_column, ow + 2u, area.w);
            let s3 = split_pixel(source_row, first_column, ow + 3u, area.w);
            let p0 = select(0.0, 1.0, s0 >= 0) * x[u32(max(s0, 0)) + safe_row];
            let p1 = select(0.0, 1.0, s1 >= 0) * x[u32(max(s1, 0)) + safe_row];
            let p2 = select(0.0, 1.0, s2 >= 0) * x[u32(max(s2, 0)) + safe_row];
            let p3 = select(0.0, 1.0, s3 >= 0) * x[u32(max(s3, 0)) + safe_row];
            let last = area.w - 1u;
            let w0 = dy[(dy_row + ow) * params.quads_out + safe_column];
            let w1 = dy[(dy_row + min(ow + 1u, last)) * params.quads_out + safe_column];
            let w2 = dy[(dy_row + min(ow + 2u, last)) * params.quads_out + safe_column];
            let w3 = dy[(dy_row + min(ow + 3u, last)) * params.quads_out + safe_column];
            // Rows are input channels, the depth is four pixels.
            let x0 = vec4<f32>(p0.x, p1.x, p2.x, p3.x); let x1 = vec4<f32>(p0.y, p1.y, p2.y, p3.y);
            let x2 = vec4<f32>(p0.z, p1.z, p2.z, p3.z); let x3 = vec4<f32>(p0.w, p1.w, p2.w, p3.w);
//!include lib/broadcast_32.wgsl
        }
    }
    if (column >= params.quads_out) {
        return;
    }
    // Input channels from this tile's first on, padding included: their gradients are sums of zeros.
    let left = 4u * (params.quads_in - row);
    // y is [splits][taps][4 * quads_in][quads_out].
    let at = ((split * taps + tap) * 4u * params.quads_in + 4u * row) * params.quads_out + column;
    store_dw(left, at, 0u, c0); store_dw(left, at, 4u, c1); store_dw(left, at, 8u, c2); store_dw(left, at, 12u, c3);
    store_dw(left, at, 16u, c4); store_dw(left, at, 20u, c5); store_dw(left, at, 24u, c6); store_dw(left, at, 28u, c7);
    store_dw(left, at, 1u, c8); store_dw(left, at, 5u, c9); store_dw(left, at, 9u, c10); store_dw(left, at, 13u, c11);
    store_dw(left, at, 17u, c12); store_dw(left, at, 21u, c13); store_dw(left, at, 25u, c14); store_dw(left, at, 29u, c15);
    store_dw(left, at, 2u, c16); store_dw(left, at, 6u, c17); store_dw(left, at, 10u, c18); store_dw(left, at, 14u, c19);
    store_dw(left, at, 18u, c20); store_dw(left, at, 22u, c21); store_dw(left, at, 26u, c22); store_dw(left, at, 30u, c23);
    store_dw(left, at, 3u, c24); store_dw(left, at, 7u, c25); store_dw(left, at, 11u, c26); store_dw(left, at, 15u, c27);
    store_dw(left, at, 19u, c28); store_dw(left, at, 23u, c29); store_dw(left, at, 27u, c30); store_dw(left, at, 31u, c31);
}

// Stores input channel number p of a tile, if it is one of its `left` ones.
fn store_dw(left: u32, at: u32, p: u32, sum: vec4<f32>) {
    if (left > p) {
        y[at + p * params.quads_out] = sum;
    }
}
