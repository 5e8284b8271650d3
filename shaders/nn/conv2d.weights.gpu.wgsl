// Gradient of a dense convolution's weights for GPUs: dw[ky,kx,ci,co] = sum over output pixels of x[source, ci] * dy[pixel, co], in
// splits as in conv2d.wgsl (y is [splits][weights]), by tiles in workgroup memory.
//
// Rows are (ky, kx, ci) flattened, so that few input channels fill a tile with their taps; columns are output channels; the
// depth runs over the pixels of one split, 16 a round. Both operands lie along their channels, so a round stages [16][ROWS / 4] and
// [16][COLUMNS / 4] vec4s, and an outer product per pixel follows.
// Iterations: pixels of a split (at most 16,384) / 16 rounds of 5.
alias Staged = f32;
//!include lib/conv.wgsl
//!include lib/gemm.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> dy: array<vec4<f32>>;

//!include lib/conv_source.wgsl

// 1x1, stride 1, no padding.
override POINT: bool = false;

// Pixels per round.
const PIXELS = 16u;

// Quads of rows: taps times input quads.
fn row_quads() -> u32 {
    return params.kernel_h * params.kernel_w * params.quads_in;
}

// Where a pixel of the split lies: number among all output pixels, line, column.
struct Place {
    pixel: u32,
    line: u32,
    column: u32,
}

// Pixel t of the split's rectangle. A split has at most 16,384 pixels, so the quotient is exact: half a unit is far more than
// the rounding. Pixels beyond the end repeat the last line; whoever reads them puts zeros in their place.
fn place_of(area: vec4<u32>, t: u32, per_width: f32) -> Place {
    let width = area.w - area.z;
    let down = u32((f32(t) + 0.5) * per_width);
    let line = min(area.x + down, area.y - 1u);
    let column = area.z + t - down * width;
    return Place(line * params.out_w + column, line, column);
}

// Quad q of input channels of the source of tap `tap` for that pixel.
fn left_quad(at: Place, tap: u32, q: u32, real: bool) -> vec4<f32> {
    if (POINT) {
        // The source pixel is the output pixel.
        return select(vec4<f32>(0.0), x[select(0u, at.pixel * params.quads_in + q, real)], real);
    }
    let s = row_pixel(line_row(at.line, tap), tap_column(tap) + i32(at.column * params.stride));
    return select(vec4<f32>(0.0), x[u32(max(s, 0)) + q], (s >= 0) & real);
}

fn right_quad(at: Place, quad: u32, real: bool) -> vec4<f32> {
    return select(vec4<f32>(0.0), dy[select(0u, at.pixel * params.quads_out + quad, real)], real);
}

// Stages pixels 16 * round and on of the split's rectangle. `invocations` is a multiple of ROWS / 4 and of COLUMNS / 4: an
// invocation stages the same row quad and the same column quad for all its pixels, 1, 2 or 4 of either.
fn stage(area: vec4<u32>, first_row: u32, first_quad: u32, round: u32, place: u32, invocations: u32) {
    let width = area.w - area.z;
    let count = (area.y - area.x) * width;
    let per_width = 1.0 / f32(width);
    let rows = ROWS / 4u;
    let quads = COLUMNS / 4u;
    // Rows beyond the last repeat it and are not stored.
    let r = min(first_row + place % rows, row_quads() - 1u);
    let tap = r / params.quads_in;
    let q = r - tap * params.quads_in;
    let quad = min(first_quad + place % quads, params.quads_out - 1u);
    // Pixels from one to the next of an invocation.
    let apart = invocations / rows;
    let t = round * PIXELS + place / rows;
    let l0 = left_quad(place_of(area, t, per_width), tap, q, t < count);
    var l1 = l0; var l2 = l0; var l3 = l0;
    if (apart < PIXELS) {
        l1 = left_quad(place_of(area, t + apart, per_width), tap, q, t + apart < count);
    }
    if (2u * apart < PIXELS) {
        l2 = left_quad(place_of(area, t + 2u * apart, per_width), tap, q, t + 2u * apart < count);
        l3 = left_quad(place_of(area, t + 3u * apart, per_width), tap, q, t + 3u * apart < count);
    }
    let far = invocations / quads;
    let u = round * PIXELS + place / quads;
    let r0 = right_quad(place_of(area, u, per_width), quad, u < count);
    var r1 = r0; var r2 = r0; var r3 = r0;
    if (far < PIXELS) {
        r1 = right_quad(place_of(area, u + far, per_width), quad, u + far < count);
    }
    if (2u * far < PIXELS) {
        r2 = right_quad(place_of(area, u + 2u * far, per_width), quad, u + 2u * far < count);
        r3 = right_quad(place_of(area, u + 3u * far, per_width), quad, u + 3u * far < count);
    }
    let to = place / rows * pitch() + place % rows;
    left[to] = l0;
    if (apart < PIXELS) {
        left[to + apart * pitch()] = l1;
    }
    if (2u * apart < PIXELS) {
        left[to + 2u * apart * pitch()] = l2;
        left[to + 3u * apart * pitch()] = l3;
    }
    right[place] = r0;
    if (far < PIXELS) {
        right[place + invocations] = r1;
    }
    if (2u * far < PIXELS) {
        right[place + 2u * invocations] = r2;
        right[place + 3u * invocations] = r3;
    }
}

