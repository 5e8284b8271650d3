// Attention by tiles in workgroup memory, for GPUs, in f32: formulas, layouts and Params of attention.wgsl. Plain WebGPU.
//
// A workgroup of 64 invocations owns 64 rows of one image and head and takes the terms 32 at a time: products over d in rounds
// of 16, of which an invocation holds 8 rows by one quad of terms; then the weights of 16 terms at a time are staged
// beside the vectors that they weigh and multiplied into 8 rows by two quads of channels, so a head has at most 64 channels.
// Nothing goes through scratch, and no sum has parts.
// attention_scan: log-sum-exp of a query's scores. attention_mix: sums of weighted vectors, by its constants
//   out = sum over keys of p v         dq = sum over keys of ds k (SCORED)
//   dv = sum over queries of p d_out (KEYS)      dk = sum over queries of ds q (KEYS, SCORED)
// with p the softmax and ds = scale * p * (<d_out, v> - delta).
// Workgroup memory: 8.3 KiB for the operands, 4 KiB for the rows' sums.
// Iterations: 32 terms take 5 per 16 channels, twice if SCORED, and 10, so at most 51; the host gives it at most 32,768 terms.
alias Staged = f32;
//!include lib/total.wgsl
//!include lib/attention.wgsl
//!include lib/gemm.wgsl

// Rows are keys and terms queries, or the other way round.
override KEYS: bool = false;
// The weights are gradients of scores, or the softmax itself.
override SCORED: bool = false;
// The gradients of the scores are kept for the table of windows.
override KEPT: bool = false;

const TILE = 64u;
const TERMS = 32u;
// Stands for minus infinity: exp(LOWEST - x) is 0, and no inf or NaN arises.
const LOWEST = -3e38;

// Running (maximum, sum) of every row, one for each invocation of the row: [row][ACROSS].
var<workgroup> parts: array<vec2<f32>, 512>;

// Where a workgroup works.
struct Tile {
    image: u32,
    // Number of the head, and its first vec4 within a token.
    head: u32,
    at: u32,
    // Its first row among those of its image and head.
    first: u32,
}

// One value for each of an invocation's rows: four from 4 * local.y on, four from 4 * (local.y + DOWN) on.
struct Eight {
    r0: vec4<f32>, r1: vec4<f32>, r2: vec4<f32>, r3: vec4<f32>,
    r4: vec4<f32>, r5: vec4<f32>, r6: vec4<f32>, r7: vec4<f32>,
}

// Rows and terms of an image and head.
fn num_rows() -> u32 {
    return select(params.queries, params.keys, KEYS);
}

fn num_terms() -> u32 {
    return select(params.keys, params.queries, KEYS);
}

// Tiles of a head lie one after another: those that run together read the same terms.
fn tile_of(i: u32) -> Tile {
    let tiles = (num_rows() + TILE - 1u) / TILE;
    let group = i / tiles;
    let head = group % params.heads;
    return Tile(group / params.heads, head, head * params.head_quads, (i % tiles) * TILE);
}

// Quads of tokens. Beyond the end the last one stands in: what comes of it is not stored, or weighs 0.
fn query_quad(tile: Tile, item: u32, j: u32) -> vec4<f32> {
    return q[(tile.image * params.queries + min(item, params.queries - 1u)) * params.stride + tile.at + j];
}

fn key_quad(tile: Tile, item: u32, j: u32) -> vec4<f32> {
    return k[(tile.image * params.keys + min(item, params.keys - 1u)) * params.stride + params.k_at + tile.at + j];
}

fn value_quad(tile: Tile, item: u32, j: u32) -> vec4<f32> {
    return v[(tile.image * params.keys + min(item, params.keys - 1u)) * params.stride + params.v_at + tile.at + j];
}

fn grad_quad(tile: Tile, item: u32, j: u32) -> vec4<f32> {
    return d_out[(tile.image * params.queries + min(item, params.queries - 1u)) * params.quads + tile.at + j];
}

// Quad j of four tokens: of the scores' factors, queries and keys, or of those of <d_out, v>.
fn queries_of(tile: Tile, item: u32, j: u32, graded: bool) -> mat4x4<f32> {
    if (graded) {
        return mat4x4<f32>(grad_quad(tile, item, j), grad_quad(tile, item + 1u, j),
            grad_quad(tile, item + 2u, j), grad_quad(tile, item + 3u, j));
    }
    return mat4x4<f32>(query_quad(tile, item, j), query_quad(tile, item + 1u, j),
        query_quad(tile, item + 2u, j), query_quad(tile, item + 3u, j));
}

