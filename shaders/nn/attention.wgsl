// Scaled dot-product attention with several heads, streamed: out = softmax(q k^T / sqrt(d) + bias) v, per image and head,
// without a matrix of queries x keys.
//
// Layout: tokens of `stride` vec4s, in which q begins at 0, k at `k_at`, v at `v_at` (three values, or one that packs them);
// out, d_out and attended have tokens of `quads` vec4s. A head owns `head_quads` neighbouring vec4s, so d is a multiple of 4
// (one head may have any d: then the padding is zero).
// An invocation owns 4 neighbouring rows (queries; keys in attention_dkv) of one image and head and one `part` of the long sum,
// `chunk` terms, which it takes 8 at a time: 32 products for 12 vec4s read. Its sums lie in scratch as
// [part][image, head][rows rounded up to 4][head_quads] and are joined in the order of the parts.
// Iterations: chunk / 8 * (2 head_quads + 1), held below 65,535 by the choice of chunk; parts when joining.
//
// Windows (Liu et al. 2021, eq. 4): with `window` > 0 a token is a place of a window of that many rows and columns, an image is
// one window of `down` x `across`, and the scores get table[row difference, column difference][head]. Where windows are
// shifted, the last ones hold places from opposite borders of the map, between which the scores get -100.
//!include lib/index.wgsl
//!include lib/total.wgsl

//!include lib/attention.wgsl

// What an invocation of the partial kernels owns.
struct Place {
    image: u32,
    // Number of the head, and its first vec4 within a token.
    head: u32,
    at: u32,
    // The first of its 4 rows among those of its image and head, and in scratch.
    item: u32,
    row: u32,
    part: u32,
}

// `length` is the number of rows per image and head. Neighbours have neighbouring rows, so they read the same terms.
fn place_of(i: u32, length: u32) -> Place {
    let fours = (length + 3u) / 4u;
    let all = params.images * params.heads * fours;
    let four = i % all;
    let group = four / fours;
    let head = group % params.heads;
    let item = 4u * (four % fours);
    return Place(group / params.heads, head, head * params.head_quads, item, 4u * four, i / all);
}

// Rows in scratch, where those of every image and head are rounded up to 4.
fn scratch_rows(length: u32) -> u32 {
    return params.images * params.heads * 4u * ((length + 3u) / 4u);
}

// Four neighbouring tokens; the last one stands in beyond the end.
fn four(image: u32, item: u32, length: u32) -> vec4<u32> {
    return image * length + min(vec4<u32>(item) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(length - 1u));
}

// The largest of eight scores of a row.
fn highest_of(a: vec4<f32>, b: vec4<f32>) -> f32 {
    let m = max(a, b);
    return max(max(m.x, m.y), max(m.z, m.w));
}

