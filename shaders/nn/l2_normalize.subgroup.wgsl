// L2 normalisation over channels for GPUs with subgroup operations: one subgroup per row, so that neighbouring lanes read
// neighbouring vec4s and neither workgroup memory nor a barrier stands between the reading and the result.
//
// Workgroups of 64 invocations and 8 rows, shared out over however many subgroups there are: no size of subgroups is assumed.
// Iterations: 8 / subgroups rows of twice length / size.
//!include lib/l2_rows.wgsl

// Rows per workgroup.
const ROWS = 8u;

@compute @workgroup_size(64)
fn l2_normalize(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    for (var k = subgroup; k < ROWS; k += subgroups) {
        let row = (group.x + group.y * groups.x) * ROWS + k;
        // Rows beyond the last repeat it and are not stored: no lane may leave before the sum.
        let sums = subgroupAdd(row_squares(min(row, params.num_lines - 1u), lane, size));
        if (row < params.num_lines) {
            write_row(row, lane, size, sums);
        }
    }
}

@compute @workgroup_size(64)
fn l2_normalize_grad(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    for (var k = subgroup; k < ROWS; k += subgroups) {
        let row = (group.x + group.y * groups.x) * ROWS + k;
        // Rows beyond the last repeat it and are not stored: no lane may leave before the sum.
        let sums = subgroupAdd(row_sums(min(row, params.num_lines - 1u), lane, size));
        if (row < params.num_lines) {
            write_gradient(row, lane, size, sums);
        }
    }
}
