// What the viewer knows of every pixel: class and nearest prototype in one word, and four scores.
//   label  = class | k << 16
//   score  = (sim[k], margin, strength, confidence)
//   margin = best - second, 3e38 at most;  confidence = 1 / (1 + exp(-margin))
//   strength = exp(sim[k] / 0.1) / sum over the class's K of exp(sim[j] / 0.1)        (spec section 12)
// pixel_label_plain is for a model without prototypes: k, cosine and strength are 0.
//
// Layout: pred, nearest, label [B,H,W] dense; best and second [B,H,W], each row padded to whole vec4s; sim [B,H,W,K] in vec4s;
// score [B,H,W] one vec4 per pixel.
// One invocation: four neighbouring pixels, so that best and second are one load each; workgroups of 64. Loops: 4 times K / 4.
//!include lib/index.wgsl
//!include lib/lanes.wgsl

struct Params {
    // Runs of four pixels, and pixels per row.
    num_items: u32,
    width: u32,
    num_protos: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pred: array<u32>;
@group(0) @binding(2) var<storage, read> best: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> second: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> nearest: array<u32>;
@group(0) @binding(5) var<storage, read> sim: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> label: array<u32>;
@group(0) @binding(7) var<storage, read_write> score: array<vec4<f32>>;

// What `second` is with one class, and so the largest margin.
const MOST: f32 = 3e38;

// First pixel of a run and how many pixels it has.
struct Run {
    first: u32,
    count: u32,
}

fn run_of(item: u32) -> Run {
    let runs = (params.width + 3u) / 4u;
    let row = item / runs;
    let x = 4u * (item - row * runs);
    return Run(row * params.width + x, min(4u, params.width - x));
}

fn write_pixel(m: u32, k: u32, cosine: f32, strength: f32, margin: f32) {
    label[m] = (pred[m] & 0xffffu) | (k << 16u);
    // Beyond 80 the exponential is lost beside 1 anyway, and drivers differ in what it gives for huge numbers.
    score[m] = vec4<f32>(cosine, margin, strength, 1.0 / (1.0 + exp(-min(margin, 80.0))));
}

@compute @workgroup_size(64)
fn pixel_label(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.num_items) {
        return;
    }
    let run = run_of(i);
    let margins = min(best[i] - second[i], vec4<f32>(MOST));
    let quads = (params.num_protos + 3u) / 4u;
    for (var lane = 0u; lane < run.count; lane += 1u) {
        let m = run.first + lane;
        let k = min(nearest[m], params.num_protos - 1u);
        let four = sim[m * quads + k / 4u];
        let own = four[k % 4u];
        // Shares of the softmax relative to the own one, so that nothing overflows: cosines differ by 2 at most.
        var sum = 0.0;
        for (var q = 0u; q < quads; q += 1u) {
            sum += dot(exp((sim[m * quads + q] - own) / 0.1), lane_mask(q, params.num_protos));
        }
        write_pixel(m, k, own, 1.0 / sum, margins[lane]);
    }
}

@compute @workgroup_size(64)
fn pixel_label_plain(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.num_items) {
        return;
    }
    let run = run_of(i);
    let margins = min(best[i] - second[i], vec4<f32>(MOST));
    for (var lane = 0u; lane < run.count; lane += 1u) {
        write_pixel(run.first + lane, 0u, 0.0, 0.0, margins[lane]);
    }
}
