// Hard assignment of every pixel to a prototype of its class.
//   k      = argmax_k q[n,k], the lowest on ties;   label_proto = gt*K + k
//   k = 0 in a class with one pixel and equal shares: there every q is 1/K in exact arithmetic, and rounding must not decide
//   small classes (option nearest: N_c < K or N_c = 1) take argmax_k of the similarity instead
//   khat   = argmax_k (q + noise), for the prototype update with Gumbel noise; small classes under `nearest` keep k
// Ignored pixels get -1 everywhere.
//
// Layout: q, own, noise are [N] rows of `quads` vec4s. Workgroup: 64 invocations, one pixel each. Iterations: quads.
//!include lib/index.wgsl
//!include lib/lanes.wgsl

struct Params {
    // N, C, K, and vec4s per row of K.
    num_pixels: u32,
    num_classes: u32,
    num_protos: u32,
    quads: u32,
    // 1: small classes take the most similar prototype.
    nearest: u32,
    // 1: so does the only pixel of a class, since shares need not be equal.
    single_nearest: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> own: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> noise: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> gt: array<i32>;
@group(0) @binding(5) var<storage, read> offsets: array<u32>;
@group(0) @binding(6) var<storage, read> known: array<i32>;
@group(0) @binding(7) var<storage, read_write> k_out: array<i32>;
@group(0) @binding(8) var<storage, read_write> label_proto: array<i32>;

struct Best {
    score: f32,
    k: i32,
}

// Strictly greater: the lowest index wins a tie.
fn better(best: Best, score: f32, k: u32) -> Best {
    if (score > best.score) {
        return Best(score, i32(k));
    }
    return best;
}

fn better_of(best: Best, scores: vec4<f32>, quad: u32) -> Best {
    // Padding lanes hold 0 and must lose against negative similarities.
    let real = lane_mask(quad, params.num_protos) > vec4<f32>(0.0);
    let s = select(vec4<f32>(-3.0e38), scores, real);
    var out = better(best, s.x, 4u * quad);
    out = better(out, s.y, 4u * quad + 1u);
    out = better(out, s.z, 4u * quad + 2u);
    return better(out, s.w, 4u * quad + 3u);
}

fn is_valid(label: i32) -> bool {
    return label >= 0 && label < i32(params.num_classes);
}

fn class_size(label: i32) -> u32 {
    // Ignored pixels ask for class 0; their result is replaced by -1 anyway.
    let c = select(0u, u32(label), is_valid(label));
    return offsets[c + 1u] - offsets[c];
}

fn takes_nearest(size: u32) -> bool {
    // Fewer pixels than prototypes: equal shares would send a pixel to a prototype it is far from.
    return params.nearest == 1u && (size < params.num_protos || size == 1u);
}

@compute @workgroup_size(64)
fn assign(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 64u);
    if (n >= params.num_pixels) {
        return;
    }
    let label = gt[n];
    let size = class_size(label);
    let nearest = takes_nearest(size) || (params.single_nearest == 1u && size == 1u);
    // Below the value that masks padding, so that the first real score always enters.
    var best = Best(-3.4e38, 0);
    for (var quad = 0u; quad < params.quads; quad++) {
        let i = n * params.quads + quad;
        best = better_of(best, select(q[i], own[i], nearest), quad);
    }
    // A single pixel: all q are equal up to rounding, and the tie goes to the lowest k.
    let k = select(best.k, 0, size == 1u && !nearest);
    k_out[n] = select(-1, k, is_valid(label));
    label_proto[n] = select(-1, label * i32(params.num_protos) + k, is_valid(label));
}

@compute @workgroup_size(64)
fn assign_noisy(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 64u);
    if (n >= params.num_pixels) {
        return;
    }
    let label = gt[n];
    var best = Best(-3.4e38, 0);
    for (var quad = 0u; quad < params.quads; quad++) {
        let i = n * params.quads + quad;
        // argmax (q + Gumbel noise) draws, where argmax q decides.
        best = better_of(best, q[i] + noise[i], quad);
    }
    let k = select(best.k, known[n], takes_nearest(class_size(label)));
    k_out[n] = select(-1, k, is_valid(label));
}
