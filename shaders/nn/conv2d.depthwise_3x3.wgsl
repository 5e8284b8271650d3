// Depthwise 3x3 convolution without dilation and its gradients: the formulas and layouts of conv2d.depthwise.wgsl.
//
// Loads are what such a convolution costs, above all on software adapters, where each is a branch per lane. So one
// invocation owns 4 channels of a strip 4 pixels wide and `split_rows` output rows long: weights are loaded once, every
// source row once, and its products are handed to the output rows that it belongs to.
// Loads and stores per output pixel: 2.5 with stride 1, 5.5 with stride 2, against 7.75 and 12 for single rows.
// Workgroup: 64, nothing shared. Iterations: split_rows + 2 (host: at most 66).
//!include lib/index.wgsl
//!include lib/conv.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> bias: array<vec4<f32>>;

alias Element = vec4<f32>;

//!include lib/epilogue.wgsl
//!include lib/conv_pixel.wgsl
//!include lib/touch.wgsl

// Index of the first vec4 that the 8 lanes of a subgroup read of a row of x or dy, counted from the row's start: that of lane
// 0, whose strip may be another one where pixels have fewer than 8 vec4s.
fn touch_first(i: u32, step: u32) -> u32 {
    let first = i - i % 8u;
    let across = (params.out_w + 3u) / 4u;
    return ((first / params.quads_in) % across) * step * params.quads_in + first % params.quads_in;
}

// Where cache line number p of a row is, from touch_first on. Pixels of 8 vec4s and more: two lines of each pixel that the
// lanes read; fewer: one line after the other.
fn touch_line(p: u32) -> u32 {
    return select((p / 2u) * params.quads_in + 4u * (p % 2u), 4u * p, params.quads_in < 8u);
}

// Touches rows [first, first + count) of x for an image, 16 lines each: strips read 6 pixels of a row, and 9 with stride 2.
fn touch_x(i: u32, b: u32, first: i32, count: u32, step: u32) -> f32 {
    var sum = 0.0;
    if (TOUCH == 0u) {
        return sum;
    }
    let at = touch_first(i, step);
    for (var r = 0u; r < count; r++) {
        let row = u32(max(line_start(b, first + i32(r)), 0)) * params.quads_in + at;
        sum += x[row + touch_line(i % 8u)].x;
        sum += x[row + touch_line(i % 8u + 8u)].x;
    }
    return sum;
}

// The same for dy, 8 lines of each row of a strip.
fn touch_dy(i: u32, s: Strip) -> f32 {
    var sum = 0.0;
    if (TOUCH == 0u) {
        return sum;
    }
    let at = touch_first(i, 4u) + touch_line(i % 8u);
    for (var row = s.first; row < s.last; row++) {
        sum += dy[(s.b * params.out_h + row) * params.out_w * params.quads_in + at].x;
    }
    return sum;
}

// The strip of an invocation: channels, image, first column, output rows [first, last).
struct Strip {
    c: u32,
    b: u32,
    column: u32,
    first: u32,
    last: u32,
}

// Neighbours take neighbouring channels; `width` columns to a strip, `rows` rows to an image.
fn strip(i: u32, width: u32, columns: u32, rows: u32) -> Strip {
    let across = (columns + width - 1u) / width;
    let down = (rows + params.split_rows - 1u) / params.split_rows;
    let block = i / (params.quads_in * across);
    let first = (block % down) * params.split_rows;
    return Strip(
        i % params.quads_in,
        block / down,
        ((i / params.quads_in) % across) * width,
        first,
        min(first + params.split_rows, rows),
    );
}

// Images of the batch.
fn num_images() -> u32 {
    return params.num_lines / params.out_h;
}

// Tap t in kernel order, or 8 - t where the taps are reversed.
fn tap(t: u32, c: u32) -> vec4<f32> {
    return w[select(t, 8u - t, params.reversed == 1u) * params.quads_in + c];
}

// The bias, or zero.
fn shift(c: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), bias[c], params.has_bias == 1u);
}

// The four pixels of one output row of a strip.
struct Four {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
}

