// Pixel-prototype contrast of each pixel over all J = C*K prototypes, without an [N, J] matrix:
//   value[n] = lse[n] - S_t / tau,   lse[n] = log sum_j exp(S_j / tau),   S_j = <emb[n], protos[j]>; both 0 for ignored pixels
//   d emb[n] = sum_j w_j protos[j],  w_j = g[n] / tau * (exp(S_j / tau - lse[n]) - [j = t_n])
//
// Forward: ppc_scan walks a tile of prototypes with the running maximum and sum of each pixel in `state`, one dispatch per
// tile; ppc_finish closes the logarithm and subtracts the positive. Gradient, per block of pixels and tile of prototypes:
// ppc_weights computes w once more from the embeddings (cheaper than keeping it), ppc_accumulate adds w times the
// prototypes. Scratch is one block x tile, small enough for a processor's cache, whatever N, C and K are.
//
// Layout: emb and out [N] rows of `quads` vec4s, protos [J] rows of `quads`; weights [vec4s of 4 prototypes, pixels of a block].
// Workgroup: 64 invocations. Register tiles: 8 pixels x 4 prototypes for the products (12 loads for 32 dot products of
// vec4s; the 8 pixels stand 64 apart, so neighbours read neighbouring rows), 4 pixels x 2 vec4s of channels for the sums (12 loads
// for 32 multiply-adds of vec4s). Rows beyond the end repeat the last one and are not stored.
// Iterations per invocation: `count` / 4 * quads in ppc_scan, which the host keeps at 16,384; `quads` in ppc_weights,
// `count` / 4 in ppc_accumulate.
//!include lib/index.wgsl
//!include lib/total.wgsl
//!include lib/ppc.wgsl
//!include lib/contrast.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> protos: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> assigned: array<i32>;
@group(0) @binding(4) var<storage, read_write> state: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> value: array<f32>;
@group(0) @binding(6) var<storage, read_write> lse: array<f32>;
@group(0) @binding(7) var<storage, read> lse_in: array<f32>;
@group(0) @binding(8) var<storage, read> upstream: array<f32>;
@group(0) @binding(9) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read> weights_in: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read_write> out: array<vec4<f32>>;

// Similarities / tau of 8 pixels to 4 prototypes, LOWEST for prototypes past the end.
struct Products {
    s0: vec4<f32>, s1: vec4<f32>, s2: vec4<f32>, s3: vec4<f32>,
    s4: vec4<f32>, s5: vec4<f32>, s6: vec4<f32>, s7: vec4<f32>,
}

// Pixel number `step` of the 8 that start at n, as an address of `emb`.
fn pixel_row(n: u32, step: u32) -> u32 {
    return min(n + 64u * step, params.num_pixels - 1u) * params.quads;
}

fn products(n: u32, j: u32) -> Products {
    // Clamped addresses: pixels past the end repeat the last one, prototypes past the end too.
    let n0 = pixel_row(n, 0u); let n1 = pixel_row(n, 1u); let n2 = pixel_row(n, 2u); let n3 = pixel_row(n, 3u);
    let n4 = pixel_row(n, 4u); let n5 = pixel_row(n, 5u); let n6 = pixel_row(n, 6u); let n7 = pixel_row(n, 7u);
    let rows = vec4<u32>(j) + vec4<u32>(0u, 1u, 2u, 3u);
    let row = min(rows, vec4<u32>(params.num_rows - 1u)) * params.quads;
    // a[p]: similarities of pixel p to prototypes j .. j + 3, undivided.
    var a0 = vec4<f32>(0.0); var a1 = vec4<f32>(0.0); var a2 = vec4<f32>(0.0); var a3 = vec4<f32>(0.0);
    var a4 = vec4<f32>(0.0); var a5 = vec4<f32>(0.0); var a6 = vec4<f32>(0.0); var a7 = vec4<f32>(0.0);
    for (var d = 0u; d < params.quads; d++) {
        let p0 = protos[row.x + d]; let p1 = protos[row.y + d]; let p2 = protos[row.z + d]; let p3 = protos[row.w + d];
        a0 += four(emb[n0 + d], p0, p1, p2, p3); a1 += four(emb[n1 + d], p0, p1, p2, p3);
        a2 += four(emb[n2 + d], p0, p1, p2, p3); a3 += four(emb[n3 + d], p0, p1, p2, p3);
        a4 += four(emb[n4 + d], p0, p1, p2, p3); a5 += four(emb[n5 + d], p0, p1, p2, p3);
        a6 += four(emb[n6 + d], p0, p1, p2, p3); a7 += four(emb[n7 + d], p0, p1, p2, p3);
    }
    return Products(
        logits(a0, j), logits(a1, j), logits(a2, j), logits(a3, j),
        logits(a4, j), logits(a5, j), logits(a6, j), logits(a7, j),
    );
}

