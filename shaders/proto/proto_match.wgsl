// Class similarity: a[n,c] = max_k <emb[n], protos[c,k]> and kstar[n,c], the first k that reaches it; classes
// first_class .. first_class + classes. Spec section 4. Gradients (9.3, 9.9), the maximum's weight going to kstar alone:
//   d_emb[n]      (+)= sum_c da[n,c] * protos[c, kstar[n,c]]
//   d_protos[c,k]  += sum_n da[n,c] * [kstar[n,c] = k] * emb[n]
//
// Layout: emb [N,D], protos [C,K,D], a and da [N,classes] in whole vec4s; kstar [N,classes] dense.
// No similarity is ever stored. Loops: the forward pass takes (K / 2) (D / 4 + 8) steps and 8 K for its results, 2,240 at K = 16
// and D = 1024; the gradients 32 classes, 1024 rows or 4096 blocks.
//!include lib/index.wgsl

struct Params {
    num_items: u32,
    num_rows: u32,
    quads: u32,       // vec4s per embedding
    num_protos: u32,  // K
    first_class: u32,
    classes: u32,
    first_row: u32,   // gradient of the prototypes: rows of this dispatch
    rows: u32,        // gradient of the prototypes: rows per block
    num_blocks: u32,
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> protos: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> a: array<f32>;
@group(0) @binding(4) var<storage, read_write> kstar: array<u32>;
@group(0) @binding(5) var<storage, read> da: array<f32>;
@group(0) @binding(6) var<storage, read> winner: array<u32>;
@group(0) @binding(7) var<storage, read_write> d_emb: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> d_protos: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> partial: array<vec4<f32>>;

// Where prototype `j` of the tile starts; the last one stands in beyond the end.
fn proto(j: u32, end: u32) -> u32 {
    return (params.first_class * params.num_protos + min(j, end - 1u)) * params.quads;
}

// One invocation: 8 rows x 4 classes, the classes' prototypes in tiles of 8, so that 16 loads feed 64 inner products held
// in registers, half the loads per product of a tile of 4 x 4. Neighbours take neighbouring rows and the same
// prototypes. The tiles run through the flat list (c,k), so no K wastes lanes.
@compute @workgroup_size(64)
fn proto_match(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.num_items) {
        return;
    }
    // Groups of 8 rows; the invocations run through them first, then through quads of classes.
    let row_groups = (params.num_rows + 7u) / 8u;
    let class_quad = i / row_groups;
    let n = 8u * (i - class_quad * row_groups);
    let last = params.num_rows - 1u;
    // Rows past the end repeat the last one and are not stored.
    let r0 = n * params.quads;
    let r1 = min(n + 1u, last) * params.quads; let r2 = min(n + 2u, last) * params.quads;
    let r3 = min(n + 3u, last) * params.quads; let r4 = min(n + 4u, last) * params.quads;
    let r5 = min(n + 5u, last) * params.quads; let r6 = min(n + 6u, last) * params.quads;
    let r7 = min(n + 7u, last) * params.quads;
    // Floats per row of a, padding included; kstar is dense.
    let stride = 4u * ((params.classes + 3u) / 4u);

