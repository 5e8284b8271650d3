// Gated linear unit with a swish gate (Shazeer 2020): of the two halves a, b of a row, y = a s(a) b, s the logistic function.
// Gradients: da = dy b s(a) (1 + a (1 - s(a))), db = dy a s(a).
//
// Layout: rows of 2 * quads vec4s in, of quads vec4s out; halves begin at whole vec4s. Workgroup: 64 invocations, one vec4
// of a half each.
//!include lib/index.wgsl

struct Params {
    rows: u32,
    // vec4s of a half.
    quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn swiglu(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let row = i / params.quads;
    if (row < params.rows) {
        // Rows of x are twice as long: i + row * quads is 2 * row * quads + the place in the half.
        let a = x[i + row * params.quads];
        let b = x[i + (row + 1u) * params.quads];
        out[i] = a / (1.0 + exp(-a)) * b;
    }
}

// Here out is dx.
@compute @workgroup_size(64)
fn swiglu_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let row = i / params.quads;
    if (row < params.rows) {
        let at = i + row * params.quads;
        let a = x[at];
        let b = x[at + params.quads];
        // The logistic function; for a far below 0 exp overflows to infinity, and s to 0, which is right.
        let s = 1.0 / (1.0 + exp(-a));
        let g = dy[i];
        out[at] = g * b * s * (1.0 + a * (1.0 - s));
        out[at + params.quads] = g * a * s;
    }
}