fn keys_of(tile: Tile, item: u32, j: u32, graded: bool) -> mat4x4<f32> {
    if (graded) {
        return mat4x4<f32>(value_quad(tile, item, j), value_quad(tile, item + 1u, j),
            value_quad(tile, item + 2u, j), value_quad(tile, item + 3u, j));
    }
    return mat4x4<f32>(key_quad(tile, item, j), key_quad(tile, item + 1u, j),
        key_quad(tile, item + 2u, j), key_quad(tile, item + 3u, j));
}

// Stages 16 channels: four rows by every invocation, four of the terms from m on by every second one.
fn stage(tile: Tile, m: u32, round: u32, place: u32, graded: bool) {
    let j = round * STEP + place % STEP;
    let safe = min(j, params.head_quads - 1u);
    let row = tile.first + place / STEP * 4u;
    // An invocation without terms loads some for nothing: that costs less than waiting for the rows first.
    let term = m + place / STEP * 4u;
    var rows = mat4x4<f32>();
    var terms = mat4x4<f32>();
    // Beyond the head's end both are zero: 0 times what happens to lie there need not be 0.
    if (j < params.head_quads) {
        if (KEYS) {
            rows = keys_of(tile, row, safe, graded);
            terms = queries_of(tile, term, safe, graded);
        } else {
            rows = queries_of(tile, row, safe, graded);
            terms = keys_of(tile, term, safe, graded);
        }
    }
    put_left(place / STEP, place % STEP, rows);
    if (place < TERMS) {
        put_right(place / STEP, place % STEP, terms);
    }
}

// Products over the channels of the invocation's rows and its quad of the terms from m on. All invocations come here together.
fn products(tile: Tile, m: u32, local: vec2<u32>, place: u32, graded: bool) -> Eight {
    var r0 = vec4<f32>(0.0); var r1 = vec4<f32>(0.0); var r2 = vec4<f32>(0.0); var r3 = vec4<f32>(0.0);
    var r4 = vec4<f32>(0.0); var r5 = vec4<f32>(0.0); var r6 = vec4<f32>(0.0); var r7 = vec4<f32>(0.0);
    for (var round = 0u; round < (params.head_quads + STEP - 1u) / STEP; round++) {
        // Nobody may still read what was staged before.
        workgroupBarrier();
        stage(tile, m, round, place, graded);
        workgroupBarrier();
        for (var at = 0u; at < 4u * STEP; at += 4u) {
            // Two quads of rows by one of terms: 3 readings of workgroup memory feed 32 multiply-adds, four times.
            let a0 = left_at(at, local.y); let b0 = left_at(at, local.y + DOWN); let d0 = right_at(at, local.x);
            let a1 = left_at(at + 1u, local.y); let b1 = left_at(at + 1u, local.y + DOWN); let d1 = right_at(at + 1u, local.x);
            let a2 = left_at(at + 2u, local.y); let b2 = left_at(at + 2u, local.y + DOWN); let d2 = right_at(at + 2u, local.x);
            let a3 = left_at(at + 3u, local.y); let b3 = left_at(at + 3u, local.y + DOWN); let d3 = right_at(at + 3u, local.x);
            r0 = along(r0, vec4<f32>(a0.x, a1.x, a2.x, a3.x), d0, d1, d2, d3);
            r1 = along(r1, vec4<f32>(a0.y, a1.y, a2.y, a3.y), d0, d1, d2, d3);
            r2 = along(r2, vec4<f32>(a0.z, a1.z, a2.z, a3.z), d0, d1, d2, d3);
            r3 = along(r3, vec4<f32>(a0.w, a1.w, a2.w, a3.w), d0, d1, d2, d3);
            r4 = along(r4, vec4<f32>(b0.x, b1.x, b2.x, b3.x), d0, d1, d2, d3);
            r5 = along(r5, vec4<f32>(b0.y, b1.y, b2.y, b3.y), d0, d1, d2, d3);
            r6 = along(r6, vec4<f32>(b0.z, b1.z, b2.z, b3.z), d0, d1, d2, d3);
            r7 = along(r7, vec4<f32>(b0.w, b1.w, b2.w, b3.w), d0, d1, d2, d3);
        }
    }
    return Eight(r0, r1, r2, r3, r4, r5, r6, r7);
}