    var class_index = 4u * class_quad;
    let end = min(class_index + 4u, params.classes) * params.num_protos;
    var k = 0u;
    // Rows n..n+3 in the lanes of `low`, n+4..n+7 in those of `high`.
    var best_low = vec4<f32>();
    var best_high = vec4<f32>();
    var arg_low = vec4<u32>(0u);
    var arg_high = vec4<u32>(0u);
    // j counts (c, k) from the dispatch's first class, so a tile may end one class and begin the next.
    for (var j = class_index * params.num_protos; j < end; j += 8u) {
        let p0 = proto(j, end);
        let p1 = proto(j + 1u, end); let p2 = proto(j + 2u, end);
        let p3 = proto(j + 3u, end); let p4 = proto(j + 4u, end);
        let p5 = proto(j + 5u, end); let p6 = proto(j + 6u, end);
        let p7 = proto(j + 7u, end);
        var l0 = vec4<f32>(); var h0 = vec4<f32>(); var l1 = vec4<f32>(); var h1 = vec4<f32>();
        var l2 = vec4<f32>(); var h2 = vec4<f32>(); var l3 = vec4<f32>(); var h3 = vec4<f32>();
        var l4 = vec4<f32>(); var h4 = vec4<f32>(); var l5 = vec4<f32>(); var h5 = vec4<f32>();
        var l6 = vec4<f32>(); var h6 = vec4<f32>(); var l7 = vec4<f32>(); var h7 = vec4<f32>();
        for (var d = 0u; d < params.quads; d += 1u) {
            let e0 = emb[r0 + d]; let e1 = emb[r1 + d]; let e2 = emb[r2 + d]; let e3 = emb[r3 + d];
            let e4 = emb[r4 + d]; let e5 = emb[r5 + d]; let e6 = emb[r6 + d]; let e7 = emb[r7 + d];
            var p = protos[p0 + d];
            l0 += vec4<f32>(dot(e0, p), dot(e1, p), dot(e2, p), dot(e3, p));
            h0 += vec4<f32>(dot(e4, p), dot(e5, p), dot(e6, p), dot(e7, p));
            p = protos[p1 + d];
            l1 += vec4<f32>(dot(e0, p), dot(e1, p), dot(e2, p), dot(e3, p));
            h1 += vec4<f32>(dot(e4, p), dot(e5, p), dot(e6, p), dot(e7, p));
            p = protos[p2 + d];
            l2 += vec4<f32>(dot(e0, p), dot(e1, p), dot(e2, p), dot(e3, p));
            h2 += vec4<f32>(dot(e4, p), dot(e5, p), dot(e6, p), dot(e7, p));
            p = protos[p3 + d];
            l3 += vec4<f32>(dot(e0, p), dot(e1, p), dot(e2, p), dot(e3, p));
            h3 += vec4<f32>(dot(e4, p), dot(e5, p), dot(e6, p), dot(e7, p));
            p = protos[p4 + d];
            l4 += vec4<f32>(dot(e0, p), dot(e1, p), dot(e2, p), dot(e3, p));
            h4 += vec4<f32>(dot(e4, p), dot(e5, p), dot(e6, p), dot(e7, p));
            p = protos[p5 + d];
            l5 += vec4<f32>(dot(e0, p), dot(e1, p), dot(e2, p), dot(e3, p));
            h5 += vec4<f32>(dot(e4, p), dot(e5, p), dot(e6, p), dot(e7, p));
            p = protos[p6 + d];
            l6 += vec4<f32>(dot(e0, p), dot(e1, p), dot(e2, p), dot(e3, p));
            h6 += vec4<f32>(dot(e4, p), dot(e5, p), dot(e6, p), dot(e7, p));
            p = protos[p7 + d];
            l7 += vec4<f32>(dot(e0, p), dot(e1, p), dot(e2, p), dot(e3, p));
            h7 += vec4<f32>(dot(e4, p), dot(e5, p), dot(e6, p), dot(e7, p));
        }
        // Once per tile, so the dynamic index costs nothing that counts.
        var low = array<vec4<f32>, 8>(l0, l1, l2, l3, l4, l5, l6, l7);
        var high = array<vec4<f32>, 8>(h0, h1, h2, h3, h4, h5, h6, h7);
        for (var q = 0u; q < min(8u, end - j); q += 1u) {
            // Strictly more: the lowest k wins a tie. The first is taken as it is: a NaN loses every comparison, and an
            // embedding that is none must show.
            let more_low = (low[q] > best_low) | vec4<bool>(k == 0u);
            let more_high = (high[q] > best_high) | vec4<bool>(k == 0u);
            best_low = select(best_low, low[q], more_low);
            best_high = select(best_high, high[q], more_high);
            arg_low = select(arg_low, vec4<u32>(k), more_low);
            arg_high = select(arg_high, vec4<u32>(k), more_high);
            k += 1u;
            // The class is complete: write its maximum and start the next one.
            if (k == params.num_protos) {
                for (var lane = 0u; lane < min(4u, params.num_rows - n); lane += 1u) {
                    a[(n + lane) * stride + class_index] = best_low[lane];
                    kstar[(n + lane) * params.classes + class_index] = arg_low[lane];
                }
                for (var lane = 4u; lane < min(8u, params.num_rows - n); lane += 1u) {
                    a[(n + lane) * stride + class_index] = best_high[lane - 4u];
                    kstar[(n + lane) * params.classes + class_index] = arg_high[lane - 4u];
                }
                k = 0u;
                class_index += 1u;
            }
        }
    }
    // Zeros in the padding lanes of the last quad.
    for (; class_index < min(4u * class_quad + 4u, stride); class_index += 1u) {
        for (var lane = 0u; lane < min(8u, params.num_rows - n); lane += 1u) {
            a[(n + lane) * stride + class_index] = 0.0;
        }
    }
}