// Running maximum and sum of one part of the keys, and the values weighted by exp(score - maximum).
@compute @workgroup_size(64)
fn attention_part(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = place_of(linear_index(id, groups, 64u), params.queries);
    if (at.part >= params.parts) {
        return;
    }
    let rows = four(at.image, at.item, params.queries) * params.stride + at.at;
    let own = codes(at.image, at.item, params.queries);
    // Where vec4 0 of the four rows lies in scratch.
    let first_to = (at.part * scratch_rows(params.queries) + at.row) * params.head_quads;
    let to = vec4<u32>(first_to) + vec4<u32>(0u, 1u, 2u, 3u) * params.head_quads;
    // Finite, so that the first difference below is a number whatever the first score is.
    var highest = vec4<f32>(-3e38);
    var sum = vec4<f32>(0.0);
    let first = at.part * params.chunk;
    let end = min(first + params.chunk, params.keys);
    // For lib/attention_scores.wgsl: the rows are queries.
    let terms = params.keys;
    let turn = 1u;
    for (var m = first; m < end; m += 8u) {
        let a = four(at.image, m, params.keys) * params.stride + at.at;
        let b = four(at.image, m + 4u, params.keys) * params.stride + at.at;
        // s<row><a or b>: scores of a row against the first and the last four keys.
        var s0a = vec4<f32>(0.0); var s1a = vec4<f32>(0.0); var s2a = vec4<f32>(0.0); var s3a = vec4<f32>(0.0);
        var s0b = vec4<f32>(0.0); var s1b = vec4<f32>(0.0); var s2b = vec4<f32>(0.0); var s3b = vec4<f32>(0.0);
        for (var j = 0u; j < params.head_quads; j++) {
//!include lib/attention_keys.wgsl
        }
//!include lib/attention_scores.wgsl
        // Keys beyond the end are never the highest and weigh exp(-3e38 - highest) = 0.
        let none = vec4<f32>(-3e38);
        let in_a = there(m, params.keys);
        let in_b = there(m + 4u, params.keys);
        s0a = select(none, s0a, in_a); s1a = select(none, s1a, in_a); s2a = select(none, s2a, in_a); s3a = select(none, s3a, in_a);
        s0b = select(none, s0b, in_b); s1b = select(none, s1b, in_b); s2b = select(none, s2b, in_b); s3b = select(none, s3b, in_b);
        // What was summed so far is rescaled when a higher score comes: no exponent is ever above 0.
        let found = vec4<f32>(highest_of(s0a, s0b), highest_of(s1a, s1b), highest_of(s2a, s2b), highest_of(s3a, s3b));
        let next = max(highest, found);
        let keep = exp(highest - next);
        highest = next;
        let p0a = exp(s0a - next.x); let p1a = exp(s1a - next.y); let p2a = exp(s2a - next.z); let p3a = exp(s3a - next.w);
        let p0b = exp(s0b - next.x); let p1b = exp(s1b - next.y); let p2b = exp(s2b - next.z); let p3b = exp(s3b - next.w);
        // One lane per row.
        sum = sum * keep + vec4<f32>(total(p0a + p0b), total(p1a + p1b), total(p2a + p2b), total(p3a + p3b));
        // Sums of any width of head: they live in scratch, which 8 values for every read and write keep busy enough.
        for (var j = 0u; j < params.head_quads; j++) {
            let at_a = a + vec4<u32>(params.v_at + j);
            let at_b = b + vec4<u32>(params.v_at + j);
            let va = mat4x4<f32>(v[at_a.x], v[at_a.y], v[at_a.z], v[at_a.w]);
            let vb = mat4x4<f32>(v[at_b.x], v[at_b.y], v[at_b.z], v[at_b.w]);
            // Scratch holds anything before the first eight.
            var o0 = vec4<f32>(0.0); var o1 = vec4<f32>(0.0); var o2 = vec4<f32>(0.0); var o3 = vec4<f32>(0.0);
            if (m > first) {
                o0 = out[to.x + j] * keep.x; o1 = out[to.y + j] * keep.y;
                o2 = out[to.z + j] * keep.z; o3 = out[to.w + j] * keep.w;
            }
            out[to.x + j] = o0 + (va * p0a + vb * p0b);
            out[to.y + j] = o1 + (va * p1a + vb * p1b);
            out[to.z + j] = o2 + (va * p2a + vb * p2b);
            out[to.w + j] = o3 + (va * p3a + vb * p3b);
        }
    }
    // Rows beyond the end have a place in scratch too, which nobody reads.
    let state = at.part * scratch_rows(params.queries) + at.row;
    states_out[state] = vec2<f32>(highest.x, sum.x);
    states_out[state + 1u] = vec2<f32>(highest.y, sum.y);
    states_out[state + 2u] = vec2<f32>(highest.z, sum.z);
    states_out[state + 3u] = vec2<f32>(highest.w, sum.w);
}

// One row of an output: its number in scratch, and the first vec4 of its head in tokens of `stride` vec4s.
struct Row {
    scratch: u32,
    to: u32,
}

fn row_of(row: u32, length: u32, stride: u32) -> Row {
    // Heads lie side by side in a token and one after another in scratch.
    let group = row / length;
    let item = row % length;
    let token = (group / params.heads) * length + item;
    let head = (group % params.heads) * params.head_quads;
    return Row(group * 4u * ((length + 3u) / 4u) + item, token * stride + head);
}

// Joins the parts of one vec4 of a row: divided by the whole sum, whose logarithm plus the maximum is kept for the gradient.
@compute @workgroup_size(64)
fn attention_join(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let row = i / params.head_quads;
    if (row >= params.images * params.heads * params.queries) {
        return;
    }
    let at = row_of(row, params.queries, params.quads);
    let rows = scratch_rows(params.queries);
    let quad = i % params.head_quads;
    // Twice over the parts: their maximum first.
    var highest = -3e38;
    for (var part = 0u; part < params.parts; part++) {
        highest = max(highest, states[part * rows + at.scratch].x);
    }
    // Each part was summed under a maximum of its own: its weight brings it under the common one.
    var sum = 0.0;
    var value = vec4<f32>(0.0);
    for (var part = 0u; part < params.parts; part++) {
        let state = states[part * rows + at.scratch];
        let weight = exp(state.x - highest);
        sum += weight * state.y;
        value += weight * sums[(part * rows + at.scratch) * params.head_quads + quad];
    }
    out[at.to + quad] = value / sum;
    // One invocation per row writes the row's number.
    if (quad == 0u) {
        numbers_out[row] = highest + log(sum);
    }
}