// sum + the products of four neighbours along the channels, in order.
fn along(sum: vec4<f32>, a: vec4<f32>, d0: vec4<f32>, d1: vec4<f32>, d2: vec4<f32>, d3: vec4<f32>) -> vec4<f32> {
    let low = fma(vec4<f32>(a.y), d1, fma(vec4<f32>(a.x), d0, sum));
    return fma(vec4<f32>(a.w), d3, fma(vec4<f32>(a.z), d2, low));
}

// Scores of the invocation's rows and its quad of the terms from m on.
fn scores_of(tile: Tile, m: u32, local: vec2<u32>, place: u32) -> Eight {
    var s = products(tile, m, local, place, false);
    s.r0 *= params.scale; s.r1 *= params.scale; s.r2 *= params.scale; s.r3 *= params.scale;
    s.r4 *= params.scale; s.r5 *= params.scale; s.r6 *= params.scale; s.r7 *= params.scale;
    // Codes are computed again for every tile: they would take 16 registers through all products.
    if (params.window > 0u) {
        let terms = codes(tile.image, m + 4u * local.x, num_terms());
        let near = codes(tile.image, tile.first + 4u * local.y, num_rows());
        let far = codes(tile.image, tile.first + 4u * (local.y + DOWN), num_rows());
        // By the query's place less the key's, whichever of them is the row.
        let turn = select(1u, 0xffffffffu, KEYS);
        let head = tile.head;
        s.r0 += bias(near.code.x, near.side.x, terms, head, turn); s.r1 += bias(near.code.y, near.side.y, terms, head, turn);
        s.r2 += bias(near.code.z, near.side.z, terms, head, turn); s.r3 += bias(near.code.w, near.side.w, terms, head, turn);
        s.r4 += bias(far.code.x, far.side.x, terms, head, turn); s.r5 += bias(far.code.y, far.side.y, terms, head, turn);
        s.r6 += bias(far.code.z, far.side.z, terms, head, turn); s.r7 += bias(far.code.w, far.side.w, terms, head, turn);
    }
    return s;
}

// Adds four scores to a running (maximum, sum), which is rescaled when a higher one comes.
fn fold(known: vec2<f32>, s: vec4<f32>) -> vec2<f32> {
    let top = max(known.x, max(max(s.x, s.y), max(s.z, s.w)));
    return vec2<f32>(top, known.y * exp(known.x - top) + total(exp(s - top)));
}

// Writes what one row of an invocation has found.
fn put(row: u32, across: u32, known: vec2<f32>) {
    parts[row * ACROSS + across] = known;
}

@compute @workgroup_size(8, 8)
fn attention_scan(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    let tile = tile_of(tile_number(group, groups));
    // The same for the whole workgroup, so no barrier is missed.
    if (tile.image >= params.images) {
        return;
    }
    // Of this invocation's terms only; the other invocations of the row hold the rest.
    let none = vec2<f32>(LOWEST, 0.0);
    var t0 = none; var t1 = none; var t2 = none; var t3 = none;
    var t4 = none; var t5 = none; var t6 = none; var t7 = none;
    for (var m = 0u; m < params.keys; m += TERMS) {
        let s = scores_of(tile, m, local.xy, place);
        let inside = there(m + 4u * local.x, params.keys);
        let low = vec4<f32>(LOWEST);
        t0 = fold(t0, select(low, s.r0, inside)); t1 = fold(t1, select(low, s.r1, inside));
        t2 = fold(t2, select(low, s.r2, inside)); t3 = fold(t3, select(low, s.r3, inside));
        t4 = fold(t4, select(low, s.r4, inside)); t5 = fold(t5, select(low, s.r5, inside));
        t6 = fold(t6, select(low, s.r6, inside)); t7 = fold(t7, select(low, s.r7, inside));
    }
    // The rows of the invocation, within the tile.
    let row = 4u * local.y;
    let later = row + 4u * DOWN;
    put(row, local.x, t0); put(row + 1u, local.x, t1); put(row + 2u, local.x, t2); put(row + 3u, local.x, t3);
    put(later, local.x, t4); put(later + 1u, local.x, t5); put(later + 2u, local.x, t6); put(later + 3u, local.x, t7);
    workgroupBarrier();
    // One invocation per row from here on: 64 of both.
    let n = tile.first + place;
    if (n < params.queries) {
        var known = none;
        for (var across = 0u; across < ACROSS; across++) {
            // Who saw no key at all counted under the lowest maximum, which weighs nothing beside a real one.
            let part = parts[place * ACROSS + across];
            let top = max(known.x, part.x);
            known = vec2<f32>(top, known.y * exp(known.x - top) + part.y * exp(part.x - top));
        }
        let to = (tile.image * params.heads + tile.head) * params.queries + n;
        numbers_out[to] = known.x + log(known.y);
        // For the mix, which divides by the sum: a maximum is a score as it is, its logarithm would be rounded.
        pairs_out[to] = vec2<f32>(known.x, 1.0 / known.y);
    }
}

