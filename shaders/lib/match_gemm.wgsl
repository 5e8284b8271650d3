// Similarities of embeddings to prototypes as tiles in workgroup memory, and the maximum over each class's prototypes: formulas
// and layouts of proto_match.wgsl. Rows are embeddings, the depth is D, columns are prototypes of whole classes: a tile takes as
// many classes as fit into COLUMNS, so K is at most COLUMNS.
//!include lib/gemm.wgsl

//!include lib/match_rows.wgsl

// Similarities of DOWN rows to the tile's prototypes, on their way from the products to the maxima: COLUMNS per row.
override SCORES: u32 = 512u;
var<workgroup> scores: array<f32, SCORES>;

// Row `row` of the tile at quad q of D. Rows beyond the last repeat it and are not stored.
fn left_quad(first: u32, row: u32, q: u32) -> vec4<f32> {
    return emb[min(first + row, params.num_rows - 1u) * params.quads + q];
}

// Stages quads 4 * round and on of D: an invocation takes a block of four embeddings, of four prototypes, or both.
fn stage(first: u32, first_class: u32, round: u32, place: u32) {
    let q = round * STEP + place % STEP;
    let safe = min(q, params.quads - 1u);
    // Beyond D both operands are zero: 0 times what happens to lie there need not be 0.
    let none = mat4x4<f32>();
    let base = (params.first_class + first_class) * params.num_protos;
    let last = (params.first_class + params.classes) * params.num_protos - 1u;
    let j = base + place / STEP * 4u;
    var columns = none;
    if ((place < COLUMNS) & (q < params.quads)) {
        columns = mat4x4<f32>(
            protos[min(j, last) * params.quads + safe],
            protos[min(j + 1u, last) * params.quads + safe],
            protos[min(j + 2u, last) * params.quads + safe],
            protos[min(j + 3u, last) * params.quads + safe],
        );
    }
    let row = place / STEP * 4u;
    var rows = none;
    if ((place < ROWS) & (q < params.quads)) {
        rows = mat4x4<f32>(
            left_quad(first, row, safe),
            left_quad(first, row + 1u, safe),
            left_quad(first, row + 2u, safe),
            left_quad(first, row + 3u, safe),
        );
    }
    if (place < COLUMNS) {
        put_right(place / STEP, place % STEP, columns);
    }
    if (place < ROWS) {
        put_left(place / STEP, place % STEP, rows);
    }
}

// One quad of similarities of row `row` of the DOWN.
fn put(row: u32, quad: u32, value: vec4<f32>) {
    let at = row * COLUMNS + 4u * quad;
    scores[at] = value.x;
    scores[at + 1u] = value.y;
    scores[at + 2u] = value.z;
    scores[at + 3u] = value.w;
}

// The maxima of rows first, first + 4, ... (`count` of them) in `scores`; all invocations come here together.
fn settle(first: u32, count: u32, first_class: u32, per_tile: u32, place: u32, invocations: u32) {
    workgroupBarrier();
    let span = classes_written(first_class, per_tile);
    for (var i = place; i < count * span; i += invocations) {
        let n = first + 4u * (i / span);
        let c = first_class + i % span;
        if (n < params.num_rows) {
            // Padding lanes lie behind the last class and read what another class left, which is not written.
            let begin = (i / span) * COLUMNS + select(0u, (i % span) * params.num_protos, c < params.classes);
            // The first is taken as it is: a NaN loses every comparison, and an embedding that is none must show.
            var best = scores[begin];
            var winner = 0u;
            for (var k = 1u; k < params.num_protos; k++) {
                // Strictly more: the lowest k wins a tie.
                let more = scores[begin + k] > best;
                best = select(best, scores[begin + k], more);
                winner = select(winner, k, more);
            }
            write(n, c, best, winner);
        }
    }
    // Nobody may overwrite the scores while they are read.
    workgroupBarrier();
}