// The log-sum-exp of every row beside <d_out, out>: what the softmax takes off the gradient of each of its weights.
@compute @workgroup_size(64)
fn attention_delta(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = linear_index(id, groups, 64u);
    if (row >= params.images * params.heads * params.queries) {
        return;
    }
    // Output and its gradient lie alike.
    let from_row = row_of(row, params.queries, params.quads).to;
    var sum = vec4<f32>(0.0);
    for (var j = 0u; j < params.head_quads; j++) {
        sum += d_out[from_row + j] * attended[from_row + j];
    }
    pairs_out[row] = vec2<f32>(lse[row], total(sum));
}

// dq = sum over keys of ds * k, one part of the keys. With windows the scores' gradients are kept for the table.
@compute @workgroup_size(64)
fn attention_dq(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = place_of(linear_index(id, groups, 64u), params.queries);
    if (at.part >= params.parts) {
        return;
    }
    // Operands may be packed; gradients of the output never are.
    let tokens = four(at.image, at.item, params.queries);
    let rows = tokens * params.stride + at.at;
    let d_rows = tokens * params.quads + at.at;
    let own = codes(at.image, at.item, params.queries);
    let first_to = (at.part * scratch_rows(params.queries) + at.row) * params.head_quads;
    let to = vec4<u32>(first_to) + vec4<u32>(0u, 1u, 2u, 3u) * params.head_quads;
    let group = at.image * params.heads + at.head;
    // Log-sum-exp and delta of the four rows; the last one stands in beyond the end.
    let n = group * params.queries + four(0u, at.item, params.queries);
    let n0 = numbers[n.x]; let n1 = numbers[n.y]; let n2 = numbers[n.z]; let n3 = numbers[n.w];
    let first = at.part * params.chunk;
    let end = min(first + params.chunk, params.keys);
    // For lib/attention_scores.wgsl: the rows are queries.
    let terms = params.keys;
    let turn = 1u;
    for (var m = first; m < end; m += 8u) {
        let a = four(at.image, m, params.keys) * params.stride + at.at;
        let b = four(at.image, m + 4u, params.keys) * params.stride + at.at;
        // s: scores, g: <d_out, v>, of a row against the first and the last four keys.
        var s0a = vec4<f32>(0.0); var s1a = vec4<f32>(0.0); var s2a = vec4<f32>(0.0); var s3a = vec4<f32>(0.0);
        var s0b = vec4<f32>(0.0); var s1b = vec4<f32>(0.0); var s2b = vec4<f32>(0.0); var s3b = vec4<f32>(0.0);
        var g0a = vec4<f32>(0.0); var g1a = vec4<f32>(0.0); var g2a = vec4<f32>(0.0); var g3a = vec4<f32>(0.0);
        var g0b = vec4<f32>(0.0); var g1b = vec4<f32>(0.0); var g2b = vec4<f32>(0.0); var g3b = vec4<f32>(0.0);
        for (var j = 0u; j < params.head_quads; j++) {
//!include lib/attention_keys.wgsl
            // What each weight of the softmax is worth: <d_out, v>.
            let v_a = a + vec4<u32>(params.v_at + j);
            let v_b = b + vec4<u32>(params.v_at + j);
            let va = mat4x4<f32>(v[v_a.x], v[v_a.y], v[v_a.z], v[v_a.w]);
            let vb = mat4x4<f32>(v[v_b.x], v[v_b.y], v[v_b.z], v[v_b.w]);
            let d0 = d_out[d_rows.x + j]; let d1 = d_out[d_rows.y + j];
            let d2 = d_out[d_rows.z + j]; let d3 = d_out[d_rows.w + j];
            g0a += d0 * va; g1a += d1 * va; g2a += d2 * va; g3a += d3 * va;
            g0b += d0 * vb; g1b += d1 * vb; g2b += d2 * vb; g3b += d3 * vb;
        }
//!include lib/attention_scores.wgsl
        // exp(score - lse) is the softmax itself: nothing of the forward pass but one number per row is kept.
        let zero = vec4<f32>(0.0);
        let in_a = there(m, params.keys);
        let in_b = there(m + 4u, params.keys);
        s0a = select(zero, exp(s0a - n0.x) * (g0a - n0.y), in_a); s0b = select(zero, exp(s0b - n0.x) * (g0b - n0.y), in_b);
        s1a = select(zero, exp(s1a - n1.x) * (g1a - n1.y), in_a); s1b = select(zero, exp(s1b - n1.x) * (g1b - n1.y), in_b);
        s2a = select(zero, exp(s2a - n2.x) * (g2a - n2.y), in_a); s2b = select(zero, exp(s2b - n2.x) * (g2b - n2.y), in_b);
        s3a = select(zero, exp(s3a - n3.x) * (g3a - n3.y), in_a); s3b = select(zero, exp(s3b - n3.x) * (g3b - n3.y), in_b);
        if (params.window > 0u) {
            // Without the scale: the bias is added behind it.
            let place = (group * params.queries + at.item) * params.keys + m;
            let left = params.queries - at.item;
            store_scores(place, s0a, in_a); store_scores(place + 4u, s0b, in_b);
            if (left > 1u) { store_scores(place + params.keys, s1a, in_a); store_scores(place + params.keys + 4u, s1b, in_b); }
            if (left > 2u) { store_scores(place + 2u * params.keys, s2a, in_a); store_scores(place + 2u * params.keys + 4u, s2b, in_b); }
            if (left > 3u) { store_scores(place + 3u * params.keys, s3a, in_a); store_scores(place + 3u * params.keys + 4u, s3b, in_b); }
        }
        for (var j = 0u; j < params.head_quads; j++) {
            let k_a = a + vec4<u32>(params.k_at + j);
            let k_b = b + vec4<u32>(params.k_at + j);
            // The scale is put on eight keys instead of 32 gradients.
            let ka = mat4x4<f32>(k[k_a.x], k[k_a.y], k[k_a.z], k[k_a.w]) * params.scale;
            let kb = mat4x4<f32>(k[k_b.x], k[k_b.y], k[k_b.z], k[k_b.w]) * params.scale;
            var o0 = zero; var o1 = zero; var o2 = zero; var o3 = zero;
            if (m > first) {
                o0 = out[to.x + j]; o1 = out[to.y + j]; o2 = out[to.z + j]; o3 = out[to.w + j];
            }
            out[to.x + j] = o0 + (ka * s0a + kb * s0b);
            out[to.y + j] = o1 + (ka * s1a + kb * s1b);
            out[to.z + j] = o2 + (ka * s2a + kb * s2b);
            out[to.w + j] = o3 + (ka * s3a + kb * s3b);
        }
    }
}

