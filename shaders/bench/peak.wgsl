// What the adapter can do at best, to judge kernels by: a copy for its memory, multiply-adds on registers for its
// arithmetic. Neither belongs to an operation.
//!include lib/index.wgsl

struct Params {
    // vec4s to copy; rounds of multiply-add per invocation.
    num_quads: u32,
    rounds: u32,
    factor: f32,
    shift: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

// out = source, one vec4 per invocation: neighbours in a subgroup read neighbours in memory. Several vec4s per invocation,
// 64 apart, reached half of it on a software adapter (lavapipe: 2.0 against 4.1 GB/s per core).
@compute @workgroup_size(64)
fn copy(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i < params.num_quads) {
        out[i] = source[i];
    }
}

// x = x * factor + shift on 8 independent numbers: enough to hide the latency of an addition behind a multiplication on a
// CPU, few enough to stay in its 16 vector registers. 16 of them per round, or 256 floating point operations.
@compute @workgroup_size(64)
fn multiply_add(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = linear_index(id, groups, 64u);
    let a = vec4<f32>(params.factor);
    let b = vec4<f32>(params.shift);
    var x = vec4<f32>(f32(i % 7u));
    var y = vec4<f32>(f32(i % 5u));
    for (var round = 0u; round < params.rounds; round++) {
        // Written out: a counter costs as much as an addition.
        x = fma(x, a, b); y = fma(y, a, b); x = fma(x, a, b); y = fma(y, a, b);
        x = fma(x, a, b); y = fma(y, a, b); x = fma(x, a, b); y = fma(y, a, b);
        x = fma(x, a, b); y = fma(y, a, b); x = fma(x, a, b); y = fma(y, a, b);
        x = fma(x, a, b); y = fma(y, a, b); x = fma(x, a, b); y = fma(y, a, b);
        x = fma(x, a, b); y = fma(y, a, b); x = fma(x, a, b); y = fma(y, a, b);
        x = fma(x, a, b); y = fma(y, a, b); x = fma(x, a, b); y = fma(y, a, b);
        x = fma(x, a, b); y = fma(y, a, b); x = fma(x, a, b); y = fma(y, a, b);
        x = fma(x, a, b); y = fma(y, a, b); x = fma(x, a, b); y = fma(y, a, b);
    }
    // Stored, so that the work cannot be dropped.
    out[i % params.num_quads] = x + y;
}
