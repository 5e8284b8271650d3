// Cuts a map into windows of size x size places, and puts windows together again: permutations with padding.
//
// Place (y, x) of window (i, j) is pixel ((i size + y + shift) mod H', (j size + x + shift) mod W') of the map padded below and
// on the right with zeros to whole windows, H' x W'. Each is the other's gradient: what was padded gives none, what was cut
// off gets 0.
//
// Layout: map [images][height][width][quads], windows [images][down][across][place][quads], places by rows, or by
// columns if columns_first is 1. One vec4 per invocation, workgroups of 64.
//!include lib/index.wgsl
//!include lib/lanes.wgsl

struct Params {
    images: u32,
    // Of the map, in pixels.
    height: u32,
    width: u32,
    quads: u32,
    // Of the map: what the windows hold beyond is cut off.
    channels: u32,
    // Side of a window, how far the map is moved, windows down and across.
    size: u32,
    shift: u32,
    down: u32,
    across: u32,
    columns_first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn windows(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let places = params.size * params.size;
    let row = i / params.quads;
    let window = row / places;
    let image = window / (params.down * params.across);
    if (image >= params.images) {
        return;
    }
    let place = row % places;
    // The slow and the fast coordinate of the place.
    let slow = place / params.size;
    let fast = place % params.size;
    let y = select(slow, fast, params.columns_first == 1u);
    let x_in = select(fast, slow, params.columns_first == 1u);
    let h = ((window / params.across % params.down) * params.size + y + params.shift) % (params.down * params.size);
    let w = ((window % params.across) * params.size + x_in + params.shift) % (params.across * params.size);
    // Beyond the map lies zero.
    var value = vec4<f32>(0.0);
    if (h < params.height && w < params.width) {
        value = x[((image * params.height + h) * params.width + w) * params.quads + i % params.quads];
    }
    out[i] = value;
}

// Here x are windows and out is a map.
@compute @workgroup_size(64)
fn unwindows(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let pixel = i / params.quads;
    let line = pixel / params.width;
    let image = line / params.height;
    if (image >= params.images) {
        return;
    }
    // The map moved up and left by the shift, around its border.
    let padded_h = params.down * params.size;
    let padded_w = params.across * params.size;
    let h = (line % params.height + padded_h - params.shift) % padded_h;
    let w = (pixel % params.width + padded_w - params.shift) % padded_w;
    // Every pixel lies in one window, so nothing is added up.
    let window = (image * params.down + h / params.size) * params.across + w / params.size;
    let y = h % params.size;
    let x_in = w % params.size;
    let place = select(y * params.size + x_in, x_in * params.size + y, params.columns_first == 1u);
    let quad = i % params.quads;
    let value = x[(window * params.size * params.size + place) * params.quads + quad];
    out[i] = masked(value, quad, params.channels);
}
