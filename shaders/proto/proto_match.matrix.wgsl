// Matching with prototypes on cooperative matrices: both operands rounded to f16, sums and maxima in f32. Formulas and layouts of
// proto_match.wgsl, tiles of lib/matrix.wgsl; rows are embeddings, the depth is D, columns are prototypes of whole classes, so K is at
// most 64. proto_match_16: fragments of 16 x 16; proto_match_8: of 8 x 8.
// Iterations: D / 32 rounds of at most 13, and 64 x classes of a tile x K / INVOCATIONS for the maxima.
enable f16;
enable wgpu_cooperative_matrix;
//!include lib/matrix.wgsl
//!include lib/match_rows.wgsl

// Quads of D per round.
const STEP = 8u;

// Stages quads STEP * round and on of D.
fn stage(first: u32, first_class: u32, round: u32, place: u32) {
    let q = round * STEP + place % STEP;
    let real = q < params.quads;
    let safe = min(q, params.quads - 1u);
    for (var i = place; i < ROWS * STEP; i += 2u * INVOCATIONS) {
        // Rows beyond the last repeat it and are not stored. Two loads are waited for together.
        let next = i + INVOCATIONS;
        let v0 = emb[min(first + i / STEP, params.num_rows - 1u) * params.quads + safe];
        let v1 = emb[min(first + next / STEP, params.num_rows - 1u) * params.quads + safe];
        put_left(i / STEP, place % STEP, select(vec4<f32>(0.0), v0, real));
        put_left(next / STEP, place % STEP, select(vec4<f32>(0.0), v1, real));
    }
    // Prototypes lie along D and are staged across it: blocks of four prototypes and one quad are transposed in registers.
    let base = (params.first_class + first_class) * params.num_protos;
    let last = (params.first_class + params.classes) * params.num_protos - 1u;
    for (var i = place; i < (COLUMNS / 4u) * STEP; i += INVOCATIONS) {
        let j = base + 4u * (i / STEP);
        let block = transpose(mat4x4<f32>(
            protos[min(j, last) * params.quads + safe],
            protos[min(j + 1u, last) * params.quads + safe],
            protos[min(j + 2u, last) * params.quads + safe],
            protos[min(j + 3u, last) * params.quads + safe],
        ));
        let k = 4u * (place % STEP);
        // Beyond D both operands are zero: 0 times what happens to lie there need not be 0.
        put_right(k, i / STEP, select(vec4<f32>(0.0), block[0], real));
        put_right(k + 1u, i / STEP, select(vec4<f32>(0.0), block[1], real));
        put_right(k + 2u, i / STEP, select(vec4<f32>(0.0), block[2], real));
        put_right(k + 3u, i / STEP, select(vec4<f32>(0.0), block[3], real));
    }
}

// The maxima of the tile from `results`.
fn settle(first: u32, first_class: u32, per_tile: u32, place: u32) {
    let span = classes_written(first_class, per_tile);
    for (var i = place; i < ROWS * span; i += INVOCATIONS) {
        let n = first + i / span;
        let c = first_class + i % span;
        if (n < params.num_rows) {
            // Padding lanes read what another class left, which is not written.
            let begin = (i / span) * COLUMNS + select(0u, (i % span) * params.num_protos, c < params.classes);
            // The first is taken as it is: a NaN loses every comparison, and an embedding that is none must show.
            var best = results[begin];
            var winner = 0u;
            for (var k = 1u; k < params.num_protos; k++) {
                // Strictly more: the lowest k wins a tie.
                let more = results[begin + k] > best;
                best = select(best, results[begin + k], more);
                winner = select(winner, k, more);
            }
            write(n, c, best, winner);
        }
    }
}

@compute @workgroup_size(INVOCATIONS)
fn proto_match_16(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    // Whole classes per tile, so no maximum crosses tiles.
    let per_tile = COLUMNS / params.num_protos;
    let tiles = (params.classes + per_tile - 1u) / per_tile;
    let i = group.x + group.y * groups.x;
    let first = (i / tiles) * ROWS;
    let first_class = (i % tiles) * per_tile;
    // The same for the whole workgroup, so no barrier is missed.
    if (first >= params.num_rows) {
        return;
    }
    // This subgroup's quadrant.
    let row = (subgroup / 2u) * 32u;
    let column = (subgroup % 2u) * 32u;
    var c00 = coop_mat16x16<f32, C>(); var c01 = coop_mat16x16<f32, C>();
    var c10 = coop_mat16x16<f32, C>(); var c11 = coop_mat16x16<f32, C>();
    for (var round = 0u; round < (params.quads + STEP - 1u) / STEP; round++) {
        workgroupBarrier();
        stage(first, first_class, round, place);
        workgroupBarrier();
//!include lib/matrix_16.wgsl
    }
//!include lib/matrix_16_end.wgsl
    settle(first, first_class, per_tile, place);
}

@compute @workgroup_size(INVOCATIONS)
fn proto_match_8(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    // Whole classes per tile, so no maximum crosses tiles.
    let per_tile = COLUMNS / params.num_protos;
    let tiles = (params.classes + per_tile - 1u) / per_tile;
    let i = group.x + group.y * groups.x;
    let first = (i / tiles) * ROWS;
    let first_class = (i % tiles) * per_tile;
    // The same for the whole workgroup, so no barrier is missed.
    if (first >= params.num_rows) {
        return;
    }
    // This subgroup's quadrant.
    let row = (subgroup / 2u) * 32u;
    let column = (subgroup % 2u) * 32u;
    var c00 = coop_mat8x8<f32, C>(); var c01 = coop_mat8x8<f32, C>();
    var c02 = coop_mat8x8<f32, C>(); var c03 = coop_mat8x8<f32, C>();
    var c10 = coop_mat8x8<f32, C>(); var c11 = coop_mat8x8<f32, C>();
    var c12 = coop_mat8x8<f32, C>(); var c13 = coop_mat8x8<f32, C>();
    var c20 = coop_mat8x8<f32, C>(); var c21 = coop_mat8x8<f32, C>();
    var c22 = coop_mat8x8<f32, C>(); var c23 = coop_mat8x8<f32, C>();
    var c30 = coop_mat8x8<f32, C>(); var c31 = coop_mat8x8<f32, C>();
    var c32 = coop_mat8x8<f32, C>(); var c33 = coop_mat8x8<f32, C>();
    for (var round = 0u; round < (params.quads + STEP - 1u) / STEP; round++) {
        workgroupBarrier();
        stage(first, first_class, round, place);
        workgroupBarrier();
//!include lib/matrix_8.wgsl
    }
//!include lib/matrix_8_end.wgsl
    settle(first, first_class, per_tile, place);
}
