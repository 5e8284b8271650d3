// Pixel-prototype contrast for GPUs: the formulas of ppc.wgsl by tiles in workgroup memory, in f32. Plain WebGPU.
//
// Products: rows are pixels, the depth is D, columns are prototypes (transposed on their way into workgroup memory). ppc_scan
// keeps the running maximum and sum of its rows in registers over all tiles of prototypes, and adds up the ACROSS invocations of a row at
// the end, in order. Sums: rows are pixels, the depth is the 64 prototypes of a tile, columns are channels.
// Layout: as ppc.wgsl, but the scratch weights are [N] rows of 16 vec4s, which the second product reads along its depth.
// Tile 64 x 64 by 64 invocations, 8.3 KiB for the operands and 4 KiB for the rows' sums.
// Iterations: `count` / 64 tiles of D / 16 rounds of 5 in ppc_scan, 5 D / 16 in ppc_weights, 20 in ppc_accumulate.
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

// Stages quads 4 * round and on of D, for pixels `first` and on and prototypes `j` and on: every invocation a block of four
// pixels and one of four prototypes. Those beyond the end repeat the last one: pixels are not stored, logits() drops prototypes.
fn stage(first: u32, j: u32, round: u32, place: u32) {
    let q = round * STEP + place % STEP;
    let safe = min(q, params.quads - 1u);
    let last = params.num_rows - 1u;
    let k = j + place / STEP * 4u;
    let row = first + place / STEP * 4u;
    let end = params.num_pixels - 1u;
    let columns = mat4x4<f32>(
        protos[min(k, last) * params.quads + safe],
        protos[min(k + 1u, last) * params.quads + safe],
        protos[min(k + 2u, last) * params.quads + safe],
        protos[min(k + 3u, last) * params.quads + safe],
    );
    let rows = mat4x4<f32>(
        emb[min(row, end) * params.quads + safe],
        emb[min(row + 1u, end) * params.quads + safe],
        emb[min(row + 2u, end) * params.quads + safe],
        emb[min(row + 3u, end) * params.quads + safe],
    );
    // Beyond D both operands are zero: 0 times what happens to lie there need not be 0.
    if (q < params.quads) {
        put_right(place / STEP, place % STEP, columns);
        put_left(place / STEP, place % STEP, rows);
    } else {
        put_right(place / STEP, place % STEP, mat4x4<f32>());
        put_left(place / STEP, place % STEP, mat4x4<f32>());
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
            stage(first, j, round, place);
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
    // Rows 0 to 3 of the square are those of quad local.y, 4 to 7 those of quad local.y + DOWN.
    let row = 4u * local.y;
    let later = row + 4u * DOWN;
    put(row, local.x, t0); put(row + 1u, local.x, t1); put(row + 2u, local.x, t2); put(row + 3u, local.x, t3);
    put(later, local.x, t4); put(later + 1u, local.x, t5); put(later + 2u, local.x, t6); put(later + 3u, local.x, t7);
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
        stage(first, params.start, round, place);
        workgroupBarrier();
//!include lib/gemm_8.wgsl
    }
    // Prototypes inside, pixels outside: the second product reads the weights along its depth.
    let n = first + 4u * local.y;
    let later = n + 4u * DOWN;
    store_weight(n, near, c00); store_weight(n, far, c01);
    store_weight(n + 1u, near, c10); store_weight(n + 1u, far, c11);
    store_weight(n + 2u, near, c20); store_weight(n + 2u, far, c21);
    store_weight(n + 3u, near, c30); store_weight(n + 3u, far, c31);
    store_weight(later, near, c40); store_weight(later, far, c41);
    store_weight(later + 1u, near, c50); store_weight(later + 1u, far, c51);
    store_weight(later + 2u, near, c60); store_weight(later + 2u, far, c61);
    store_weight(later + 3u, near, c70); store_weight(later + 3u, far, c71);
}

// Quad `i` of the round's prototypes: those past the end have weight 0, and the last one stands in.
fn right_quad(first_quad: u32, round: u32, i: u32) -> vec4<f32> {
    let j = min(params.start + 4u * STEP * round + i / TILE_QUADS, params.num_rows - 1u);
    return protos[j * params.quads + min(first_quad + i % TILE_QUADS, params.quads - 1u)];
}

// Stages 16 prototypes of the tile: their weights, and their quads of channels from `first_quad` on. 64 invocations.
fn stage_weights(first: u32, first_quad: u32, round: u32, place: u32) {
    let r0 = right_quad(first_quad, round, place);
    let r1 = right_quad(first_quad, round, place + TILE);
    let r2 = right_quad(first_quad, round, place + 2u * TILE);
    let r3 = right_quad(first_quad, round, place + 3u * TILE);
    let row = first + place / STEP * 4u;
    let end = params.num_pixels - 1u;
    let q = round * STEP + place % STEP;
    put_left(place / STEP, place % STEP, mat4x4<f32>(
        weights_in[min(row, end) * TILE_QUADS + q],
        weights_in[min(row + 1u, end) * TILE_QUADS + q],
        weights_in[min(row + 2u, end) * TILE_QUADS + q],
        weights_in[min(row + 3u, end) * TILE_QUADS + q],
    ));
    right[place] = r0;
    right[place + TILE] = r1;
    right[place + 2u * TILE] = r2;
    right[place + 3u * TILE] = r3;
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
        stage_weights(first, first_quad, round, place);
        workgroupBarrier();
//!include lib/gemm_8.wgsl
    }
    let n = first + 4u * local.y;
    let later = n + 4u * DOWN;
    // Quads of channels; add() drops those beyond the last.
    let d = first_quad + near;
    let e = first_quad + far;
    add(n, d, c00); add(n, e, c01);
    add(n + 1u, d, c10); add(n + 1u, e, c11);
    add(n + 2u, d, c20); add(n + 2u, e, c21);
    add(n + 3u, d, c30); add(n + 3u, e, c31);
    add(later, d, c40); add(later, e, c41);
    add(later + 1u, d, c50); add(later + 1u, e, c51);
    add(later + 2u, d, c60); add(later + 2u, e, c61);
    add(later + 3u, d, c70); add(later + 3u, e, c71);
}