fn store(row: u32, s: Strip, v: Four) {
    let at = ((s.b * params.out_h + row) * params.out_w + s.column) * params.quads_in + s.c;
    // Pixels left in the row; a strip never reaches into the next one.
    let left = params.out_w - s.column;
    y[at] = finished(v.a, at);
    if (left > 1u) { y[at + params.quads_in] = finished(v.b, at + params.quads_in); }
    if (left > 2u) { y[at + 2u * params.quads_in] = finished(v.c, at + 2u * params.quads_in); }
    if (left > 3u) { y[at + 3u * params.quads_in] = finished(v.d, at + 3u * params.quads_in); }
}

// Stride 1. Source row r gives tap row 2 of output row r - 2, tap row 1 of r - 1 and tap row 0 of r (counted from the
// strip's first), which wait in three accumulators.
@compute @workgroup_size(64)
fn depthwise_3x3(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let s = strip(i, 4u, params.out_w, params.out_h);
    if (s.b >= num_images()) {
        return;
    }
    let touched = touch_x(i, s.b, i32(s.first) - params.pad_h, s.last - s.first + 2u, 4u);
    if (params.quads_in == 0u) {
        // Never: it keeps the loads alive.
        y[0] = vec4<f32>(touched);
    }
    let c = s.c;
    // The nine taps stay in registers for the whole strip.
    let w0 = tap(0u, c); let w1 = tap(1u, c); let w2 = tap(2u, c);
    let w3 = tap(3u, c); let w4 = tap(4u, c); let w5 = tap(5u, c);
    let w6 = tap(6u, c); let w7 = tap(7u, c); let w8 = tap(8u, c);
    let ox = i32(s.column) - params.pad_w;
    let plus = shift(c);
    let nothing = Four(plus, plus, plus, plus);
    // `older` becomes output row r - 2 of this step, `old` r - 1.
    var older = nothing;
    var old = nothing;
    for (var r = 0u; r < s.last - s.first + 2u; r++) {
        let base = line_start(s.b, i32(s.first + r) - params.pad_h);
        // Output pixel j needs window columns j, j + 1 and j + 2.
        let p0 = pixel(base, ox, c); let p1 = pixel(base, ox + 1, c); let p2 = pixel(base, ox + 2, c);
        let p3 = pixel(base, ox + 3, c); let p4 = pixel(base, ox + 4, c); let p5 = pixel(base, ox + 5, c);
        if (r >= 2u) {
            // The last tap row completes the row that waited longest.
            older.a += w6 * p0 + w7 * p1 + w8 * p2; older.b += w6 * p1 + w7 * p2 + w8 * p3;
            older.c += w6 * p2 + w7 * p3 + w8 * p4; older.d += w6 * p3 + w7 * p4 + w8 * p5;
            store(s.first + r - 2u, s, older);
        }
        // The middle tap row; the row moves up.
        older.a = old.a + (w3 * p0 + w4 * p1 + w5 * p2); older.b = old.b + (w3 * p1 + w4 * p2 + w5 * p3);
        older.c = old.c + (w3 * p2 + w4 * p3 + w5 * p4); older.d = old.d + (w3 * p3 + w4 * p4 + w5 * p5);
        // The first tap row starts a new row.
        old.a = plus + w0 * p0 + w1 * p1 + w2 * p2; old.b = plus + w0 * p1 + w1 * p2 + w2 * p3;
        old.c = plus + w0 * p2 + w1 * p3 + w2 * p4; old.d = plus + w0 * p3 + w1 * p4 + w2 * p5;
    }
}

