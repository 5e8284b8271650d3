// The colour layer that lies over a photo: every pixel's colour by class, prototype, a scalar on a ramp, its embedding, its
// true label or its error. Packed colours: r | g << 8 | b << 16 | a << 24; alpha 0 = nothing drawn.
//   palette = 256 ramp colours, then one per class, then one per (class, prototype)
//   scalar v: ramp[round(255 * clamp((v - low) / (high - low), 0, 1))]
// A class or prototype that is switched off has alpha 0 in the palette.
//
// Layout: label, color, truth, layer [B,H,W] dense; score [B,H,W] one vec4 per pixel (cosine, margin, strength, confidence);
// heat [B,H,W], each row padded to whole vec4s; options two vec4s.
// One invocation: four pixels, 64 apart so that neighbours are read together; the options are loaded once for all four.
// Workgroups of 64.
//!include lib/index.wgsl

struct Params {
    num_pixels: u32,
    width: u32,
    num_classes: u32,
    // 0 for a model without prototypes.
    num_protos: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> label: array<u32>;
@group(0) @binding(2) var<storage, read> score: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> heat: array<f32>;
@group(0) @binding(4) var<storage, read> color: array<u32>;
@group(0) @binding(5) var<storage, read> truth: array<u32>;
@group(0) @binding(6) var<storage, read> palette: array<u32>;
@group(0) @binding(7) var<storage, read> options: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> layer: array<u32>;

const RAMP: u32 = 256u;
const IGNORED: u32 = 0xffffffffu;
// r = g = b = 118: neutral in sRGB.
const GREY: u32 = 0x767676u;

// Labels out of range take the last class or prototype, so nothing outside the palette is read.
fn class_color(class_index: u32) -> u32 {
    return palette[RAMP + min(class_index, params.num_classes - 1u)];
}

fn prototype_color(word: u32) -> u32 {
    if (params.num_protos == 0u) {
        return class_color(word & 0xffffu);
    }
    let c = min(word & 0xffffu, params.num_classes - 1u);
    let k = min(word >> 16u, params.num_protos - 1u);
    return palette[RAMP + params.num_classes + c * params.num_protos + k];
}

fn shade_pixel(m: u32, first: vec4<f32>, second: vec4<f32>) -> u32 {
    let mode = u32(first.x);
    if (mode == 7u) {
        let wanted = truth[m];
        return select(class_color(wanted), 0u, wanted == IGNORED);
    }
    let word = label[m];
    if (mode == 0u) {
        return class_color(word & 0xffffu);
    }
    if (mode == 8u) {
        let wanted = truth[m];
        let right = wanted == (word & 0xffffu) || wanted == IGNORED;
        return select(class_color(wanted), GREY | (u32(first.w) << 24u), right);
    }
    if (mode == 1u) {
        let own = prototype_color(word);
        // The clearer the fuller; 0.35 keeps a pixel between prototypes visible.
        let fullness = select(1.0, 0.35 + 0.65 * sqrt(score[m].z), second.y > 0.5);
        return (own & 0xffffffu) | (u32(f32(own >> 24u) * fullness + 0.5) << 24u);
    }
    if (mode >= 10u) {
        return 0u;
    }
    if (second.x > 0.5 && ((class_color(word & 0xffffu) >> 24u) == 0u || (prototype_color(word) >> 24u) == 0u)) {
        return 0u;
    }
    if (mode == 6u) {
        return color[m];
    }
    var value = 0.0;
    if (mode == 2u) {
        // Rows of heat are padded, those of the other maps are not.
        let row = m / params.width;
        value = heat[row * ((params.width + 3u) / 4u * 4u) + m - row * params.width];
    } else {
        let scores = score[m];
        value = select(scores.x, scores.w, mode == 3u);
        value = select(value, scores.y, mode == 4u);
        value = select(value, 1.0 - scores.x, mode == 5u);
    }
    // An empty range becomes a threshold.
    let span = first.z - first.y;
    let t = clamp((value - first.y) / select(span, 1e-30, span == 0.0), 0.0, 1.0);
    return palette[u32(t * 255.0 + 0.5)];
}

@compute @workgroup_size(64)
fn shade(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let first = options[0];
    let second = options[1];
    let start = i / 64u * 256u + i % 64u;
    for (var j = 0u; j < 4u; j += 1u) {
        let m = start + 64u * j;
        if (m < params.num_pixels) {
            layer[m] = shade_pixel(m, first, second);
        }
    }
}
