// What the kernels of the L2 normalisation share: sizes, bindings and the floor.
struct Params {
    // Lines to normalise, their vec4s and the distance between two of them (see above).
    num_lines: u32,
    length: u32,
    stride: u32,
    // 1: over the width, 0: over the channels.
    over_width: u32,
    // 1: every norm runs over one element.
    single: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

// A floor under the norm itself: it is compared after the square root, as in the specification.
const FLOOR = 1e-12;