// Stride 2. Source row 2 r gives tap row 2 of output row r - 1 and tap row 0 of r, source row 2 r + 1 tap row 1 of r.
@compute @workgroup_size(64)
fn depthwise_3x3_half(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let s = strip(i, 4u, params.out_w, params.out_h);
    if (s.b >= num_images()) {
        return;
    }
    let touched = touch_x(i, s.b, 2 * i32(s.first) - params.pad_h, 2u * (s.last - s.first) + 1u, 8u);
    if (params.quads_in == 0u) {
        // Never: it keeps the loads alive.
        y[0] = vec4<f32>(touched);
    }
    let c = s.c;
    // The nine taps stay in registers for the whole strip.
    let w0 = tap(0u, c); let w1 = tap(1u, c); let w2 = tap(2u, c);
    let w3 = tap(3u, c); let w4 = tap(4u, c); let w5 = tap(5u, c);
    let w6 = tap(6u, c); let w7 = tap(7u, c); let w8 = tap(8u, c);
    let ox = 2 * i32(s.column) - params.pad_w;
    let plus = shift(c);
    var old = Four(plus, plus, plus, plus);
    for (var r = 0u; r < s.last - s.first + 1u; r++) {
        let sy = 2 * i32(s.first + r) - params.pad_h;
        var base = line_start(s.b, sy);
        // Output pixel j needs window columns 2 j, 2 j + 1 and 2 j + 2.
        let p0 = pixel(base, ox, c); let p1 = pixel(base, ox + 1, c); let p2 = pixel(base, ox + 2, c);
        let p3 = pixel(base, ox + 3, c); let p4 = pixel(base, ox + 4, c); let p5 = pixel(base, ox + 5, c);
        let p6 = pixel(base, ox + 6, c); let p7 = pixel(base, ox + 7, c); let p8 = pixel(base, ox + 8, c);
        if (r >= 1u) {
            old.a += w6 * p0 + w7 * p1 + w8 * p2; old.b += w6 * p2 + w7 * p3 + w8 * p4;
            old.c += w6 * p4 + w7 * p5 + w8 * p6; old.d += w6 * p6 + w7 * p7 + w8 * p8;
            store(s.first + r - 1u, s, old);
        }
        if (s.first + r < s.last) {
            base = line_start(s.b, sy + 1);
            let q0 = pixel(base, ox, c); let q1 = pixel(base, ox + 1, c); let q2 = pixel(base, ox + 2, c);
            let q3 = pixel(base, ox + 3, c); let q4 = pixel(base, ox + 4, c); let q5 = pixel(base, ox + 5, c);
            let q6 = pixel(base, ox + 6, c); let q7 = pixel(base, ox + 7, c); let q8 = pixel(base, ox + 8, c);
            // The first tap row starts a new row.
            old.a = plus + w0 * p0 + w1 * p1 + w2 * p2 + (w3 * q0 + w4 * q1 + w5 * q2);
            old.b = plus + w0 * p2 + w1 * p3 + w2 * p4 + (w3 * q2 + w4 * q3 + w5 * q4);
            old.c = plus + w0 * p4 + w1 * p5 + w2 * p6 + (w3 * q4 + w4 * q5 + w5 * q6);
            old.d = plus + w0 * p6 + w1 * p7 + w2 * p8 + (w3 * q6 + w4 * q7 + w5 * q8);
        }
    }
}

// Gradient with respect to x for stride 2 and padding 1; here x is dy, y is dx, and the taps are not reversed. Source pixel
// (i, j) of dy reaches a 2 x 2 block of dx at (2 i, 2 j) and its upper and left neighbours: with d = dy,
//   dx[2i,   2j] = w4 d[i,j]                 dx[2i,   2j+1] = w5 d[i,j] + w3 d[i,j+1]
//   dx[2i+1, 2j] = w7 d[i,j] + w1 d[i+1,j]   dx[2i+1, 2j+1] = w8 d[i,j] + w6 d[i,j+1] + w2 d[i+1,j] + w0 d[i+1,j+1].
// A strip is 4 columns of dx wide, two of dy, and walks down the rows of dy.
@compute @workgroup_size(64)
fn depthwise_3x3_twice(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let s = strip(i, 4u, params.out_w, (params.out_h + 1u) / 2u);
    if (s.b >= num_images()) {
        return;
    }
    let touched = touch_x(i, s.b, i32(s.first), s.last - s.first + 1u, 2u);
    if (params.quads_in == 0u) {
        // Never: it keeps the loads alive.
        y[0] = vec4<f32>(touched);
    }
    let c = s.c;
    // The nine taps stay in registers for the whole strip.
    let w0 = tap(0u, c); let w1 = tap(1u, c); let w2 = tap(2u, c);
    let w3 = tap(3u, c); let w4 = tap(4u, c); let w5 = tap(5u, c);
    let w6 = tap(6u, c); let w7 = tap(7u, c); let w8 = tap(8u, c);
    let ox = i32(s.column / 2u);
    var base = line_start(s.b, i32(s.first));
    // Row i of dy; the next row comes in at every step.
    var d0 = pixel(base, ox, c); var d1 = pixel(base, ox + 1, c); var d2 = pixel(base, ox + 2, c);
    for (var row = s.first; row < s.last; row++) {
        base = line_start(s.b, i32(row) + 1);
        let e0 = pixel(base, ox, c); let e1 = pixel(base, ox + 1, c); let e2 = pixel(base, ox + 2, c);
        store(2u * row, s, Four(w4 * d0, w5 * d0 + w3 * d1, w4 * d1, w5 * d1 + w3 * d2));
        // An odd height has no second row at its end.
        if (2u * row + 1u < params.out_h) {
            let a = w7 * d0 + w1 * e0;
            let b = w8 * d0 + w6 * d1 + w2 * e0 + w0 * e1;
            let f = w7 * d1 + w1 * e1;
            let g = w8 * d1 + w6 * d2 + w2 * e1 + w0 * e2;
            store(2u * row + 1u, s, Four(a, b, f, g));
        }
        d0 = e0; d1 = e1; d2 = e2;
    }
}

