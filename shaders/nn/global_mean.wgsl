// Mean over the pixels of an image: out[b, c] = (1 / (H*W)) * sum_{h,w} x[b,h,w,c]; the gradient spreads it evenly.
//
// Many pixels are summed in blocks first, and then the blocks, by the same kernel: any size, in a fixed order.
//
// Layout: NHWC in vec4s. One vec4 of channels of one block of one image per invocation, workgroups of 64.
// Iterations: the pixels of a block, about the square root of H*W.
//!include lib/index.wgsl

struct Params {
    batch: u32,
    // Rows of vec4s per image: pixels, or the sums of blocks.
    pixels: u32,
    quads: u32,
    // Rows that an invocation adds up, and how many such blocks an image has.
    block: u32,
    num_blocks: u32,
    // 1 / (H * W), rounded once on the host; 1 for the sums of blocks.
    factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

// out is [batch][num_blocks][quads].
@compute @workgroup_size(64)
fn global_mean(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let row = i / params.quads;
    if (row >= params.batch * params.num_blocks) {
        return;
    }
    let image = row / params.num_blocks;
    let first = (row - image * params.num_blocks) * params.block;
    let end = min(first + params.block, params.pixels);
    var at = (image * params.pixels + first) * params.quads + i % params.quads;
    var sum = vec4<f32>(0.0);
    for (var p = first; p < end; p++) {
        // The same quad of successive pixels is `quads` apart; padding is a sum of zeros.
        sum += x[at];
        at += params.quads;
    }
    out[i] = params.factor * sum;
}

// Here x is the gradient of the mean [batch][quads].
@compute @workgroup_size(64)
fn global_mean_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.batch * params.pixels * params.quads) {
        return;
    }
    let b = i / (params.pixels * params.quads);
    out[i] = params.factor * x[b * params.quads + i % params.quads];
}
