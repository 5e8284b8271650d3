// L2 normalisation over channels for GPUs: teams of 8 invocations, sums in workgroup memory. One invocation per row, as in
// l2_normalize.wgsl, would read addresses a whole row apart from its neighbour's. Workgroups of 64, 8 rows.
// Iterations: length / 8 twice.
//!include lib/index.wgsl
//!include lib/l2_rows.wgsl

const TEAM = 8u;

// One pair for every invocation of the workgroup.
var<workgroup> pairs: array<vec2<f32>, 64>;

// The team's sum, in order of its invocations.
fn team_sum(pair: vec2<f32>, place: u32) -> vec2<f32> {
    pairs[place] = pair;
    workgroupBarrier();
    // Everybody adds the same numbers in the same order, so the whole team agrees on the bits.
    let first = place - place % TEAM;
    var sum = vec2<f32>(0.0);
    for (var k = 0u; k < TEAM; k++) {
        sum += pairs[first + k];
    }
    return sum;
}

// Rows beyond the last repeat it and are not stored: the barrier needs all 64 invocations.
@compute @workgroup_size(64)
fn l2_normalize(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    let row = linear_index(id, groups, 64u) / TEAM;
    let sums = team_sum(row_squares(min(row, params.num_lines - 1u), place % TEAM, TEAM), place);
    if (row < params.num_lines) {
        write_row(row, place % TEAM, TEAM, sums);
    }
}

@compute @workgroup_size(64)
fn l2_normalize_grad(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) place: u32,
) {
    let row = linear_index(id, groups, 64u) / TEAM;
    let sums = team_sum(row_sums(min(row, params.num_lines - 1u), place % TEAM, TEAM), place);
    if (row < params.num_lines) {
        write_gradient(row, place % TEAM, TEAM, sums);
    }
}
