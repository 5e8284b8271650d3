// Pixel-prototype contrast for GPUs: the formulas of ppc.wgsl by tiles in workgroup memory, in f32. Plain WebGPU.
//
// Products: rows are pixels, the depth is D, columns are prototypes (transposed on their way into workgroup memory). ppc_scan
// keeps the running maximum and sum of its rows in registers over all tiles of prototypes, and adds up the ACROSS invocations of a row at
// the end, in order. Sums: rows are pixels, the depth is the 64 prototypes of a tile, columns are channels.
// Layout: as ppc.wgsl, but the scratch weights are [N] rows of 16 vec4s, which the second product reads along its depth.
// Tile 64 x 64 by 64 invocations, 9 KiB for the operands and 4 KiB for the rows' sums.
// Iterations: `count` / 64 tiles of D / 16 rounds of at most 13 in ppc_scan, 13 D / 16 in ppc_weights, 52 in ppc_accumulate.
alias Staged = f32;
//!include lib/total.wgsl
//!include lib/ppc.wgsl
//!include lib/contrast.wgsl
//!include lib/gemm.wgsl

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

// Running (maximum, sum) of every row, one for each invocation of the row: [row][ACROSS].
var<workgroup> parts: array<vec2<f32>, 512>;

// Pixels of a tile, and quads of its prototypes.
const TILE = 64u;
const TILE_QUADS = 16u;

// Stages quads 4 * round and on of D, for pixels `first` and on and prototypes `j` and on.
fn stage(first: u32, j: u32, round: u32, place: u32, invocations: u32) {
    let q = round * STEP + place % STEP;
    let real = q < params.quads;
    let safe = min(q, params.quads - 1u);
    for (var i = place; i < TILE * STEP; i += invocations) {
        // Pixels beyond the end repeat the last one and are not stored.
        let row = min(first + i / STEP, params.num_pixels - 1u);
        left[(i / STEP) * PITCH + place % STEP] = select(vec4<f32>(0.0), emb[row * params.quads + safe], real);
    }
    // A block of four prototypes and one quad of D, transposed; prototypes beyond the end repeat the last one.
    let last = params.num_rows - 1u;
    for (var i = place; i < TILE; i += invocations) {
        let k = j + 4u * (i / STEP);
        let block = transpose(mat4x4<f32>(
            protos[min(k, last) * params.quads + safe],
            protos[min(k + 1u, last) * params.quads + safe],
            protos[min(k + 2u, last) * params.quads + safe],
            protos[min(k + 3u, last) * params.quads + safe],
        ));
        let to = 4u * (place % STEP) * TILE_QUADS + i / STEP;
        right[to] = select(vec4<f32>(0.0), block[0], real);
        right[to + TILE_QUADS] = select(vec4<f32>(0.0), block[1], real);
        right[to + 2u * TILE_QUADS] = select(vec4<f32>(0.0), block[2], real);
        right[to + 3u * TILE_QUADS] = select(vec4<f32>(0.0), block[3], real);
    }
}

// Rounds over D: uniform, since barriers stand in their loop.
fn rounds() -> u32 {
    return (params.quads + STEP - 1u) / STEP;
}

// Writes what one row of an invocation has found, after which `merge` may read it.
fn put(row: u32, across: u32, known: vec2<f32>) {
    parts[row * ACROSS + across] = known;
}

