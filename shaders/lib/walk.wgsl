// Walks down the rows of one vec4 column, so that everything per channel stays in registers.
//
// Invocations form teams of quads * team_rows with consecutive vec4s; a team steps through its block of block_rows rows,
// team_rows at a time. So neighbours always touch neighbouring addresses, for few wide rows and for many narrow ones.
struct Walk {
    quad: u32,
    row: u32,
    end: u32,
    // Number of the partial result: invocations with one `part` cover all quads of the same rows.
    part: u32,
}

fn walk(index: u32, quads: u32, team_rows: u32, block_rows: u32, rows: u32) -> Walk {
    let team = quads * team_rows;
    let block = index / team;
    let place = index - block * team;
    let first = place / quads;
    let start = block * block_rows;
    return Walk(place - first * quads, start + first, min(start + block_rows, rows), block * team_rows + first);
}

// The walk of an invocation of a workgroup of 64, from params.{quads,team_rows,block_rows,rows}. All kernels of a shader
// walk the same way, so the parts' numbers agree between them.
fn start(id: vec3<u32>, groups: vec3<u32>) -> Walk {
    let i = linear_index(id, groups, 64u);
    return walk(i, params.quads, params.team_rows, params.block_rows, params.rows);
}

// Prefetching (lib/touch.wgsl): eight neighbouring invocations read 128 bytes at a step, two cache lines, so they touch four
// steps at a time. The first step that is lane `lane`'s, and the vec4 that it touches at step t.
fn first_touch(lane: u32) -> u32 {
    return lane / 2u;
}

fn touch_place(at: Walk, lane: u32, t: u32) -> u32 {
    return (at.row + t * params.team_rows) * params.quads + at.quad - lane + 4u * (lane % 2u);
}
