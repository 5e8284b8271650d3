// From patches to the tokens of a vision transformer (Dosovitskiy et al. 2021, eq. 1), and back:
//   out[b][p] = prefix[p] (+ pos[p] for p < placed)          p < extra: the class token and registers
//   out[b][extra + n] = patches[b][n] + pos[placed + n]
// Gradients: of the patches their rows; of prefix and pos the sums over the images. take_tokens keeps some tokens of an image.
//
// Layout: rows of `quads` vec4s. One vec4 per invocation, workgroups of 64. Iterations: images (tokens_grad).
//!include lib/index.wgsl

struct Params {
    images: u32,
    // Patches of an image.
    patches: u32,
    // Tokens of an image, those in front of the patches, and how many of those have a position.
    length: u32,
    extra: u32,
    placed: u32,
    quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// Patches, tokens or the gradient of tokens.
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> prefix: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> pos: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> dprefix: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> dpos: array<vec4<f32>>;

@compute @workgroup_size(64)
fn tokens(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let quad = i % params.quads;
    let row = i / params.quads;
    let image = row / params.length;
    if (image >= params.images) {
        return;
    }
    // Patches lie behind the tokens that are in no image.
    let token = row % params.length;
    if (token >= params.extra) {
        let patch_row = image * params.patches + token - params.extra;
        let place = params.placed + token - params.extra;
        out[i] = x[patch_row * params.quads + quad] + pos[place * params.quads + quad];
        return;
    }
    var value = prefix[token * params.quads + quad];
    // Registers have no position.
    if (token < params.placed) {
        value += pos[token * params.quads + quad];
    }
    out[i] = value;
}

// `patches` tokens of every image of x, from token `extra` on; the gradient of the patches too.
@compute @workgroup_size(64)
fn take_tokens(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let row = i / params.quads;
    let image = row / params.patches;
    if (image < params.images) {
        let token = image * params.length + params.extra + row % params.patches;
        out[i] = x[token * params.quads + i % params.quads];
    }
}

// The transpose: rows of x at their places among an image's tokens, zeros around.
@compute @workgroup_size(64)
fn take_tokens_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let row = i / params.quads;
    let image = row / params.length;
    if (image >= params.images) {
        return;
    }
    let token = row % params.length;
    var value = vec4<f32>(0.0);
    if (token >= params.extra && token < params.extra + params.patches) {
        let from_row = image * params.patches + token - params.extra;
        value = x[from_row * params.quads + i % params.quads];
    }
    out[i] = value;
}

// Sums over the images for every token: dpos, and dprefix of those in front. Here x is the gradient of the tokens.
@compute @workgroup_size(64)
fn tokens_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let token = i / params.quads;
    if (token >= params.length) {
        return;
    }
    var sum = vec4<f32>(0.0);
    // In the order of the images.
    for (var image = 0u; image < params.images; image++) {
        sum += x[image * params.length * params.quads + i];
    }
    if (token < params.extra) {
        dprefix[i] = sum;
    }
    // Those with a position come first, then the patches.
    if (token < params.placed) {
        dpos[i] = sum;
    } else if (token >= params.extra) {
        dpos[i - (params.extra - params.placed) * params.quads] = sum;
    }
}
