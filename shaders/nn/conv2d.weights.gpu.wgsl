// Gradient of a dense convolution's weights for GPUs: dw[ky,kx,ci,co] = sum over output pixels of x[source, ci] * dy[pixel, co], in
// splits as in conv2d.wgsl (y is [splits][weights]), by tiles in workgroup memory.
//
// Rows are (ky, kx, ci) flattened, so that few input channels fill a tile with their taps; columns are output channels; the
// depth runs over the pixels of one split, 16 a round. Both operands lie along their channels, so a round stages [16][ROWS / 4] and
// [16][COLUMNS / 4] vec4s, and an outer product per pixel follows.
// Iterations: pixels of a split (at most 16,384) / 16 rounds of at most 25.
alias Staged = f32;
//!include lib/conv.wgsl
//!include lib/gemm.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> dy: array<vec4<f32>>;

//!include lib/conv_source.wgsl

// Pixels per round.
const PIXELS = 16u;

// Quads of rows: taps times input quads.
fn row_quads() -> u32 {
    return params.kernel_h * params.kernel_w * params.quads_in;
}

// Stages pixels 16 * round and on of the split's rectangle. `invocations` is a multiple of ROWS / 4 and of COLUMNS / 4: an
// invocation stages the same row quad and the same column for all its pixels.
fn stage(area: vec4<u32>, first_row: u32, first_quad: u32, round: u32, place: u32, invocations: u32) {
    let width = area.w - area.z;
    let count = (area.y - area.x) * width;
    let rows = ROWS / 4u;
    // Rows beyond the last repeat it and are not stored.
    let r = min(first_row + place % rows, row_quads() - 1u);
    let tap = r / params.quads_in;
    let q = r - tap * params.quads_in;
    let tap_first = tap_column(tap);
    for (var i = place; i < PIXELS * rows; i += invocations) {
        let t = round * PIXELS + i / rows;
        let line = t / width;
        let column = area.z + t - line * width;
        let s = row_pixel(line_row(min(area.x + line, area.y - 1u), tap), tap_first + i32(column * params.stride));
        let real = (s >= 0) & (t < count);
        left[i] = select(vec4<f32>(0.0), x[u32(max(s, 0)) + q], real);
    }
    let quads = COLUMNS / 4u;
    let quad = min(first_quad + place % quads, params.quads_out - 1u);
    for (var i = place; i < PIXELS * quads; i += invocations) {
        let t = min(round * PIXELS + i / quads, count - 1u);
        let line = t / width;
        // Pixels beyond the end repeat the last one; they are multiplied by the zeros of `left`, or by this select.
        let value = dy[((area.x + line) * params.out_w + area.z + t - line * width) * params.quads_out + quad];
        right[i] = select(vec4<f32>(0.0), value, round * PIXELS + i / quads < count);
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
    // c[i][h]: rows 0 to 3 are those of the first row quad, 4 to 7 those of the second.
    var c00 = vec4<f32>(0.0); var c01 = vec4<f32>(0.0); var c10 = vec4<f32>(0.0); var c11 = vec4<f32>(0.0);
    var c20 = vec4<f32>(0.0); var c21 = vec4<f32>(0.0); var c30 = vec4<f32>(0.0); var c31 = vec4<f32>(0.0);
    var c40 = vec4<f32>(0.0); var c41 = vec4<f32>(0.0); var c50 = vec4<f32>(0.0); var c51 = vec4<f32>(0.0);
    var c60 = vec4<f32>(0.0); var c61 = vec4<f32>(0.0); var c70 = vec4<f32>(0.0); var c71 = vec4<f32>(0.0);
    for (var round = 0u; round < num_rounds(area); round++) {
        workgroupBarrier();
        stage(area, at.x, at.y, round, place, invocations);
        workgroupBarrier();
        for (var p = 0u; p < PIXELS; p++) {
            // 4 readings of workgroup memory feed 64 multiply-adds.
            let a = left[p * (ROWS / 4u) + local.y];
            let b = left[p * (ROWS / 4u) + local.y + DOWN];
            let d = right_at(p, local.x);
            let e = right_at(p, local.x + ACROSS);
            c00 = fma(vec4<f32>(a.x), d, c00); c01 = fma(vec4<f32>(a.x), e, c01);
            c10 = fma(vec4<f32>(a.y), d, c10); c11 = fma(vec4<f32>(a.y), e, c11);
            c20 = fma(vec4<f32>(a.z), d, c20); c21 = fma(vec4<f32>(a.z), e, c21);
            c30 = fma(vec4<f32>(a.w), d, c30); c31 = fma(vec4<f32>(a.w), e, c31);
            c40 = fma(vec4<f32>(b.x), d, c40); c41 = fma(vec4<f32>(b.x), e, c41);
            c50 = fma(vec4<f32>(b.y), d, c50); c51 = fma(vec4<f32>(b.y), e, c51);
            c60 = fma(vec4<f32>(b.z), d, c60); c61 = fma(vec4<f32>(b.z), e, c61);
            c70 = fma(vec4<f32>(b.w), d, c70); c71 = fma(vec4<f32>(b.w), e, c71);
        }
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
        for (var p = 0u; p < PIXELS; p++) {
            let a = left[p * (ROWS / 4u) + local.y];
            let d = right_at(p, local.x);
            c0 = fma(vec4<f32>(a.x), d, c0); c1 = fma(vec4<f32>(a.y), d, c1);
            c2 = fma(vec4<f32>(a.z), d, c2); c3 = fma(vec4<f32>(a.w), d, c3);
        }
    }
    store(at.z, at.x + local.y, at.y + local.x, c0, c1, c2, c3);
}
