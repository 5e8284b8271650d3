// Bilinear resize of NHWC maps, and its exact transpose.
//
// Source position of output o along one axis, as a fraction num / den of integers, so that no rounding moves a weight:
//   corners aligned:  o * (in - 1) / (out - 1), 0 where out = 1
//   half pixels:      max(((2 o + 1) * in - out) / (2 out), 0)
// i0 = floor, i1 = min(i0 + 1, in - 1), weight of i1 = the fraction that remains.
//
// Layout: rows of `quads` vec4s, padding stays zero by linearity.
// resize: one vec4 column of a strip of 8 output rows per invocation, in the order batch, strips, columns, quads. Rows
// between the same two source rows share the loads, which halves the traffic when enlarging. Workgroups of 64.
// resize_grad: one axis at a time on [outer, length, inner]; the host runs it along W, then along H. An invocation
// gathers one input vec4 from the outputs within one step of it: at most `out` <= 46,340 iterations.
//!include lib/index.wgsl

struct Params {
    height_in: u32,
    width_in: u32,
    height_out: u32,
    width_out: u32,
    quads: u32,
    // Strips of 8 rows of all images.
    num_strips: u32,
    // 1: half pixels; 0: corners aligned.
    half_pixels: u32,
}

struct Axis {
    // The map as [outer, length, inner]: inner counts vec4s, for W those of a pixel, for H those of a row.
    num_quads: u32,
    length_in: u32,
    length_out: u32,
    inner: u32,
    half_pixels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(0) var<uniform> axis: Axis;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

struct Source {
    // Neighbours on the source axis, and the weight of the second.
    first: u32,
    second: u32,
    weight: f32,
}

fn source(o: u32, length_in: u32, length_out: u32) -> Source {
    var num = o * (length_in - 1u);
    var den = max(length_out, 2u) - 1u;
    // Half pixels: max(a, b) - b stands for max(a - b, 0), since u32 has no negative numbers.
    if (params.half_pixels == 1u) {
        num = max((2u * o + 1u) * length_in, length_out) - length_out;
        den = 2u * length_out;
    }
    let first = num / den;
    // The remainder is exact; only this quotient is rounded.
    return Source(first, min(first + 1u, length_in - 1u), f32(num - first * den) / f32(den));
}

@compute @workgroup_size(64)
fn resize(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = linear_index(id, groups, 64u);
    let row_quads = params.width_out * params.quads;
    let strip = index / row_quads;
    if (strip >= params.num_strips) {
        return;
    }
    // vec4 of an output row, and the strip's place in its image.
    let place = index - strip * row_quads;
    let column = place / params.quads;
    let quad = place - column * params.quads;
    let strips = (params.height_out + 7u) / 8u;
    let b = strip / strips;
    let top = (strip - b * strips) * 8u;
    let across = source(column, params.width_in, params.width_out);
    let left = across.first * params.quads + quad;
    let right = across.second * params.quads + quad;
    // vec4s per source row and the first one of the image.
    let pitch = params.width_in * params.quads;
    let image = b * params.height_in * pitch;
    let last = min(top + 8u, params.height_out);
    // Source rows that `upper` and `lower` were made from; none at first.
    var held = vec2<u32>(0xffffffffu);
    var upper = vec4<f32>(0.0);
    var lower = vec4<f32>(0.0);
    for (var row = top; row < last; row++) {
        let down = source(row, params.height_in, params.height_out);
        if (down.first != held.x) {
            // When enlarging, the lower row soon becomes the upper one.
            if (down.first == held.y) {
                upper = lower;
            } else {
                let at = image + down.first * pitch;
                upper = mix(x[at + left], x[at + right], across.weight);
            }
            let at = image + down.second * pitch;
            lower = mix(x[at + left], x[at + right], across.weight);
            held = vec2<u32>(down.first, down.second);
        }
        out[(b * params.height_out + row) * row_quads + place] = mix(upper, lower, down.weight);
    }
}

// Here x is the gradient of the outputs along this axis. With distance(o, i) = (step * o + offset - i * den) / den, output
// o touches input i where |distance| < 1; beyond the first and the last input all weight is on that input.
@compute @workgroup_size(64)
fn resize_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = linear_index(id, groups, 64u);
    if (index >= axis.num_quads) {
        return;
    }
    let line = index / axis.inner;
    let place = index - line * axis.inner;
    let outer = line / axis.length_in;
    let i = i32(line - outer * axis.length_in);
    let in_length = i32(axis.length_in);
    let out_length = i32(axis.length_out);
    // distance in units of 1 / den, so that all but the weight is integer.
    var step = in_length - 1;
    var offset = 0;
    var den = max(out_length - 1, 1);
    if (axis.half_pixels == 1u) {
        step = 2 * in_length;
        offset = in_length - out_length;
        den = 2 * out_length;
    }
    var first = 0;
    var last = out_length - 1;
    // Outputs from the first with distance > -1 to the last with distance < 1. Input 0 also takes all that
    // lies before it, the last input all that lies behind.
    let lowest = (i - 1) * den - offset;
    if (i > 0 && lowest >= 0) {
        first = lowest / step + 1;
    }
    if (i < in_length - 1) {
        let highest = (i + 1) * den - offset;
        last = select(-1, min((highest - 1) / step, last), highest > 0);
    }
    let scale = 1.0 / f32(den);
    var distance = step * first + offset - i * den;
    var at = (outer * axis.length_out + u32(first)) * axis.inner + place;
    var sum = vec4<f32>(0.0);
    for (var o = first; o <= last; o++) {
        var inside = distance;
        // Clamped: outputs beyond the border have the whole weight of the border's input.
        if (i == 0) {
            inside = max(inside, 0);
        }
        if (i == in_length - 1) {
            inside = min(inside, 0);
        }
        sum += (1.0 - f32(abs(inside)) * scale) * x[at];
        distance += step;
        at += axis.inner;
    }
    out[index] = sum;
}