fn load_state(n: u32, step: u32) -> vec2<f32> {
    // Nothing is known before the first tile: an empty sum with the lowest maximum.
    if (params.start == 0u) {
        return vec2<f32>(LOWEST, 0.0);
    }
    return state[min(n + 64u * step, params.num_pixels - 1u)];
}

fn store_state(n: u32, step: u32, known: vec2<f32>) {
    if (n + 64u * step < params.num_pixels) {
        state[n + 64u * step] = known;
    }
}

@compute @workgroup_size(64)
fn ppc_scan(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    // 512 pixels per workgroup: 64 invocations x 8, the pixels of one invocation 64 apart.
    let n = (group.x + group.y * groups.x) * 512u + lane;
    var t0 = load_state(n, 0u); var t1 = load_state(n, 1u); var t2 = load_state(n, 2u); var t3 = load_state(n, 3u);
    var t4 = load_state(n, 4u); var t5 = load_state(n, 5u); var t6 = load_state(n, 6u); var t7 = load_state(n, 7u);
    // fold() rescales the sum whenever the maximum grows, so exp never overflows whatever tau is.
    for (var j = params.start; j < params.start + params.count; j += 4u) {
        let x = products(n, j);
        t0 = fold(t0, x.s0); t1 = fold(t1, x.s1); t2 = fold(t2, x.s2); t3 = fold(t3, x.s3);
        t4 = fold(t4, x.s4); t5 = fold(t5, x.s5); t6 = fold(t6, x.s6); t7 = fold(t7, x.s7);
    }
    store_state(n, 0u, t0); store_state(n, 1u, t1); store_state(n, 2u, t2); store_state(n, 3u, t3);
    store_state(n, 4u, t4); store_state(n, 5u, t5); store_state(n, 6u, t6); store_state(n, 7u, t7);
}

@compute @workgroup_size(64)
fn ppc_finish(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let n = linear_index(id, groups, 64u);
    if (n < params.num_pixels) {
        let valid = assigned[n] >= 0 && assigned[n] < i32(params.num_rows);
        // Ignored pixels compute with prototype 0 and store 0: no negative index arises.
        let row = select(0u, u32(assigned[n]), valid) * params.quads;
        var positive = 0.0;
        for (var d = 0u; d < params.quads; d++) {
            positive += dot(emb[n * params.quads + d], protos[row + d]);
        }
        // lse = maximum + log(sum of exponentials relative to it); the sum is at least 1.
        let known = state[n];
        let all = known.x + log(known.y);
        lse[n] = select(0.0, all, valid);
        value[n] = select(0.0, all - positive * params.inv_tau, valid);
    }
}

fn store_weight(n: u32, step: u32, quad: u32, x: vec4<f32>) {
    let pixel = n + 64u * step;
    if (pixel < params.num_pixels) {
        // w_j = g / tau * (exp(S_j / tau - lse) - [j = t]); the exponent is at most 0 up to rounding.
        let t = assigned[pixel];
        let valid = t >= 0 && t < i32(params.num_rows);
        let j = vec4<i32>(i32(params.start + 4u * quad)) + vec4<i32>(0, 1, 2, 3);
        let hit = select(vec4<f32>(0.0), vec4<f32>(1.0), j == vec4<i32>(t));
        let w = upstream[pixel] * params.inv_tau * (exp(x - vec4<f32>(lse_in[pixel])) - hit);
        // Prototypes outside, pixels inside: neighbouring invocations write neighbouring vec4s.
        weights[quad * params.pixels + pixel - params.first] = select(vec4<f32>(0.0), w, valid);
    }
}