// dk = sum over queries of ds * q and dv = sum over queries of p * d_out, one part of the queries; all of dv behind all of dk.
@compute @workgroup_size(64)
fn attention_dkv(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = place_of(linear_index(id, groups, 64u), params.keys);
    if (at.part >= params.parts) {
        return;
    }
    // Here the rows are keys and the terms queries.
    let rows = four(at.image, at.item, params.keys) * params.stride + at.at;
    let own = codes(at.image, at.item, params.keys);
    let first_to = (at.part * scratch_rows(params.keys) + at.row) * params.head_quads;
    let to = vec4<u32>(first_to) + vec4<u32>(0u, 1u, 2u, 3u) * params.head_quads;
    // Both sums in one buffer: a browser gives a kernel eight.
    let second = params.parts * scratch_rows(params.keys) * params.head_quads;
    let number_at = (at.image * params.heads + at.head) * params.queries;
    let first = at.part * params.chunk;
    let end = min(first + params.chunk, params.queries);
    // For lib/attention_scores.wgsl: the rows are keys. This is -1.
    let terms = params.queries;
    let turn = 0xffffffffu;
    for (var m = first; m < end; m += 8u) {
        let in_a = there(m, params.queries);
        let in_b = there(m + 4u, params.queries);
        let tokens_a = four(at.image, m, params.queries);
        let tokens_b = four(at.image, m + 4u, params.queries);
        let a = tokens_a * params.stride + at.at;
        let b = tokens_b * params.stride + at.at;
        let da = tokens_a * params.quads + at.at;
        let db = tokens_b * params.quads + at.at;
        var s0a = vec4<f32>(0.0); var s1a = vec4<f32>(0.0); var s2a = vec4<f32>(0.0); var s3a = vec4<f32>(0.0);
        var s0b = vec4<f32>(0.0); var s1b = vec4<f32>(0.0); var s2b = vec4<f32>(0.0); var s3b = vec4<f32>(0.0);
        var g0a = vec4<f32>(0.0); var g1a = vec4<f32>(0.0); var g2a = vec4<f32>(0.0); var g3a = vec4<f32>(0.0);
        var g0b = vec4<f32>(0.0); var g1b = vec4<f32>(0.0); var g2b = vec4<f32>(0.0); var g3b = vec4<f32>(0.0);
        for (var j = 0u; j < params.head_quads; j++) {
            // As in attention_dq with the parts of queries and keys exchanged: scores of 4 keys against 8 queries.
            let q_a = a + vec4<u32>(j);
            let q_b = b + vec4<u32>(j);
            let qa = mat4x4<f32>(q[q_a.x], q[q_a.y], q[q_a.z], q[q_a.w]);
            let qb = mat4x4<f32>(q[q_b.x], q[q_b.y], q[q_b.z], q[q_b.w]);
            let kj = rows + vec4<u32>(params.k_at + j);
            let k0 = k[kj.x]; let k1 = k[kj.y]; let k2 = k[kj.z]; let k3 = k[kj.w];
            s0a += k0 * qa; s1a += k1 * qa; s2a += k2 * qa; s3a += k3 * qa;
            s0b += k0 * qb; s1b += k1 * qb; s2b += k2 * qb; s3b += k3 * qb;
            // And <v, d_out> beside them.
            let d_a = da + vec4<u32>(j);
            let d_b = db + vec4<u32>(j);
            let ga = mat4x4<f32>(d_out[d_a.x], d_out[d_a.y], d_out[d_a.z], d_out[d_a.w]);
            let gb = mat4x4<f32>(d_out[d_b.x], d_out[d_b.y], d_out[d_b.z], d_out[d_b.w]);
            let vj = rows + vec4<u32>(params.v_at + j);
            let v0 = v[vj.x]; let v1 = v[vj.y]; let v2 = v[vj.z]; let v3 = v[vj.w];
            g0a += v0 * ga; g1a += v1 * ga; g2a += v2 * ga; g3a += v3 * ga;
            g0b += v0 * gb; g1b += v1 * gb; g2b += v2 * gb; g3b += v3 * gb;
        }
//!include lib/attention_scores.wgsl
        // Numbers of the eight queries; the last one stands in beyond the end.
        let na = vec4<u32>(number_at) + four(0u, m, params.queries);
        let nb = vec4<u32>(number_at) + four(0u, m + 4u, params.queries);
        let n0 = numbers[na.x]; let n1 = numbers[na.y]; let n2 = numbers[na.z]; let n3 = numbers[na.w];
        let n4 = numbers[nb.x]; let n5 = numbers[nb.y]; let n6 = numbers[nb.z]; let n7 = numbers[nb.w];
        // By lanes, as the scores lie.
        let lse_a = vec4<f32>(n0.x, n1.x, n2.x, n3.x);
        let lse_b = vec4<f32>(n4.x, n5.x, n6.x, n7.x);
        let delta_a = vec4<f32>(n0.y, n1.y, n2.y, n3.y);
        let delta_b = vec4<f32>(n4.y, n5.y, n6.y, n7.y);
        let zero = vec4<f32>(0.0);
        // p: the weights of the softmax.
        let p0a = select(zero, exp(s0a - lse_a), in_a); let p0b = select(zero, exp(s0b - lse_b), in_b);
        let p1a = select(zero, exp(s1a - lse_a), in_a); let p1b = select(zero, exp(s1b - lse_b), in_b);
        let p2a = select(zero, exp(s2a - lse_a), in_a); let p2b = select(zero, exp(s2b - lse_b), in_b);
        let p3a = select(zero, exp(s3a - lse_a), in_a); let p3b = select(zero, exp(s3b - lse_b), in_b);
        // From here on g is the gradient of the scaled product.
        g0a = p0a * (g0a - delta_a) * params.scale; g0b = p0b * (g0b - delta_b) * params.scale;
        g1a = p1a * (g1a - delta_a) * params.scale; g1b = p1b * (g1b - delta_b) * params.scale;
        g2a = p2a * (g2a - delta_a) * params.scale; g2b = p2b * (g2b - delta_b) * params.scale;
        g3a = p3a * (g3a - delta_a) * params.scale; g3b = p3b * (g3b - delta_b) * params.scale;
        for (var j = 0u; j < params.head_quads; j++) {
            let q_a = a + vec4<u32>(j);
            let q_b = b + vec4<u32>(j);
            let qa = mat4x4<f32>(q[q_a.x], q[q_a.y], q[q_a.z], q[q_a.w]);
            let qb = mat4x4<f32>(q[q_b.x], q[q_b.y], q[q_b.z], q[q_b.w]);
            let d_a = da + vec4<u32>(j);
            let d_b = db + vec4<u32>(j);
            let ga = mat4x4<f32>(d_out[d_a.x], d_out[d_a.y], d_out[d_a.z], d_out[d_a.w]);
            let gb = mat4x4<f32>(d_out[d_b.x], d_out[d_b.y], d_out[d_b.z], d_out[d_b.w]);
            var o0 = zero; var o1 = zero; var o2 = zero; var o3 = zero;
            // e<row>: dv, beside dk in o<row>.
            var e0 = zero; var e1 = zero; var e2 = zero; var e3 = zero;
            let far = to + vec4<u32>(second + j);
            if (m > first) {
                o0 = out[to.x + j]; o1 = out[to.y + j]; o2 = out[to.z + j]; o3 = out[to.w + j];
                e0 = out[far.x]; e1 = out[far.y]; e2 = out[far.z]; e3 = out[far.w];
            }
            out[to.x + j] = o0 + (qa * g0a + qb * g0b);
            out[to.y + j] = o1 + (qa * g1a + qb * g1b);
            out[to.z + j] = o2 + (qa * g2a + qb * g2b);
            out[to.w + j] = o3 + (qa * g3a + qb * g3b);
            // dv takes the weights themselves.
            out[far.x] = e0 + (ga * p0a + gb * p0b);
            out[far.y] = e1 + (ga * p1a + gb * p1b);
            out[far.z] = e2 + (ga * p2a + gb * p2b);
            out[far.w] = e3 + (ga * p3a + gb * p3b);
        }
    }
}

