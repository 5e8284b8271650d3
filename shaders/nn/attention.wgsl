// Scaled dot-product attention with several heads, streamed: out = softmax(q k^T / sqrt(d)) v, per image and head, without a
// matrix of queries x keys.
//
// Layout: q, out [images][queries][quads] vec4s, k, v [images][keys][quads]; a head owns `head_quads` neighbouring vec4s, so d is
// a multiple of 4 (one head may have any d: then the padding is zero). A `row` is (image, head, query), a `key row` (image, head,
// key). Each long sum is cut into `parts` of `chunk` terms, kept apart in scratch and joined in their order. An invocation owns
// one row, one part and up to 4 vec4s of the head (`block`); wider heads are several blocks, which compute the products again.
// Iterations: chunk * (2 head_quads + 1), held below 65,535 by the choice of chunk; 2 * parts when joining.
//!include lib/index.wgsl
//!include lib/total.wgsl

struct Params {
    // B, Q and M.
    images: u32,
    queries: u32,
    keys: u32,
    heads: u32,
    // vec4s of a row, of a head, and groups of 4 of those.
    quads: u32,
    head_quads: u32,
    blocks: u32,
    // Terms of a part, parts of a sum.
    chunk: u32,
    parts: u32,
    // 1 / sqrt(d).
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
// The operands, the gradient of the output, and two numbers per row: log-sum-exp of its scores, <d_out, out>.
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> d_out: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> lse: array<f32>;
@group(0) @binding(6) var<storage, read> delta: array<f32>;
// Parts of sums with their running maxima and sums, and the forward output.
@group(0) @binding(7) var<storage, read> sums: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> states: array<vec2<f32>>;
@group(0) @binding(9) var<storage, read> attended: array<vec4<f32>>;
@group(0) @binding(10) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(11) var<storage, read_write> second_out: array<vec4<f32>>;
@group(0) @binding(12) var<storage, read_write> states_out: array<vec2<f32>>;
@group(0) @binding(13) var<storage, read_write> numbers_out: array<f32>;

// What an invocation of the partial kernels owns.
struct Place {
    image: u32,
    // The row, and its number among those of its image and head.
    row: u32,
    item: u32,
    part: u32,
    // First vec4 of the head within a row, and of the block within the head.
    head: u32,
    quad: u32,
}

// `length` is the number of rows per image and head. Neighbours have neighbouring rows, so they read the same terms.
fn place_of(i: u32, length: u32) -> Place {
    // Order of the invocations: rows, blocks of the head, parts of the sum.
    let rows = params.images * params.heads * length;
    let row = i % rows;
    let rest = i / rows;
    let group = row / length;
    let head = (group % params.heads) * params.head_quads;
    return Place(group / params.heads, row, row % length, rest / params.blocks, head, 4u * (rest % params.blocks));
}

// The first vec4 of a head in the row of a query, and in that of a key.
fn query_at(image: u32, item: u32, head: u32) -> u32 {
    return (image * params.queries + item) * params.quads + head;
}

fn key_at(image: u32, item: u32, head: u32) -> u32 {
    return (image * params.keys + item) * params.quads + head;
}

// <q, k> / sqrt(d) of two rows of a head.
fn score(query: u32, key: u32) -> f32 {
    var sum = vec4<f32>(0.0);
    for (var j = 0u; j < params.head_quads; j++) {
        sum += q[query + j] * k[key + j];
    }
    return total(sum) * params.scale;
}

// The number of vec4 j of a block within the head; the last one stands in beyond the end, and is not stored.
fn lane(quad: u32, j: u32) -> u32 {
    return min(quad + j, params.head_quads - 1u);
}

// Where vec4 0 of the block of a row lies in sums of [parts][rows][head_quads].
fn sum_at(at: Place, length: u32) -> u32 {
    let rows = params.images * params.heads * length;
    return (at.part * rows + at.row) * params.head_quads + at.quad;
}

// Running maximum and sum of one part of the keys, and the values weighted by exp(score - maximum).
@compute @workgroup_size(64)
fn attention_part(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = place_of(linear_index(id, groups, 64u), params.queries);
    if (at.part >= params.parts) {
        return;
    }
    let query = query_at(at.image, at.item, at.head);
    // Finite, so that the first difference below is a number whatever the first score is.
    var highest = -3e38;
    var sum = 0.0;
    var a0 = vec4<f32>(0.0);
    var a1 = vec4<f32>(0.0);
    var a2 = vec4<f32>(0.0);
    var a3 = vec4<f32>(0.0);
    let first = at.part * params.chunk;
    for (var m = first; m < min(first + params.chunk, params.keys); m++) {
        let key = key_at(at.image, m, at.head);
        let s = score(query, key);
        // What was summed so far is rescaled when a higher score comes: no exponent is ever above 0.
        let next = max(highest, s);
        let keep = exp(highest - next);
        let weight = exp(s - next);
        highest = next;
        sum = sum * keep + weight;
        a0 = a0 * keep + weight * v[key + lane(at.quad, 0u)];
        a1 = a1 * keep + weight * v[key + lane(at.quad, 1u)];
        a2 = a2 * keep + weight * v[key + lane(at.quad, 2u)];
        a3 = a3 * keep + weight * v[key + lane(at.quad, 3u)];
    }
    // The last block of a head may have fewer vec4s.
    let to = sum_at(at, params.queries);
    let left = params.head_quads - at.quad;
    out[to] = a0;
    if (left > 1u) { out[to + 1u] = a1; }
    if (left > 2u) { out[to + 2u] = a2; }
    if (left > 3u) { out[to + 3u] = a3; }
    // All blocks of a row find the same two numbers.
    if (at.quad == 0u) {
        states_out[at.part * params.images * params.heads * params.queries + at.row] = vec2<f32>(highest, sum);
    }
}

// Joins the parts of one vec4 of a row: divided by the whole sum, whose logarithm plus the maximum is kept for the gradient.
@compute @workgroup_size(64)
fn attention_join(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let rows = params.images * params.heads * params.queries;
    let row = i / params.head_quads;
    if (row >= rows) {
        return;
    }
    var highest = -3e38;
    for (var part = 0u; part < params.parts; part++) {
        highest = max(highest, states[part * rows + row].x);
    }
    // Each part was summed under a maximum of its own: its weight brings it under the common one.
    var sum = 0.0;
    var value = vec4<f32>(0.0);
    for (var part = 0u; part < params.parts; part++) {
        let state = states[part * rows + row];
        let weight = exp(state.x - highest);
        sum += weight * state.y;
        value += weight * sums[part * rows * params.head_quads + i];
    }
    out[row_to(row, params.queries) + i % params.head_quads] = value / sum;
    // One invocation per row writes the row's number.
    if (i % params.head_quads == 0u) {
        numbers_out[row] = highest + log(sum);
    }
}

// The first vec4 of a row's head in [images][length][quads].
fn row_to(row: u32, length: u32) -> u32 {
    // Heads lie side by side in a row of the output and one after another in scratch.
    let group = row / length;
    let item = row % length;
    return ((group / params.heads) * length + item) * params.quads + (group % params.heads) * params.head_quads;
}

// <d_out, out> of every row: what the softmax takes off the gradient of each of its weights.
@compute @workgroup_size(64)
fn attention_delta(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = linear_index(id, groups, 64u);
    if (row >= params.images * params.heads * params.queries) {
        return;
    }
    // Output and its gradient lie alike.
    let from_row = row_to(row, params.queries);
    var sum = vec4<f32>(0.0);
    for (var j = 0u; j < params.head_quads; j++) {
        sum += d_out[from_row + j] * attended[from_row + j];
    }
    numbers_out[row] = total(sum);
}

// Weight p of a query and a key (x), and the gradient of their score, 1 / sqrt(d) included (y).
fn weights(query: u32, key: u32, row: u32) -> vec2<f32> {
    var sum = vec4<f32>(0.0);
    for (var j = 0u; j < params.head_quads; j++) {
        sum += d_out[query + j] * v[key + j];
    }
    // exp(score - lse) is the softmax itself: nothing of the forward pass but one number per row is kept.
    let p = exp(score(query, key) - lse[row]);
    return vec2<f32>(p, p * (total(sum) - delta[row]) * params.scale);
}

// dq = sum over keys of ds * k, one part of the keys.
@compute @workgroup_size(64)
fn attention_dq(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = place_of(linear_index(id, groups, 64u), params.queries);
    if (at.part >= params.parts) {
        return;
    }
    let query = query_at(at.image, at.item, at.head);
    var a0 = vec4<f32>(0.0);
    var a1 = vec4<f32>(0.0);
    var a2 = vec4<f32>(0.0);
    var a3 = vec4<f32>(0.0);
    let first = at.part * params.chunk;
    for (var m = first; m < min(first + params.chunk, params.keys); m++) {
        let key = key_at(at.image, m, at.head);
        // The score's gradient is a number: dq is a weighted sum of keys, as the output is one of values.
        let ds = weights(query, key, at.row).y;
        a0 += ds * k[key + lane(at.quad, 0u)];
        a1 += ds * k[key + lane(at.quad, 1u)];
        a2 += ds * k[key + lane(at.quad, 2u)];
        a3 += ds * k[key + lane(at.quad, 3u)];
    }
    let to = sum_at(at, params.queries);
    let left = params.head_quads - at.quad;
    out[to] = a0;
    if (left > 1u) { out[to + 1u] = a1; }
    if (left > 2u) { out[to + 2u] = a2; }
    if (left > 3u) { out[to + 3u] = a3; }
}

// dk = sum over queries of ds * q and dv = sum over queries of p * d_out, one part of the queries.
@compute @workgroup_size(64)
fn attention_dkv(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = place_of(linear_index(id, groups, 64u), params.keys);
    if (at.part >= params.parts) {
        return;
    }
    let key = key_at(at.image, at.item, at.head);
    // Rows of this image and head, for lse and delta.
    let rows = (at.row / params.keys) * params.queries;
    // k<j> and v<j>: vec4 j of the block of dk and dv, which share the weights.
    var k0 = vec4<f32>(0.0); var k1 = vec4<f32>(0.0); var k2 = vec4<f32>(0.0); var k3 = vec4<f32>(0.0);
    var v0 = vec4<f32>(0.0); var v1 = vec4<f32>(0.0); var v2 = vec4<f32>(0.0); var v3 = vec4<f32>(0.0);
    let first = at.part * params.chunk;
    for (var item = first; item < min(first + params.chunk, params.queries); item++) {
        let query = query_at(at.image, item, at.head);
        let w = weights(query, key, rows + item);
        // vec4s of the block in the rows of q and d_out, which lie alike.
        let j0 = query + lane(at.quad, 0u); let j1 = query + lane(at.quad, 1u);
        let j2 = query + lane(at.quad, 2u); let j3 = query + lane(at.quad, 3u);
        k0 += w.y * q[j0]; k1 += w.y * q[j1]; k2 += w.y * q[j2]; k3 += w.y * q[j3];
        v0 += w.x * d_out[j0]; v1 += w.x * d_out[j1]; v2 += w.x * d_out[j2]; v3 += w.x * d_out[j3];
    }
    let to = sum_at(at, params.keys);
    let left = params.head_quads - at.quad;
    out[to] = k0; second_out[to] = v0;
    if (left > 1u) { out[to + 1u] = k1; second_out[to + 1u] = v1; }
    if (left > 2u) { out[to + 2u] = k2; second_out[to + 2u] = v2; }
    if (left > 3u) { out[to + 3u] = k3; second_out[to + 3u] = v3; }
}

// Adds up the parts of [parts][rows][head_quads], in order, into [images][queries][quads]. For the gradients of keys and
// values, the keys stand in the place of the queries.
@compute @workgroup_size(64)
fn attention_sum(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let rows = params.images * params.heads * params.queries;
    let row = i / params.head_quads;
    if (row >= rows) {
        return;
    }
    // Always in the same order, so the same bits every run.
    var sum = vec4<f32>(0.0);
    for (var part = 0u; part < params.parts; part++) {
        sum += sums[part * rows * params.head_quads + i];
    }
    out[row_to(row, params.queries) + i % params.head_quads] = sum;
}