// Log-sum-exp and delta of a query, or maximum and 1 / sum in the forward pass; beyond the end those of the last one.
fn pair_of(tile: Tile, item: u32) -> vec2<f32> {
    return numbers[(tile.image * params.heads + tile.head) * params.queries + min(item, params.queries - 1u)];
}

// Quad `i` of the vectors of the terms from `term` on: [16][16 quads].
fn vector_quad(tile: Tile, term: u32, i: u32) -> vec4<f32> {
    let item = term + i / 16u;
    // Channels beyond the head's end are not stored.
    let j = min(i % 16u, params.head_quads - 1u);
    if (KEYS & SCORED) {
        return query_quad(tile, item, j);
    }
    if (KEYS) {
        return grad_quad(tile, item, j);
    }
    if (SCORED) {
        return key_quad(tile, item, j);
    }
    return value_quad(tile, item, j);
}

// Stores one row and quad of the result, in tokens of `to_stride` vec4s.
fn store(tile: Tile, row: u32, quad: u32, value: vec4<f32>) {
    if ((row < num_rows()) & (quad < params.head_quads)) {
        let to = (tile.image * num_rows() + row) * params.to_stride + tile.at + quad;
        // The scale is put on a sum instead of on every gradient of a score.
        out[params.to_at + to] = value * select(1.0, params.scale, SCORED);
    }
}

// Keeps the gradients of a query's scores, without the scale: the bias is added behind it.
fn keep_scores(tile: Tile, row: u32, term: u32, values: vec4<f32>, inside: vec4<bool>) {
    if (row < params.queries) {
        let group = tile.image * params.heads + tile.head;
        store_scores((group * params.queries + row) * params.keys + term, values, inside);
    }
}

