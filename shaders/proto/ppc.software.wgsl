// Pixel-prototype contrast for software adapters with subgroups of 8: the formulas and layouts of ppc.wgsl.
//
// There, 8 invocations are the lanes of one vector register and every load is a branch per lane, so prototypes are loaded
// once per subgroup and spread by broadcast. One subgroup per workgroup, no workgroup memory, no barrier; a lane owns 4 of
// the workgroup's 32 pixels, 8 apart.
// Products: 32 pixels x 16 prototypes, 6 loads of vec4s for 64 dot products per lane. Sums: 32 pixels x 32 channels, 8
// loads for 128 multiply-adds of vec4s. Iterations per invocation: `count` / 16 * quads in ppc_scan, quads in
// ppc_weights, `count` / 4 in ppc_accumulate.
//!include lib/total.wgsl
//!include lib/ppc.wgsl
//!include lib/contrast.wgsl
//!include lib/lane_of_8.wgsl

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> protos: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> assigned: array<i32>;
@group(0) @binding(4) var<storage, read_write> state: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read> lse_in: array<f32>;
@group(0) @binding(6) var<storage, read> upstream: array<f32>;
@group(0) @binding(7) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> weights_in: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> out: array<vec4<f32>>;

//!include lib/products.wgsl

fn load_state(n: u32) -> vec2<f32> {
    // Nothing is known before the first tile: an empty sum with the lowest maximum.
    if (params.start == 0u) {
        return vec2<f32>(LOWEST, 0.0);
    }
    return state[min(n, params.num_pixels - 1u)];
}

fn store_state(n: u32, known: vec2<f32>) {
    if (n < params.num_pixels) {
        state[n] = known;
    }
}

@compute @workgroup_size(8)
fn ppc_scan(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = (group.x + group.y * groups.x) * 32u + lane;
    var t0 = load_state(n + 0u); var t1 = load_state(n + 8u);
    var t2 = load_state(n + 16u); var t3 = load_state(n + 24u);
    // fold() rescales the sum whenever the maximum grows, so exp never overflows whatever tau is.
    for (var j = params.start; j < params.start + params.count; j += 16u) {
        let x = products(n, j, lane);
        t0 = folded(t0, j, x.s00, x.s01, x.s02, x.s03);
        t1 = folded(t1, j, x.s10, x.s11, x.s12, x.s13);
        t2 = folded(t2, j, x.s20, x.s21, x.s22, x.s23);
        t3 = folded(t3, j, x.s30, x.s31, x.s32, x.s33);
    }
    store_state(n + 0u, t0); store_state(n + 8u, t1); store_state(n + 16u, t2); store_state(n + 24u, t3);
}

// Weights of one pixel and four prototypes, number `quad` of the tile.
fn store_weight(pixel: u32, quad: u32, x: vec4<f32>) {
    if (pixel < params.num_pixels && 4u * quad < params.count) {
        // w_j = g / tau * (exp(S_j / tau - lse) - [j = t]); ignored pixels have no loss and get zeros.
        let t = assigned[pixel];
        let valid = t >= 0 && t < i32(params.num_rows);
        let j = vec4<i32>(i32(params.start + 4u * quad)) + vec4<i32>(0, 1, 2, 3);
        let hit = select(vec4<f32>(0.0), vec4<f32>(1.0), j == vec4<i32>(t));
        let share = exp(logits(x, params.start + 4u * quad) - vec4<f32>(lse_in[pixel])) - hit;
        let w = upstream[pixel] * params.inv_tau * share;
        // Prototypes outside, pixels inside: neighbouring lanes write neighbouring vec4s.
        weights[quad * params.pixels + pixel - params.first] = select(vec4<f32>(0.0), w, valid);
    }
}

// Consecutive workgroups take the same 32 pixels, one for every 16 prototypes of the tile.
@compute @workgroup_size(8)
fn ppc_weights(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let linear = group.x + group.y * groups.x;
    // Groups of 16 prototypes in the tile; the last one may be cut short (see store_weight).
    let parts = (params.count + 15u) / 16u;
    let quad = 4u * (linear % parts);
    let n = params.first + (linear / parts) * 32u + lane;
    let x = products(n, params.start + 4u * quad, lane);
    store_weight(n + 0u, quad + 0u, x.s00); store_weight(n + 0u, quad + 1u, x.s01);
    store_weight(n + 0u, quad + 2u, x.s02); store_weight(n + 0u, quad + 3u, x.s03);
    store_weight(n + 8u, quad + 0u, x.s10); store_weight(n + 8u, quad + 1u, x.s11);
    store_weight(n + 8u, quad + 2u, x.s12); store_weight(n + 8u, quad + 3u, x.s13);
    store_weight(n + 16u, quad + 0u, x.s20); store_weight(n + 16u, quad + 1u, x.s21);
    store_weight(n + 16u, quad + 2u, x.s22); store_weight(n + 16u, quad + 3u, x.s23);
    store_weight(n + 24u, quad + 0u, x.s30); store_weight(n + 24u, quad + 1u, x.s31);
    store_weight(n + 24u, quad + 2u, x.s32); store_weight(n + 24u, quad + 3u, x.s33);
}