// Consecutive workgroups take the same 512 pixels, one for every four prototypes of the tile.
@compute @workgroup_size(64)
fn ppc_weights(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let linear = group.x + group.y * groups.x;
    // vec4s of four prototypes in this tile; the last tile may be shorter than 64.
    let quads_here = (params.count + 3u) / 4u;
    let quad = linear % quads_here;
    let n = params.first + (linear / quads_here) * 512u + lane;
    let x = products(n, params.start + 4u * quad);
    store_weight(n, 0u, quad, x.s0); store_weight(n, 1u, quad, x.s1);
    store_weight(n, 2u, quad, x.s2); store_weight(n, 3u, quad, x.s3);
    store_weight(n, 4u, quad, x.s4); store_weight(n, 5u, quad, x.s5);
    store_weight(n, 6u, quad, x.s6); store_weight(n, 7u, quad, x.s7);
}

// out[n, d] += sum over the tile, for one pixel and one vec4 of channels; the first tile overwrites.
fn add(n: u32, d: u32, sum: vec4<f32>) {
    if (n < params.num_pixels && d < params.quads) {
        let i = n * params.quads + d;
        if (params.start == 0u) {
            out[i] = sum;
        } else {
            out[i] = out[i] + sum;
        }
    }
}

@compute @workgroup_size(64)
fn ppc_accumulate(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let pairs = (params.quads + 1u) / 2u;
    let d = 2u * (i % pairs);
    let n = params.first + 4u * (i / pairs);
    // The second vec4 of channels; with an odd count the last one repeats the first, and add() drops it.
    let e = min(d + 1u, params.quads - 1u);
    let last = params.num_pixels - 1u;
    let n0 = min(n + 0u, last); let n1 = min(n + 1u, last); let n2 = min(n + 2u, last); let n3 = min(n + 3u, last);
    var a0 = vec4<f32>(0.0); var b0 = vec4<f32>(0.0); var a1 = vec4<f32>(0.0); var b1 = vec4<f32>(0.0);
    var a2 = vec4<f32>(0.0); var b2 = vec4<f32>(0.0); var a3 = vec4<f32>(0.0); var b3 = vec4<f32>(0.0);
    let quads_here = (params.count + 3u) / 4u;
    for (var quad = 0u; quad < quads_here; quad++) {
        let at = quad * params.pixels - params.first;
        let w0 = weights_in[at + n0]; let w1 = weights_in[at + n1];
        let w2 = weights_in[at + n2]; let w3 = weights_in[at + n3];
        let j = vec4<u32>(params.start + 4u * quad) + vec4<u32>(0u, 1u, 2u, 3u);
        // The weight of a prototype past the end is 0.
        let row = min(j, vec4<u32>(params.num_rows - 1u)) * params.quads;
        // Columns: one vec4 of channels of four prototypes; times the weights it is sum_j w_j protos[j].
        let m = mat4x4<f32>(protos[row.x + d], protos[row.y + d], protos[row.z + d], protos[row.w + d]);
        let o = mat4x4<f32>(protos[row.x + e], protos[row.y + e], protos[row.z + e], protos[row.w + e]);
        a0 += m * w0; b0 += o * w0; a1 += m * w1; b1 += o * w1; a2 += m * w2; b2 += o * w2; a3 += m * w3; b3 += o * w3;
    }
    add(n + 0u, d, a0); add(n + 0u, d + 1u, b0); add(n + 1u, d, a1); add(n + 1u, d + 1u, b1);
    add(n + 2u, d, a2); add(n + 2u, d + 1u, b2); add(n + 3u, d, a3); add(n + 3u, d + 1u, b3);
}