// dw over one strip, 4 wide and split_rows long: all nine taps at once. A source row meets the three rows of dy that it is
// a tap of, two of which are kept from the steps before: 10 loads for 4 pixels and 36 multiply-adds. y is [strips][9][quads].
@compute @workgroup_size(64)
fn depthwise_dw_3x3(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let s = strip(i, 4u, params.out_w, params.out_h);
    if (s.b >= num_images()) {
        return;
    }
    let touched = touch_x(i, s.b, i32(s.first) - params.pad_h, s.last - s.first + 2u, 4u) + touch_dy(i, s);
    if (params.quads_in == 0u) {
        // Never: it keeps the loads alive.
        y[0] = vec4<f32>(touched);
    }
    let c = s.c;
    // What lies outside adds nothing.
    let zero = vec4<f32>(0.0);
    // s[3 ky + kx], one for each tap.
    var s0 = zero; var s1 = zero; var s2 = zero; var s3 = zero; var s4 = zero;
    var s5 = zero; var s6 = zero; var s7 = zero; var s8 = zero;
    let ox = i32(s.column) - params.pad_w;
    // dy of output rows r - 2 and r - 1, zero outside the strip.
    var older = Four(zero, zero, zero, zero);
    var old = older;
    for (var r = 0u; r < s.last - s.first + 2u; r++) {
        let row = s.first + r;
        let now = gradient(row, s);
        let base = line_start(s.b, i32(row) - params.pad_h);
        let p0 = pixel(base, ox, c); let p1 = pixel(base, ox + 1, c); let p2 = pixel(base, ox + 2, c);
        let p3 = pixel(base, ox + 3, c); let p4 = pixel(base, ox + 4, c); let p5 = pixel(base, ox + 5, c);
        // First tap row: this step's row of dy.
        s0 += now.a * p0 + now.b * p1 + now.c * p2 + now.d * p3;
        s1 += now.a * p1 + now.b * p2 + now.c * p3 + now.d * p4;
        s2 += now.a * p2 + now.b * p3 + now.c * p4 + now.d * p5;
        // Middle tap row.
        s3 += old.a * p0 + old.b * p1 + old.c * p2 + old.d * p3;
        s4 += old.a * p1 + old.b * p2 + old.c * p3 + old.d * p4;
        s5 += old.a * p2 + old.b * p3 + old.c * p4 + old.d * p5;
        // Last tap row: the oldest row of dy that is kept.
        s6 += older.a * p0 + older.b * p1 + older.c * p2 + older.d * p3;
        s7 += older.a * p1 + older.b * p2 + older.c * p3 + older.d * p4;
        s8 += older.a * p2 + older.b * p3 + older.c * p4 + older.d * p5;
        older = old;
        // The kept rows of dy move up by one.
        old = now;
    }
    let at = (i / params.quads_in) * 9u * params.quads_in + c;
    // Parts in the order of strips; sum_splits adds them up.
    y[at] = s0; y[at + params.quads_in] = s1; y[at + 2u * params.quads_in] = s2;
    y[at + 3u * params.quads_in] = s3; y[at + 4u * params.quads_in] = s4; y[at + 5u * params.quads_in] = s5;
    y[at + 6u * params.quads_in] = s6; y[at + 7u * params.quads_in] = s7; y[at + 8u * params.quads_in] = s8;
}