// One invocation: a row and 4 vec4s of it, so that one load of da and of the winner feeds 4 of prototypes.
@compute @workgroup_size(64)
fn proto_match_emb_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.num_items) {
        return;
    }
    let parts = (params.quads + 3u) / 4u;
    let n = i / parts;
    let d = 4u * (i - n * parts);
    let last = params.quads - 1u;
    let stride = 4u * ((params.classes + 3u) / 4u);
    var g0 = vec4<f32>(); var g1 = vec4<f32>(); var g2 = vec4<f32>(); var g3 = vec4<f32>();
    for (var c = 0u; c < params.classes; c += 1u) {
        let weight = da[n * stride + c];
        let k = winner[n * params.classes + c];
        // Only the winner receives the gradient of a maximum.
        let base = ((params.first_class + c) * params.num_protos + k) * params.quads;
        g0 += weight * protos[base + d];
        g1 += weight * protos[base + min(d + 1u, last)]; g2 += weight * protos[base + min(d + 2u, last)];
        g3 += weight * protos[base + min(d + 3u, last)];
    }
    add_emb(n, d, g0);
    add_emb(n, d + 1u, g1); add_emb(n, d + 2u, g2); add_emb(n, d + 3u, g3);
}

fn add_emb(n: u32, d: u32, g: vec4<f32>) {
    if (d < params.quads) {
        let at = n * params.quads + d;
        if (params.accumulate == 0u) {
            d_emb[at] = g;
        } else {
            d_emb[at] += g;
        }
    }
}

// Sums over one block of rows (at most 1024) for 16 prototypes of a class, which stay in registers whoever wins.
// partial [block, class, k, quad]. Neighbours take neighbouring vec4s of the same rows.
@compute @workgroup_size(64)
fn proto_match_protos_partial(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.num_items) {
        return;
    }
    let chunks = (params.num_protos + 15u) / 16u;
    let d = i % params.quads;
    let k = 16u * (i / params.quads % chunks);
    let block_class = i / (params.quads * chunks);
    let c = block_class % params.classes;
    let begin = params.first_row + (block_class / params.classes) * params.rows;
    let end = min(begin + params.rows, params.num_rows);
    let stride = 4u * ((params.classes + 3u) / 4u);
    var s0 = vec4<f32>(); var s1 = vec4<f32>(); var s2 = vec4<f32>(); var s3 = vec4<f32>();
    var s4 = vec4<f32>(); var s5 = vec4<f32>(); var s6 = vec4<f32>(); var s7 = vec4<f32>();
    var s8 = vec4<f32>(); var s9 = vec4<f32>(); var s10 = vec4<f32>(); var s11 = vec4<f32>();
    var s12 = vec4<f32>(); var s13 = vec4<f32>(); var s14 = vec4<f32>(); var s15 = vec4<f32>();
    for (var n = begin; n < end; n += 1u) {
        let g = da[n * stride + c] * emb[n * params.quads + d];
        // Winners below k wrap round to huge numbers and match none of the 16.
        let w = winner[n * params.classes + c] - k;
        // Selects and not s[w] += g: an array indexed by a variable would live in memory.
        s0 += select(vec4<f32>(), g, w == 0u); s1 += select(vec4<f32>(), g, w == 1u);
        s2 += select(vec4<f32>(), g, w == 2u); s3 += select(vec4<f32>(), g, w == 3u);
        s4 += select(vec4<f32>(), g, w == 4u); s5 += select(vec4<f32>(), g, w == 5u);
        s6 += select(vec4<f32>(), g, w == 6u); s7 += select(vec4<f32>(), g, w == 7u);
        s8 += select(vec4<f32>(), g, w == 8u); s9 += select(vec4<f32>(), g, w == 9u);
        s10 += select(vec4<f32>(), g, w == 10u); s11 += select(vec4<f32>(), g, w == 11u);
        s12 += select(vec4<f32>(), g, w == 12u); s13 += select(vec4<f32>(), g, w == 13u);
        s14 += select(vec4<f32>(), g, w == 14u); s15 += select(vec4<f32>(), g, w == 15u);
    }
    var sums = array<vec4<f32>, 16>(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15);
    for (var j = 0u; j < min(16u, params.num_protos - k); j += 1u) {
        partial[(block_class * params.num_protos + k + j) * params.quads + d] = sums[j];
    }
}

// Adds the blocks' sums, in order, to the prototypes' gradient. One invocation: one vec4 of one prototype.
@compute @workgroup_size(64)
fn proto_match_protos_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let size = params.classes * params.num_protos * params.quads;
    if (i >= size) {
        return;
    }
    var sum = vec4<f32>();
    for (var block = 0u; block < params.num_blocks; block += 1u) {
        sum += partial[block * size + i];
    }
    d_protos[params.first_class * params.num_protos * params.quads + i] += sum;
}
