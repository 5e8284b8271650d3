// Pixel-prototype contrast for software adapters with subgroups of 8: the formulas and layouts of ppc.wgsl.
//
// There, 8 invocations are the lanes of one vector register and every load is a branch per lane, so prototypes are loaded
// once per subgroup and spread by broadcast. One subgroup per workgroup, no workgroup memory, no barrier; a lane owns 4 of
// the workgroup's 32 pixels, 8 apart.
// Products: 32 pixels x 16 prototypes, 6 loads of vec4s for 64 dot products per lane. Sums: 32 pixels x 4 vec4s of
// channels, 6 loads for 64 multiply-adds of vec4s. Iterations per invocation: `count` / 16 * quads in ppc_scan, quads in
// ppc_weights, 16 in ppc_accumulate.
//!include lib/total.wgsl
//!include lib/ppc.wgsl

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

// Logits of 4 pixels (first digit) to 16 prototypes (second: four each), LOWEST for prototypes past the end.
struct Products {
    s00: vec4<f32>, s01: vec4<f32>, s02: vec4<f32>, s03: vec4<f32>,
    s10: vec4<f32>, s11: vec4<f32>, s12: vec4<f32>, s13: vec4<f32>,
    s20: vec4<f32>, s21: vec4<f32>, s22: vec4<f32>, s23: vec4<f32>,
    s30: vec4<f32>, s31: vec4<f32>, s32: vec4<f32>, s33: vec4<f32>,
}

// Pixels past the end repeat the last one: no lane may leave before a broadcast.
fn pixel_row(n: u32) -> u32 {
    return min(n, params.num_pixels - 1u) * params.quads;
}

// Logits from similarities; j is the first of four prototypes.
fn logits(s: vec4<f32>, j: u32) -> vec4<f32> {
    // Masked here and not later: a repeated prototype must not enter the sum of exponentials twice.
    let real = vec4<u32>(j) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.num_rows);
    return select(vec4<f32>(LOWEST), s * params.inv_tau, real);
}

fn products(n: u32, j: u32, lane: u32) -> Products {
    // The lane's own four pixels, and the two prototypes that it loads for everybody: j + lane and j + 8 +
    // lane.
    let n0 = pixel_row(n + 0u); let n1 = pixel_row(n + 8u); let n2 = pixel_row(n + 16u); let n3 = pixel_row(n + 24u);
    let low = min(j + lane, params.num_rows - 1u) * params.quads;
    let high = min(j + lane + 8u, params.num_rows - 1u) * params.quads;
    // a[p][g]: similarities of pixel p (8 apart) to prototypes j + 4 g .. j + 4 g + 3.
    var a00 = vec4<f32>(0.0); var a01 = vec4<f32>(0.0); var a02 = vec4<f32>(0.0); var a03 = vec4<f32>(0.0);
    var a10 = vec4<f32>(0.0); var a11 = vec4<f32>(0.0); var a12 = vec4<f32>(0.0); var a13 = vec4<f32>(0.0);
    var a20 = vec4<f32>(0.0); var a21 = vec4<f32>(0.0); var a22 = vec4<f32>(0.0); var a23 = vec4<f32>(0.0);
    var a30 = vec4<f32>(0.0); var a31 = vec4<f32>(0.0); var a32 = vec4<f32>(0.0); var a33 = vec4<f32>(0.0);
    for (var d = 0u; d < params.quads; d++) {
        let e0 = emb[n0 + d]; let e1 = emb[n1 + d]; let e2 = emb[n2 + d]; let e3 = emb[n3 + d];
        let p = protos[low + d];
        let o = protos[high + d];
        // b[g][i] is prototype j + 4 g + i. Lanes 0 to 3 of p hold group 0, lanes 4 to 7 group 1; o holds
        // groups 2 and 3. A group is used before the next is broadcast, so that only four of them occupy
        // registers.
        let b00 = subgroupBroadcast(p, 0u); let b01 = subgroupBroadcast(p, 1u);
        let b02 = subgroupBroadcast(p, 2u); let b03 = subgroupBroadcast(p, 3u);
        a00 += four(e0, b00, b01, b02, b03); a10 += four(e1, b00, b01, b02, b03);
        a20 += four(e2, b00, b01, b02, b03); a30 += four(e3, b00, b01, b02, b03);
        let b10 = subgroupBroadcast(p, 4u); let b11 = subgroupBroadcast(p, 5u);
        let b12 = subgroupBroadcast(p, 6u); let b13 = subgroupBroadcast(p, 7u);
        a01 += four(e0, b10, b11, b12, b13); a11 += four(e1, b10, b11, b12, b13);
        a21 += four(e2, b10, b11, b12, b13); a31 += four(e3, b10, b11, b12, b13);
        let b20 = subgroupBroadcast(o, 0u); let b21 = subgroupBroadcast(o, 1u);
        let b22 = subgroupBroadcast(o, 2u); let b23 = subgroupBroadcast(o, 3u);
        a02 += four(e0, b20, b21, b22, b23); a12 += four(e1, b20, b21, b22, b23);
        a22 += four(e2, b20, b21, b22, b23); a32 += four(e3, b20, b21, b22, b23);
        let b30 = subgroupBroadcast(o, 4u); let b31 = subgroupBroadcast(o, 5u);
        let b32 = subgroupBroadcast(o, 6u); let b33 = subgroupBroadcast(o, 7u);
        a03 += four(e0, b30, b31, b32, b33); a13 += four(e1, b30, b31, b32, b33);
        a23 += four(e2, b30, b31, b32, b33); a33 += four(e3, b30, b31, b32, b33);
    }
    // Division by tau once per tile, behind the sum over channels.
    return Products(
        logits(a00, j + 0u), logits(a01, j + 4u), logits(a02, j + 8u), logits(a03, j + 12u),
        logits(a10, j + 0u), logits(a11, j + 4u), logits(a12, j + 8u), logits(a13, j + 12u),
        logits(a20, j + 0u), logits(a21, j + 4u), logits(a22, j + 8u), logits(a23, j + 12u),
        logits(a30, j + 0u), logits(a31, j + 4u), logits(a32, j + 8u), logits(a33, j + 12u),
    );
}

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
        t0 = fold(fold(fold(fold(t0, x.s00), x.s01), x.s02), x.s03);
        t1 = fold(fold(fold(fold(t1, x.s10), x.s11), x.s12), x.s13);
        t2 = fold(fold(fold(fold(t2, x.s20), x.s21), x.s22), x.s23);
        t3 = fold(fold(fold(fold(t3, x.s30), x.s31), x.s32), x.s33);
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
        let w = upstream[pixel] * params.inv_tau * (exp(x - vec4<f32>(lse_in[pixel])) - hit);
        // Prototypes outside, pixels inside: neighbouring lanes write neighbouring vec4s.
        weights[quad * params.num_pixels + pixel] = select(vec4<f32>(0.0), w, valid);
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
    let n = (linear / parts) * 32u + lane;
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