// The same with stride 2: per output row two new source rows of 9 pixels; the third is the next step's first.
@compute @workgroup_size(64)
fn depthwise_dw_3x3_half(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = linear_index(id, groups, 64u);
    let s = strip(i, 4u, params.out_w, params.out_h);
    if (s.b >= num_images()) {
        return;
    }
    let touched = touch_x(i, s.b, 2 * i32(s.first) - params.pad_h, 2u * (s.last - s.first) + 1u, 8u) + touch_dy(i, s);
    if (params.quads_in == 0u) {
        // Never: it keeps the loads alive.
        y[0] = vec4<f32>(touched);
    }
    let c = s.c;
    // What lies outside adds nothing.
    let zero = vec4<f32>(0.0);
    var s0 = zero; var s1 = zero; var s2 = zero; var s3 = zero; var s4 = zero;
    var s5 = zero; var s6 = zero; var s7 = zero; var s8 = zero;
    let ox = 2 * i32(s.column) - params.pad_w;
    // dy of output row r - 1.
    var old = Four(zero, zero, zero, zero);
    for (var r = 0u; r < s.last - s.first + 1u; r++) {
        let row = s.first + r;
        let now = gradient(row, s);
        let sy = 2 * i32(row) - params.pad_h;
        var base = line_start(s.b, sy);
        let p0 = pixel(base, ox, c); let p1 = pixel(base, ox + 1, c); let p2 = pixel(base, ox + 2, c);
        let p3 = pixel(base, ox + 3, c); let p4 = pixel(base, ox + 4, c); let p5 = pixel(base, ox + 5, c);
        let p6 = pixel(base, ox + 6, c); let p7 = pixel(base, ox + 7, c); let p8 = pixel(base, ox + 8, c);
        // First tap row: this step's row of dy.
        s0 += now.a * p0 + now.b * p2 + now.c * p4 + now.d * p6;
        s1 += now.a * p1 + now.b * p3 + now.c * p5 + now.d * p7;
        s2 += now.a * p2 + now.b * p4 + now.c * p6 + now.d * p8;
        // Last tap row: the oldest row of dy that is kept.
        s6 += old.a * p0 + old.b * p2 + old.c * p4 + old.d * p6;
        s7 += old.a * p1 + old.b * p3 + old.c * p5 + old.d * p7;
        s8 += old.a * p2 + old.b * p4 + old.c * p6 + old.d * p8;
        if (row < s.last) {
            base = line_start(s.b, sy + 1);
            let q0 = pixel(base, ox, c); let q1 = pixel(base, ox + 1, c); let q2 = pixel(base, ox + 2, c);
            let q3 = pixel(base, ox + 3, c); let q4 = pixel(base, ox + 4, c); let q5 = pixel(base, ox + 5, c);
            let q6 = pixel(base, ox + 6, c); let q7 = pixel(base, ox + 7, c); let q8 = pixel(base, ox + 8, c);
            // Middle tap row.
            s3 += now.a * q0 + now.b * q2 + now.c * q4 + now.d * q6;
            s4 += now.a * q1 + now.b * q3 + now.c * q5 + now.d * q7;
            s5 += now.a * q2 + now.b * q4 + now.c * q6 + now.d * q8;
        }
        // The kept rows of dy move up by one.
        old = now;
    }
    let at = (i / params.quads_in) * 9u * params.quads_in + c;
    // Parts in the order of strips; sum_splits adds them up.
    y[at] = s0; y[at + params.quads_in] = s1; y[at + 2u * params.quads_in] = s2;
    y[at + 3u * params.quads_in] = s3; y[at + 4u * params.quads_in] = s4; y[at + 5u * params.quads_in] = s5;
    y[at + 6u * params.quads_in] = s6; y[at + 7u * params.quads_in] = s7; y[at + 8u * params.quads_in] = s8;
}

// The gradient of four output pixels of one row, zero outside the strip and the image.
fn gradient(row: u32, s: Strip) -> Four {
    let base = ((s.b * params.out_h + row) * params.out_w + s.column) * params.quads_in + s.c;
    let left = select(0u, params.out_w - s.column, row < s.last);
    // What lies outside adds nothing.
    let zero = vec4<f32>(0.0);
    // A place that does not count reads vec4 0 of its channel, which is there.
    return Four(
        select(zero, dy[select(s.c, base, left > 0u)], left > 0u),
        select(zero, dy[select(s.c, base + params.quads_in, left > 1u)], left > 1u),
        select(zero, dy[select(s.c, base + 2u * params.quads_in, left > 2u)], left > 2u),
        select(zero, dy[select(s.c, base + 3u * params.quads_in, left > 3u)], left > 3u),
    );
}