@compute @workgroup_size(8, 8)
fn attention_mix(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    let tile = tile_of(tile_number(group, groups));
    // The same for the whole workgroup, so no barrier is missed.
    if (tile.image >= params.images) {
        return;
    }
    // Quads of channels of the result.
    let near = local.x;
    let far = local.x + ACROSS;
    let row = tile.first + 4u * local.y;
    let later = row + 4u * DOWN;
    // Of the rows if they are queries.
    let n0 = pair_of(tile, row); let n1 = pair_of(tile, row + 1u); let n2 = pair_of(tile, row + 2u); let n3 = pair_of(tile, row + 3u);
    let n4 = pair_of(tile, later); let n5 = pair_of(tile, later + 1u); let n6 = pair_of(tile, later + 2u); let n7 = pair_of(tile, later + 3u);
    var c00 = vec4<f32>(0.0); var c01 = vec4<f32>(0.0); var c10 = vec4<f32>(0.0); var c11 = vec4<f32>(0.0);
    var c20 = vec4<f32>(0.0); var c21 = vec4<f32>(0.0); var c30 = vec4<f32>(0.0); var c31 = vec4<f32>(0.0);
    var c40 = vec4<f32>(0.0); var c41 = vec4<f32>(0.0); var c50 = vec4<f32>(0.0); var c51 = vec4<f32>(0.0);
    var c60 = vec4<f32>(0.0); var c61 = vec4<f32>(0.0); var c70 = vec4<f32>(0.0); var c71 = vec4<f32>(0.0);
    for (var m = 0u; m < num_terms(); m += TERMS) {
        // The invocation's quad of terms; beyond the end it weighs 0.
        let term = m + 4u * local.x;
        let inside = there(term, num_terms());
        var w = scores_of(tile, m, local.xy, place);
        // Of the terms if they are queries.
        var lse = vec4<f32>(0.0);
        var delta = vec4<f32>(0.0);
        if (KEYS) {
            let p0 = pair_of(tile, term); let p1 = pair_of(tile, term + 1u);
            let p2 = pair_of(tile, term + 2u); let p3 = pair_of(tile, term + 3u);
            lse = vec4<f32>(p0.x, p1.x, p2.x, p3.x);
            delta = vec4<f32>(p0.y, p1.y, p2.y, p3.y);
        }
        // The softmax: exp(score - lse) needs no sum any more, exp(score - maximum) is divided by it below.
        let zero = vec4<f32>(0.0);
        w.r0 = select(zero, exp(w.r0 - select(vec4<f32>(n0.x), lse, KEYS)), inside);
        w.r1 = select(zero, exp(w.r1 - select(vec4<f32>(n1.x), lse, KEYS)), inside);
        w.r2 = select(zero, exp(w.r2 - select(vec4<f32>(n2.x), lse, KEYS)), inside);
        w.r3 = select(zero, exp(w.r3 - select(vec4<f32>(n3.x), lse, KEYS)), inside);
        w.r4 = select(zero, exp(w.r4 - select(vec4<f32>(n4.x), lse, KEYS)), inside);
        w.r5 = select(zero, exp(w.r5 - select(vec4<f32>(n5.x), lse, KEYS)), inside);
        w.r6 = select(zero, exp(w.r6 - select(vec4<f32>(n6.x), lse, KEYS)), inside);
        w.r7 = select(zero, exp(w.r7 - select(vec4<f32>(n7.x), lse, KEYS)), inside);
        // ds without the scale: the softmax times what <d_out, v> is above its mean.
        if (SCORED) {
            let g = products(tile, m, local.xy, place, true);
            w.r0 *= g.r0 - select(vec4<f32>(n0.y), delta, KEYS); w.r1 *= g.r1 - select(vec4<f32>(n1.y), delta, KEYS);
            w.r2 *= g.r2 - select(vec4<f32>(n2.y), delta, KEYS); w.r3 *= g.r3 - select(vec4<f32>(n3.y), delta, KEYS);
            w.r4 *= g.r4 - select(vec4<f32>(n4.y), delta, KEYS); w.r5 *= g.r5 - select(vec4<f32>(n5.y), delta, KEYS);
            w.r6 *= g.r6 - select(vec4<f32>(n6.y), delta, KEYS); w.r7 *= g.r7 - select(vec4<f32>(n7.y), delta, KEYS);
        }
        if (!KEYS & !SCORED) {
            w.r0 *= n0.y; w.r1 *= n1.y; w.r2 *= n2.y; w.r3 *= n3.y;
            w.r4 *= n4.y; w.r5 *= n5.y; w.r6 *= n6.y; w.r7 *= n7.y;
        }
        // Only where rows are queries, as the table's gradient reads them.
        if (KEPT) {
            keep_scores(tile, row, term, w.r0, inside); keep_scores(tile, row + 1u, term, w.r1, inside);
            keep_scores(tile, row + 2u, term, w.r2, inside); keep_scores(tile, row + 3u, term, w.r3, inside);
            keep_scores(tile, later, term, w.r4, inside); keep_scores(tile, later + 1u, term, w.r5, inside);
            keep_scores(tile, later + 2u, term, w.r6, inside); keep_scores(tile, later + 3u, term, w.r7, inside);
        }
        for (var half = 0u; half < 2u; half++) {
            // Four of the 16 terms by every 16 invocations; loaded before the barrier, they travel while others multiply.
            let first = m + 16u * half;
            let v0 = vector_quad(tile, first, place);
            let v1 = vector_quad(tile, first, place + 64u);
            let v2 = vector_quad(tile, first, place + 128u);
            let v3 = vector_quad(tile, first, place + 192u);
            workgroupBarrier();
            // The weights of 16 terms lie in the registers of half of the invocations.
            if (local.x / STEP == half) {
                put_left(local.y, local.x % STEP, mat4x4<f32>(w.r0, w.r1, w.r2, w.r3));
                put_left(local.y + DOWN, local.x % STEP, mat4x4<f32>(w.r4, w.r5, w.r6, w.r7));
            }
            right[place] = v0; right[place + 64u] = v1; right[place + 128u] = v2; right[place + 192u] = v3;
            workgroupBarrier();
//!include lib/gemm_8.wgsl
        }
    }
    // store() drops rows beyond the last and channels of other heads.
    store(tile, row, near, c00); store(tile, row, far, c01);
    store(tile, row + 1u, near, c10); store(tile, row + 1u, far, c11);
    store(tile, row + 2u, near, c20); store(tile, row + 2u, far, c21);
    store(tile, row + 3u, near, c30); store(tile, row + 3u, far, c31);
    store(tile, later, near, c40); store(tile, later, far, c41);
    store(tile, later + 1u, near, c50); store(tile, later + 1u, far, c51);
    store(tile, later + 2u, near, c60); store(tile, later + 2u, far, c61);
    store(tile, later + 3u, near, c70); store(tile, later + 3u, far, c71);
}