// Adds up the parts, in order, into tokens of `to_stride` vec4s. For the gradients of keys and values, the keys stand in the
// place of the queries.
@compute @workgroup_size(64)
fn attention_sum(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let row = i / params.head_quads;
    if (row >= params.images * params.heads * params.queries) {
        return;
    }
    let at = row_of(row, params.queries, params.to_stride);
    // Neighbours take neighbouring vec4s of a row.
    let quad = i % params.head_quads;
    let rows = scratch_rows(params.queries);
    // Always in the same order, so the same bits every run.
    var sum = vec4<f32>(0.0);
    for (var part = 0u; part < params.parts; part++) {
        sum += sums[params.from_at + (part * rows + at.scratch) * params.head_quads + quad];
    }
    out[params.to_at + at.to + quad] = sum;
}

// Sums of the scores' gradients for one entry of the table and one part of the images, `chunk` of them. An invocation per
// entry, head and part; chunk * window^2 iterations at most.
@compute @workgroup_size(64)
fn attention_dtable(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    // Differences go from -(window - 1) to window - 1.
    let side = 2u * params.window - 1u;
    let entries = side * side;
    let part = i / (entries * params.heads);
    if (part >= params.parts) {
        return;
    }
    let head = (i / entries) % params.heads;
    let entry = i % entries;
    // Row and column difference plus window - 1.
    let dy = entry / side;
    let dx = entry % side;
    let reach = params.window - 1u;
    var sum = 0.0;
    for (var image = part * params.chunk; image < min((part + 1u) * params.chunk, params.images); image++) {
        // Images are windows, so that all of them have the same pairs.
        let from_image = (image * params.heads + head) * params.queries * params.keys;
        for (var y = max(dy, reach) - reach; y < min(params.window, dy + 1u); y++) {
            for (var x = max(dx, reach) - reach; x < min(params.window, dx + 1u); x++) {
                // The query at (y, x) and the key that lies (dy, dx) before it.
                let query = y * params.window + x;
                let key = (y + reach - dy) * params.window + (x + reach - dx);
                sum += scores[from_image + query * params.keys + key];
            }
        }
    }
    numbers_out[i] = sum;
}

// Joins the parts of the table's gradient; lanes beyond the heads are padding.
@compute @workgroup_size(64)
fn attention_dtable_join(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let side = 2u * params.window - 1u;
    let entries = side * side;
    let entry = i / params.table_stride;
    let head = i % params.table_stride;
    if (entry >= entries) {
        return;
    }
    var sum = 0.0;
    if (head < params.heads) {
        // In the order of the parts.
        for (var part = 0u; part < params.parts; part++) {
            sum += table_parts[(part * params.heads + head) * entries + entry];
        }
    }
    numbers_out[i] = sum;
}