@compute @workgroup_size(ACROSS, DOWN)
fn ppc_scan(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    let first = tile_number(group, groups) * TILE;
    // The same for the whole workgroup, so no barrier is missed.
    if (first >= params.num_pixels) {
        return;
    }
    let near = local.x;
    let far = local.x + ACROSS;
    // Of the prototypes of this invocation's columns only; the other invocations of the row hold the rest.
    let none = vec2<f32>(LOWEST, 0.0);
    var t0 = none; var t1 = none; var t2 = none; var t3 = none;
    var t4 = none; var t5 = none; var t6 = none; var t7 = none;
    for (var j = params.start; j < params.start + params.count; j += TILE) {
        var c00 = vec4<f32>(0.0); var c01 = vec4<f32>(0.0); var c10 = vec4<f32>(0.0); var c11 = vec4<f32>(0.0);
        var c20 = vec4<f32>(0.0); var c21 = vec4<f32>(0.0); var c30 = vec4<f32>(0.0); var c31 = vec4<f32>(0.0);
        var c40 = vec4<f32>(0.0); var c41 = vec4<f32>(0.0); var c50 = vec4<f32>(0.0); var c51 = vec4<f32>(0.0);
        var c60 = vec4<f32>(0.0); var c61 = vec4<f32>(0.0); var c70 = vec4<f32>(0.0); var c71 = vec4<f32>(0.0);
        for (var round = 0u; round < rounds(); round++) {
            workgroupBarrier();
            stage(first, j, round, place, ACROSS * DOWN);
            workgroupBarrier();
//!include lib/gemm_8.wgsl
        }
        // fold() rescales the sum whenever the maximum grows, so exp never overflows whatever tau is.
        t0 = fold(fold(t0, logits(c00, j + 4u * near)), logits(c01, j + 4u * far));
        t1 = fold(fold(t1, logits(c10, j + 4u * near)), logits(c11, j + 4u * far));
        t2 = fold(fold(t2, logits(c20, j + 4u * near)), logits(c21, j + 4u * far));
        t3 = fold(fold(t3, logits(c30, j + 4u * near)), logits(c31, j + 4u * far));
        t4 = fold(fold(t4, logits(c40, j + 4u * near)), logits(c41, j + 4u * far));
        t5 = fold(fold(t5, logits(c50, j + 4u * near)), logits(c51, j + 4u * far));
        t6 = fold(fold(t6, logits(c60, j + 4u * near)), logits(c61, j + 4u * far));
        t7 = fold(fold(t7, logits(c70, j + 4u * near)), logits(c71, j + 4u * far));
    }
    put(local.y, local.x, t0); put(local.y + DOWN, local.x, t1);
    put(local.y + 2u * DOWN, local.x, t2); put(local.y + 3u * DOWN, local.x, t3);
    put(local.y + 4u * DOWN, local.x, t4); put(local.y + 5u * DOWN, local.x, t5);
    put(local.y + 6u * DOWN, local.x, t6); put(local.y + 7u * DOWN, local.x, t7);
    workgroupBarrier();
    // One invocation per row from here on: 64 of both.
    let n = first + place;
    if (n < params.num_pixels) {
        // Nothing is known before the first dispatch: an empty sum with the lowest maximum.
        var known = none;
        if (params.start > 0u) {
            known = state[n];
        }
        for (var across = 0u; across < ACROSS; across++) {
            let part = parts[place * ACROSS + across];
            let top = max(known.x, part.x);
            known = vec2<f32>(top, known.y * exp(known.x - top) + part.y * exp(part.x - top));
        }
        state[n] = known;
    }
}

// Weights of one pixel and four prototypes, quad `quad` of the tile.
fn store_weight(pixel: u32, quad: u32, s: vec4<f32>) {
    if (pixel < params.num_pixels) {
        // w_j = g / tau * (exp(S_j / tau - lse) - [j = t]); ignored pixels have no loss and get zeros, as do prototypes past
        // the end, whose exponential is 0.
        let t = assigned[pixel];
        let valid = (t >= 0) & (t < i32(params.num_rows));
        let first = params.start + 4u * quad;
        let hit = vec4<i32>(i32(first)) + vec4<i32>(0, 1, 2, 3) == vec4<i32>(t);
        let share = exp(logits(s, first) - vec4<f32>(lse_in[pixel])) - select(vec4<f32>(0.0), vec4<f32>(1.0), hit);
        weights[pixel * TILE_QUADS + quad] = select(vec4<f32>(0.0), upstream[pixel] * params.inv_tau * share, valid);
    }
}

@compute @workgroup_size(ACROSS, DOWN)
fn ppc_weights(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    let first = tile_number(group, groups) * TILE;
    // The same for the whole workgroup, so no barrier is missed.
    if (first >= params.num_pixels) {
        return;
    }
    let near = local.x;
    let far = local.x + ACROSS;
    var c00 = vec4<f32>(0.0); var c01 = vec4<f32>(0.0); var c10 = vec4<f32>(0.0); var c11 = vec4<f32>(0.0);
    var c20 = vec4<f32>(0.0); var c21 = vec4<f32>(0.0); var c30 = vec4<f32>(0.0); var c31 = vec4<f32>(0.0);
    var c40 = vec4<f32>(0.0); var c41 = vec4<f32>(0.0); var c50 = vec4<f32>(0.0); var c51 = vec4<f32>(0.0);
    var c60 = vec4<f32>(0.0); var c61 = vec4<f32>(0.0); var c70 = vec4<f32>(0.0); var c71 = vec4<f32>(0.0);
    for (var round = 0u; round < rounds(); round++) {
        workgroupBarrier();
        stage(first, params.start, round, place, ACROSS * DOWN);
        workgroupBarrier();
//!include lib/gemm_8.wgsl
    }
    // Prototypes inside, pixels outside: the second product reads the weights along its depth.
    let n = first + local.y;
    store_weight(n, near, c00); store_weight(n, far, c01);
    store_weight(n + 1u * DOWN, near, c10); store_weight(n + 1u * DOWN, far, c11);
    store_weight(n + 2u * DOWN, near, c20); store_weight(n + 2u * DOWN, far, c21);
    store_weight(n + 3u * DOWN, near, c30); store_weight(n + 3u * DOWN, far, c31);
    store_weight(n + 4u * DOWN, near, c40); store_weight(n + 4u * DOWN, far, c41);
    store_weight(n + 5u * DOWN, near, c50); store_weight(n + 5u * DOWN, far, c51);
    store_weight(n + 6u * DOWN, near, c60); store_weight(n + 6u * DOWN, far, c61);
    store_weight(n + 7u * DOWN, near, c70); store_weight(n + 7u * DOWN, far, c71);
}