// Row number p of a tile and one vec4 of channels, if it is one of the tile's `left` real pixels; the first tile of
// prototypes overwrites.
fn add(left: u32, at: u32, p: u32, sum: vec4<f32>) {
    if (left > p) {
        let i = at + p * params.quads;
        if (params.start == 0u) {
            out[i] = sum;
        } else {
            out[i] += sum;
        }
    }
}

// Tile: 32 pixels x 32 channels; rows are pixels, the depth is the prototypes of the tile, columns are channels.
@compute @workgroup_size(8)
fn ppc_accumulate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let linear = group.x + group.y * groups.x;
    let columns = (params.quads + 7u) / 8u;
    let first = params.first + (linear / columns) * 32u;
    if (first >= params.num_pixels) {
        return;
    }
    let d = 8u * (linear % columns) + lane;
    // Lanes beyond the last channels keep working on them, pixels beyond the end repeat the last one: all must take part
    // in the broadcasts.
    let safe = min(d, params.quads - 1u);
    let last = params.num_pixels - 1u;
    // Places in the block of pixels.
    let n0 = min(first + lane, last) - params.first; let n1 = min(first + lane + 8u, last) - params.first;
    let n2 = min(first + lane + 16u, last) - params.first; let n3 = min(first + lane + 24u, last) - params.first;
    let zero = vec4<f32>(0.0);
    var c0 = zero; var c1 = zero; var c2 = zero; var c3 = zero; var c4 = zero; var c5 = zero; var c6 = zero; var c7 = zero;
    var c8 = zero; var c9 = zero; var c10 = zero; var c11 = zero; var c12 = zero; var c13 = zero; var c14 = zero;
    var c15 = zero; var c16 = zero; var c17 = zero; var c18 = zero; var c19 = zero; var c20 = zero; var c21 = zero;
    var c22 = zero; var c23 = zero; var c24 = zero; var c25 = zero; var c26 = zero; var c27 = zero; var c28 = zero;
    var c29 = zero; var c30 = zero; var c31 = zero;
    for (var quad = 0u; 4u * quad < params.count; quad++) {
        // The weight of a prototype past the end is 0.
        let j = params.start + 4u * quad;
        let end = params.num_rows - 1u;
        let w0 = protos[j * params.quads + safe];
        let w1 = protos[min(j + 1u, end) * params.quads + safe];
        let w2 = protos[min(j + 2u, end) * params.quads + safe];
        let w3 = protos[min(j + 3u, end) * params.quads + safe];
        let at = quad * params.pixels;
        let x0 = weights_in[at + n0]; let x1 = weights_in[at + n1];
        let x2 = weights_in[at + n2]; let x3 = weights_in[at + n3];
//!include lib/broadcast_32.wgsl
    }
    // Only now may lanes leave: no broadcast follows.
    if (d >= params.quads) {
        return;
    }
    let left = params.num_pixels - first;
    let at = first * params.quads + d;
    add(left, at, 0u, c0); add(left, at, 1u, c1); add(left, at, 2u, c2); add(left, at, 3u, c3);
    add(left, at, 4u, c4); add(left, at, 5u, c5); add(left, at, 6u, c6); add(left, at, 7u, c7);
    add(left, at, 8u, c8); add(left, at, 9u, c9); add(left, at, 10u, c10); add(left, at, 11u, c11);
    add(left, at, 12u, c12); add(left, at, 13u, c13); add(left, at, 14u, c14); add(left, at, 15u, c15);
    add(left, at, 16u, c16); add(left, at, 17u, c17); add(left, at, 18u, c18); add(left, at, 19u, c19);
    add(left, at, 20u, c20); add(left, at, 21u, c21); add(left, at, 22u, c22); add(left, at, 23u, c23);
    add(left, at, 24u, c24); add(left, at, 25u, c25); add(left, at, 26u, c26); add(left, at, 27u, c27);
    add(left, at, 28u, c28); add(left, at, 29u, c29); add(left, at, 30u, c30); add(left, at, 31u, c31);
}
