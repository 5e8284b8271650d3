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

// out = source. A workgroup copies 512 vec4s in eight strides of 64, so that neighbours in a subgroup read neighbours in
// memory and a software adapter, which pays for every workgroup, starts few.
@compute @workgroup_size(64)
fn copy(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = (group.x + group.y * groups.x) * 512u + lane;
    // Addresses beyond the end repeat the last vec4: no branch around a load, and the same value is stored again.
    let last = params.num_quads - 1u;
    let i0 = min(first, last); let i1 = min(first + 64u, last);
    let i2 = min(first + 128u, last); let i3 = min(first + 192u, last);
    let i4 = min(first + 256u, last); let i5 = min(first + 320u, last);
    let i6 = min(first + 384u, last); let i7 = min(first + 448u, last);
    let v0 = source[i0]; let v1 = source[i1]; let v2 = source[i2]; let v3 = source[i3];
    let v4 = source[i4]; let v5 = source[i5]; let v6 = source[i6]; let v7 = source[i7];
    out[i0] = v0; out[i1] = v1; out[i2] = v2; out[i3] = v3;
    out[i4] = v4; out[i5] = v5; out[i6] = v6; out[i7] = v7;
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