// Stages 16 prototypes of the tile: their weights along the depth, their quads of channels from `first_quad` on.
fn stage_weights(first: u32, first_quad: u32, round: u32, place: u32, invocations: u32) {
    for (var i = place; i < TILE * STEP; i += invocations) {
        let row = min(first + i / STEP, params.num_pixels - 1u);
        left[(i / STEP) * PITCH + place % STEP] = weights_in[row * TILE_QUADS + round * STEP + place % STEP];
    }
    for (var i = place; i < 4u * TILE; i += invocations) {
        // The weight of a prototype past the end is 0; the last one stands in.
        let j = min(params.start + 4u * STEP * round + i / TILE_QUADS, params.num_rows - 1u);
        let quad = min(first_quad + i % TILE_QUADS, params.quads - 1u);
        right[i] = protos[j * params.quads + quad];
    }
}

// out[n, d] += sum over the tile, for one pixel and one vec4 of channels; the first tile overwrites.
fn add(n: u32, d: u32, sum: vec4<f32>) {
    if ((n < params.num_pixels) & (d < params.quads)) {
        let i = n * params.quads + d;
        if (params.start == 0u) {
            out[i] = sum;
        } else {
            out[i] = out[i] + sum;
        }
    }
}

@compute @workgroup_size(ACROSS, DOWN)
fn ppc_accumulate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    // Tiles of the same pixels are neighbours.
    let tiles = (params.quads + TILE_QUADS - 1u) / TILE_QUADS;
    let i = tile_number(group, groups);
    let first = (i / tiles) * TILE;
    let first_quad = (i % tiles) * TILE_QUADS;
    // The same for the whole workgroup, so no barrier is missed.
    if (first >= params.num_pixels) {
        return;
    }
    let near = local.x;
    let far = local.x + ACROSS;
    var c00 = vec4<f32>(0.0); var c01 = vec4<f32>(0.0); var c10 = vec4<f32>(0.0); var c11 = vec4<f32>(0.0);
    var c20 = vec4<f32>(0.0); var c21 = vec4<f32>(0.0); var c30 = vec4<f32>(0.0); var c31 = vec4<f32>(0.0);
    var c40 = vec4<f32>(0.0); var c41 = vec4<f32>(0.0); var c50 = vec4<f32>(0.0); var c51 = vec4<f32>(0.0);
    var c60 = vec4<f32>(0.0); var c61 = vec4<f32>(0.0); var c70 = vec4<f32>(0.0); var c71 = vec4<f32>(0.0);
    for (var round = 0u; round < (params.count + 15u) / 16u; round++) {
        workgroupBarrier();
        stage_weights(first, first_quad, round, place, ACROSS * DOWN);
        workgroupBarrier();
//!include lib/gemm_8.wgsl
    }
    let n = first + local.y;
    // Quads of channels; add() drops those beyond the last.
    let d = first_quad + near;
    let e = first_quad + far;
    add(n, d, c00); add(n, e, c01);
    add(n + 1u * DOWN, d, c10); add(n + 1u * DOWN, e, c11);
    add(n + 2u * DOWN, d, c20); add(n + 2u * DOWN, e, c21);
    add(n + 3u * DOWN, d, c30); add(n + 3u * DOWN, e, c31);
    add(n + 4u * DOWN, d, c40); add(n + 4u * DOWN, e, c41);
    add(n + 5u * DOWN, d, c50); add(n + 5u * DOWN, e, c51);
    add(n + 6u * DOWN, d, c60); add(n + 6u * DOWN, e, c61);
    add(n + 7u * DOWN, d, c70); add(n + 7u * DOWN, e, c71);
}