@compute @workgroup_size(ACROSS, DOWN)
fn proto_match_8(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    // Tiles of the same rows are neighbours. Whole classes per tile, so no maximum crosses tiles.
    let per_tile = COLUMNS / params.num_protos;
    let tiles = (params.classes + per_tile - 1u) / per_tile;
    let i = tile_number(group, groups);
    let first = (i / tiles) * ROWS;
    let first_class = (i % tiles) * per_tile;
    // The same for the whole workgroup, so no barrier is missed.
    if (first >= params.num_rows) {
        return;
    }
    let invocations = ACROSS * DOWN;
    let near = local.x;
    let far = local.x + ACROSS;
    var c00 = vec4<f32>(0.0); var c01 = vec4<f32>(0.0); var c10 = vec4<f32>(0.0); var c11 = vec4<f32>(0.0);
    var c20 = vec4<f32>(0.0); var c21 = vec4<f32>(0.0); var c30 = vec4<f32>(0.0); var c31 = vec4<f32>(0.0);
    var c40 = vec4<f32>(0.0); var c41 = vec4<f32>(0.0); var c50 = vec4<f32>(0.0); var c51 = vec4<f32>(0.0);
    var c60 = vec4<f32>(0.0); var c61 = vec4<f32>(0.0); var c70 = vec4<f32>(0.0); var c71 = vec4<f32>(0.0);
    for (var round = 0u; round < (params.quads + STEP - 1u) / STEP; round++) {
        // Nobody may still read the last round.
        workgroupBarrier();
        stage(first, first_class, round, place);
        workgroupBarrier();
//!include lib/gemm_8.wgsl
    }
    // DOWN rows at a time, one of each quad of rows, so that the scores fit beside the operands.
    put(local.y, near, c00); put(local.y, far, c01);
    settle(first, DOWN, first_class, per_tile, place, invocations);
    put(local.y, near, c10); put(local.y, far, c11);
    settle(first + 1u, DOWN, first_class, per_tile, place, invocations);
    put(local.y, near, c20); put(local.y, far, c21);
    settle(first + 2u, DOWN, first_class, per_tile, place, invocations);
    put(local.y, near, c30); put(local.y, far, c31);
    settle(first + 3u, DOWN, first_class, per_tile, place, invocations);
    put(local.y, near, c40); put(local.y, far, c41);
    settle(first + 4u * DOWN, DOWN, first_class, per_tile, place, invocations);
    put(local.y, near, c50); put(local.y, far, c51);
    settle(first + 4u * DOWN + 1u, DOWN, first_class, per_tile, place, invocations);
    put(local.y, near, c60); put(local.y, far, c61);
    settle(first + 4u * DOWN + 2u, DOWN, first_class, per_tile, place, invocations);
    put(local.y, near, c70); put(local.y, far, c71);
    settle(first + 4u * DOWN + 3u, DOWN, first_class, per_tile, place, invocations);
}

@compute @workgroup_size(ACROSS, DOWN)
fn proto_match_4(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    // Tiles of the same rows are neighbours. Whole classes per tile, so no maximum crosses tiles.
    let per_tile = COLUMNS / params.num_protos;
    let tiles = (params.classes + per_tile - 1u) / per_tile;
    let i = tile_number(group, groups);
    let first = (i / tiles) * ROWS;
    let first_class = (i % tiles) * per_tile;
    // The same for the whole workgroup, so no barrier is missed.
    if (first >= params.num_rows) {
        return;
    }
    let invocations = ACROSS * DOWN;
    var c0 = vec4<f32>(0.0); var c1 = vec4<f32>(0.0); var c2 = vec4<f32>(0.0); var c3 = vec4<f32>(0.0);
    for (var round = 0u; round < (params.quads + STEP - 1u) / STEP; round++) {
        // Nobody may still read the last round.
        workgroupBarrier();
        stage(first, first_class, round, place);
        workgroupBarrier();
//!include lib/gemm_4.wgsl
    }
    // DOWN rows at a time, as above.
    put(local.y, local.x, c0);
    settle(first, DOWN, first_class, per_tile, place, invocations);
    put(local.y, local.x, c1);
    settle(first + 1u, DOWN, first_class, per_tile, place, invocations);
    put(local.y, local.x, c2);
    settle(first + 2u, DOWN, first_class, per_tile, place, invocations);
    put(local.y, local.x, c3);
    settle(first + 3u, DOWN, first_class, per_tile, place, invocations);
}
