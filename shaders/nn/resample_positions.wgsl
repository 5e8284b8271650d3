// Bicubic resampling of a grid of position embeddings to another one, behind rows that stay as they are (the class token's):
// output o of an axis lies at (2 o + 1) in / (2 out) - 1/2 of the input; the four inputs around it, the nearest there is beyond
// the border, are weighted by Keys' kernel with a = -0.75 (1981), without smoothing when made smaller.
//
// Layout: rows of `quads` vec4s: `prefix` rows, then the grid by rows. One vec4 per invocation, workgroups of 64.
// resample_positions_grad: the transpose, along one axis at a time on [outer][length][inner]; the host runs it along the
// columns, then along the rows. Iterations: outputs of the axis, at most 32,767.
//!include lib/index.wgsl

struct Params {
    // vec4s of the rows that are kept.
    prefix: u32,
    height_in: u32,
    width_in: u32,
    height_out: u32,
    width_out: u32,
    quads: u32,
}

struct Axis {
    // vec4s of the result, and where the grid begins in x.
    num_quads: u32,
    x_at: u32,
    // The axis before and after, and vec4s between neighbours on it.
    length_in: u32,
    length_out: u32,
    inner: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(0) var<uniform> axis: Axis;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> summed: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

struct Source {
    // The input before the output's place, which may be -1, and the weights of the four from the one before it.
    first: i32,
    weights: vec4<f32>,
}

// Keys' kernel at distances up to 1 and from 1 to 2.
fn near(d: f32) -> f32 {
    return (1.25 * d - 2.25) * d * d + 1.0;
}

fn far(d: f32) -> f32 {
    return ((-0.75 * d + 3.75) * d - 6.0) * d + 3.0;
}

fn source(o: u32, length_in: u32, length_out: u32) -> Source {
    // In whole numbers of 1 / (2 out), one input further on so that none is negative.
    let num = (2u * o + 1u) * length_in + length_out;
    let den = 2u * length_out;
    let whole = num / den;
    let t = f32(num - whole * den) / f32(den);
    return Source(i32(whole) - 1, vec4<f32>(far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)));
}

// Input `i` of an axis, or the nearest there is.
fn inside(i: i32, length: u32) -> u32 {
    return u32(clamp(i, 0, i32(length) - 1));
}

@compute @workgroup_size(64)
fn resample_positions(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = linear_index(id, groups, 64u);
    if (index >= params.prefix + params.height_out * params.width_out * params.quads) {
        return;
    }
    if (index < params.prefix) {
        out[index] = x[index];
        return;
    }
    let i = index - params.prefix;
    let place = i / params.quads;
    let down = source(place / params.width_out, params.height_in, params.height_out);
    let across = source(place % params.width_out, params.width_in, params.width_out);
    let columns = vec4<u32>(
        inside(across.first - 1, params.width_in), inside(across.first, params.width_in),
        inside(across.first + 1, params.width_in), inside(across.first + 2, params.width_in),
    );
    var sum = vec4<f32>(0.0);
    for (var k = 0; k < 4; k++) {
        // The four of a row, then the rows.
        let row = inside(down.first + k - 1, params.height_in) * params.width_in;
        let at = (vec4<u32>(row) + columns) * params.quads + params.prefix + i % params.quads;
        let line = mat4x4<f32>(x[at.x], x[at.y], x[at.z], x[at.w]) * across.weights;
        sum += down.weights[k] * line;
    }
    out[index] = sum;
}

// Here x is the gradient of the outputs along this axis.
@compute @workgroup_size(64)
fn resample_positions_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = linear_index(id, groups, 64u);
    if (index >= axis.num_quads) {
        return;
    }
    let line = index / axis.inner;
    let outer = line / axis.length_in;
    let i = line % axis.length_in;
    var at = axis.x_at + outer * axis.length_out * axis.inner + index % axis.inner;
    var sum = vec4<f32>(0.0);
    for (var o = 0u; o < axis.length_out; o++) {
        let s = source(o, axis.length_in, axis.length_out);
        // Beyond the border several of the four are the same input.
        let hits = vec4<bool>(
            inside(s.first - 1, axis.length_in) == i, inside(s.first, axis.length_in) == i,
            inside(s.first + 1, axis.length_in) == i, inside(s.first + 2, axis.length_in) == i,
        );
        let weights = select(vec4<f32>(0.0), s.weights, hits);
        sum += ((weights.x + weights.y) + (weights.z + weights.w)) * x[at];
        at += axis.inner;
    }
    out[index] = sum;
}

// The gradient of the grid behind that of the rows in front, which is the one of x.
@compute @workgroup_size(64)
fn resample_positions_join(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let index = linear_index(id, groups, 64u);
    if (index >= params.prefix + params.height_in * params.width_in * params.quads) {
        return;
    }
    if (index < params.prefix) {
        out[index] = x[index];
    } else {
        out[index] = summed[index - params.prefix];
    }
}