// A lane loads one vec4 of channels of two prototypes: lanes 0 to 3 of the first and third, 4 to 7 of the second and fourth.
@compute @workgroup_size(8)
fn ppc_accumulate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let linear = group.x + group.y * groups.x;
    // Four vec4s of channels for each workgroup.
    let columns = (params.quads + 3u) / 4u;
    let d = 4u * (linear % columns);
    let n = (linear / columns) * 32u + lane;
    // Lane l & 3 loads channel quad d + (l & 3).
    let mine = min(d + (lane & 3u), params.quads - 1u);
    // Clamped for the loads; add() drops what was repeated.
    let n0 = min(n + 0u, params.num_pixels - 1u); let n1 = min(n + 8u, params.num_pixels - 1u);
    let n2 = min(n + 16u, params.num_pixels - 1u); let n3 = min(n + 24u, params.num_pixels - 1u);
    // a[p][v]: pixel p, channel quad d + v.
    var a00 = vec4<f32>(0.0); var a01 = vec4<f32>(0.0); var a02 = vec4<f32>(0.0); var a03 = vec4<f32>(0.0);
    var a10 = vec4<f32>(0.0); var a11 = vec4<f32>(0.0); var a12 = vec4<f32>(0.0); var a13 = vec4<f32>(0.0);
    var a20 = vec4<f32>(0.0); var a21 = vec4<f32>(0.0); var a22 = vec4<f32>(0.0); var a23 = vec4<f32>(0.0);
    var a30 = vec4<f32>(0.0); var a31 = vec4<f32>(0.0); var a32 = vec4<f32>(0.0); var a33 = vec4<f32>(0.0);
    for (var quad = 0u; 4u * quad < params.count; quad++) {
        // The weight of a prototype past the end is 0.
        let j = params.start + 4u * quad + lane / 4u;
        let p = protos[min(j, params.num_rows - 1u) * params.quads + mine];
        let o = protos[min(j + 2u, params.num_rows - 1u) * params.quads + mine];
        let at = quad * params.num_pixels;
        let w0 = weights_in[at + n0]; let w1 = weights_in[at + n1];
        let w2 = weights_in[at + n2]; let w3 = weights_in[at + n3];
        // Columns: channel quad d of the four prototypes; times the four weights it is sum_j w_j protos[j].
        let m0 = mat4x4<f32>(
            subgroupBroadcast(p, 0u),
            subgroupBroadcast(p, 4u),
            subgroupBroadcast(o, 0u),
            subgroupBroadcast(o, 4u),
        );
        a00 += m0 * w0; a10 += m0 * w1; a20 += m0 * w2; a30 += m0 * w3;
        let m1 = mat4x4<f32>(
            subgroupBroadcast(p, 1u),
            subgroupBroadcast(p, 5u),
            subgroupBroadcast(o, 1u),
            subgroupBroadcast(o, 5u),
        );
        a01 += m1 * w0; a11 += m1 * w1; a21 += m1 * w2; a31 += m1 * w3;
        let m2 = mat4x4<f32>(
            subgroupBroadcast(p, 2u),
            subgroupBroadcast(p, 6u),
            subgroupBroadcast(o, 2u),
            subgroupBroadcast(o, 6u),
        );
        a02 += m2 * w0; a12 += m2 * w1; a22 += m2 * w2; a32 += m2 * w3;
        let m3 = mat4x4<f32>(
            subgroupBroadcast(p, 3u),
            subgroupBroadcast(p, 7u),
            subgroupBroadcast(o, 3u),
            subgroupBroadcast(o, 7u),
        );
        a03 += m3 * w0; a13 += m3 * w1; a23 += m3 * w2; a33 += m3 * w3;
    }
    add(n + 0u, d + 0u, a00); add(n + 0u, d + 1u, a01); add(n + 0u, d + 2u, a02); add(n + 0u, d + 3u, a03);
    add(n + 8u, d + 0u, a10); add(n + 8u, d + 1u, a11); add(n + 8u, d + 2u, a12); add(n + 8u, d + 3u, a13);
    add(n + 16u, d + 0u, a20); add(n + 16u, d + 1u, a21); add(n + 16u, d + 2u, a22); add(n + 16u, d + 3u, a23);
    add(n + 24u, d + 0u, a30); add(n + 24u, d + 1u, a31); add(n + 24u, d + 2u, a32); add(n + 24u, d + 3u, a33);
}