// Where a tile lies: first row quad, first column quad, split.
fn tile_of(i: u32) -> vec3<u32> {
    let across = (4u * params.quads_out + COLUMNS - 1u) / COLUMNS;
    let down = (4u * row_quads() + ROWS - 1u) / ROWS;
    let split = i / (across * down);
    return vec3<u32>((i / across % down) * (ROWS / 4u), (i % across) * (COLUMNS / 4u), split);
}

// Rounds over the split's pixels: the same for the whole workgroup, since barriers stand in their loop.
fn num_rounds(area: vec4<u32>) -> u32 {
    return ((area.y - area.x) * (area.w - area.z) + PIXELS - 1u) / PIXELS;
}

// Four rows of the result: input channels 4 q to 4 q + 3 of a tap, one quad of output channels.
fn store(split: u32, row: u32, quad: u32, r0: vec4<f32>, r1: vec4<f32>, r2: vec4<f32>, r3: vec4<f32>) {
    if ((row < row_quads()) & (quad < params.quads_out)) {
        let at = 4u * (split * row_quads() + row) * params.quads_out + quad;
        y[at] = r0;
        y[at + params.quads_out] = r1;
        y[at + 2u * params.quads_out] = r2;
        y[at + 3u * params.quads_out] = r3;
    }
}

@compute @workgroup_size(ACROSS, DOWN)
fn conv2d_dw_8(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    let at = tile_of(tile_number(group, groups));
    // The same for the whole workgroup, so no barrier is missed.
    if (at.z >= params.num_splits) {
        return;
    }
    let area = split_area(at.z);
    let invocations = ACROSS * DOWN;
    let near = local.x;
    let far = local.x + ACROSS;
    // c[i][h]: rows 0 to 3 are those of the first row quad, 4 to 7 those of the second.
    var c00 = vec4<f32>(0.0); var c01 = vec4<f32>(0.0); var c10 = vec4<f32>(0.0); var c11 = vec4<f32>(0.0);
    var c20 = vec4<f32>(0.0); var c21 = vec4<f32>(0.0); var c30 = vec4<f32>(0.0); var c31 = vec4<f32>(0.0);
    var c40 = vec4<f32>(0.0); var c41 = vec4<f32>(0.0); var c50 = vec4<f32>(0.0); var c51 = vec4<f32>(0.0);
    var c60 = vec4<f32>(0.0); var c61 = vec4<f32>(0.0); var c70 = vec4<f32>(0.0); var c71 = vec4<f32>(0.0);
    for (var round = 0u; round < num_rounds(area); round++) {
        workgroupBarrier();
        stage(area, at.x, at.y, round, place, invocations);
        workgroupBarrier();
//!include lib/gemm_8.wgsl
    }
    // Row quads stand DOWN apart, column quads ACROSS.
    let row = at.x + local.y;
    let quad = at.y + local.x;
    store(at.z, row, quad, c00, c10, c20, c30);
    store(at.z, row, quad + ACROSS, c01, c11, c21, c31);
    store(at.z, row + DOWN, quad, c40, c50, c60, c70);
    store(at.z, row + DOWN, quad + ACROSS, c41, c51, c61, c71);
}

@compute @workgroup_size(ACROSS, DOWN)
fn conv2d_dw_4(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    let at = tile_of(tile_number(group, groups));
    // The same for the whole workgroup, so no barrier is missed.
    if (at.z >= params.num_splits) {
        return;
    }
    let area = split_area(at.z);
    let invocations = ACROSS * DOWN;
    // c[i]: input channel i of this invocation's row quad.
    var c0 = vec4<f32>(0.0); var c1 = vec4<f32>(0.0); var c2 = vec4<f32>(0.0); var c3 = vec4<f32>(0.0);
    for (var round = 0u; round < num_rounds(area); round++) {
        workgroupBarrier();
        stage(area, at.x, at.y, round, place, invocations);
        workgroupBarrier();
//!include lib/gemm_4.wgsl
    }
    store(at.z, at.x + local.y, at.y + local.x, c0, c1, c2, c3);
}
