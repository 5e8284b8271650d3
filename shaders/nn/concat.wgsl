// Copies between the channels of a narrow map and a range of channels of a wide one: concat and, reversed, its gradient.
//
// Layout: rows of vec4s on both sides, padding zero. Where the range starts at a multiple of 4, whole vec4s are copied;
// elsewhere the wide side is addressed as scalars (a vec4 of it may belong to two inputs, written by two dispatches).
// Workgroup: 64 invocations, each walking down one vec4 column of the narrow side (lib/walk.wgsl), at most 16 rows.
//!include lib/index.wgsl
//!include lib/lanes.wgsl
//!include lib/walk.wgsl

struct Params {
    rows: u32,
    quads: u32,
    channels: u32,
    team_rows: u32,
    block_rows: u32,
    num_parts: u32,
    // First channel of the range, and the width of a wide row in memory.
    offset: u32,
    stride: u32,
    // Channels that a wide row gets in this dispatch: `channels`, and for the last input the padding behind them.
    extent: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> wide: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> wide_out: array<f32>;

// A last vec4 that also holds the next input's lanes is written with zeros there; that input comes later.
@compute @workgroup_size(64)
fn concat_quads(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = start(id, groups);
    for (var row = at.row; row < at.end; row += params.team_rows) {
        // stride and offset count floats, and both are multiples of 4 here.
        out[(row * params.stride + params.offset) / 4u + at.quad] = x[row * params.quads + at.quad];
    }
}

@compute @workgroup_size(64)
fn concat_scalars(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = start(id, groups);
    let first = 4u * at.quad;
    // The range's end in channels, for the last input the row's end, so that the padding is written once.
    let last = select(min(first + 4u, params.channels), params.extent, at.quad + 1u == params.quads);
    for (var row = at.row; row < at.end; row += params.team_rows) {
        let value = x[row * params.quads + at.quad];
        let to = row * params.stride + params.offset;
        wide_out[to + first] = value.x;
        // Lane by lane: the neighbours' channels in the same vec4 must stay.
        if (first + 1u < last) { wide_out[to + first + 1u] = value.y; }
        if (first + 2u < last) { wide_out[to + first + 2u] = value.z; }
        if (first + 3u < last) { wide_out[to + first + 3u] = value.w; }
        for (var c = first + 4u; c < last; c++) {
            wide_out[to + c] = 0.0;
        }
    }
}

// Here x is the wide side.
@compute @workgroup_size(64)
fn slice_quads(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = start(id, groups);
    for (var row = at.row; row < at.end; row += params.team_rows) {
        // The last vec4 may hold channels of the next input, which masked() drops.
        let value = x[(row * params.stride + params.offset) / 4u + at.quad];
        out[row * params.quads + at.quad] = masked(value, at.quad, params.channels);
    }
}

// Reads beyond the range stay in the row or are masked; a read beyond the buffer is harmless.
@compute @workgroup_size(64)
fn slice_scalars(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = start(id, groups);
    for (var row = at.row; row < at.end; row += params.team_rows) {
        let i = row * params.stride + params.offset + 4u * at.quad;
        let value = vec4<f32>(wide[i], wide[i + 1u], wide[i + 2u], wide[i + 3u]);
        out[row * params.quads + at.quad] = masked(value, at.quad, params.channels);
    }
}
