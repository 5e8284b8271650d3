// Walks and sums down vec4 columns on GPUs. A workgroup of 256 invocations takes a strip of `wide` columns (1, 2, 4 or 8) and
// a block of rows, 256 / wide of them at a time, so that neighbours touch neighbouring addresses. A GPU hides the half
// microsecond of a load by other invocations and by loads in flight of the same one: four rows are loaded before any is used.
//
// Column sums: each workgroup folds its block into one part by a tree in workgroup memory, and a finishing kernel does the
// same with the parts as rows: two dispatches, whatever the number of rows, and the same order of additions every time.
// The includer declares params.{rows,quads,wide,block_rows}; in a finishing kernel `rows` counts parts.
// Iterations per invocation: rows of a block / (256 / wide) / 4, and the tree's 8 levels at most.

// What an invocation walks: rows `row`, `row + step`, .. before `end` of column `quad`.
struct Strip {
    quad: u32,
    row: u32,
    // 0 where there is no such column.
    end: u32,
    step: u32,
    block: u32,
    // Whether this invocation stores what the workgroup has folded.
    stores: bool,
}

// Four rows of a column, the block's last one in place of those behind it; where they are, and which are real.
struct Four {
    row: vec4<u32>,
    at: vec4<u32>,
    real: vec4<bool>,
}

// Two sums, or two numbers to add to them.
struct Pair {
    one: vec4<f32>,
    two: vec4<f32>,
}

@group(0) @binding(20) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(21) var<storage, read_write> parts_out: array<vec4<f32>>;

var<workgroup> ones: array<vec4<f32>, 256>;
var<workgroup> twos: array<vec4<f32>, 256>;

fn strip(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> Strip {
    let linear = group.x + group.y * groups.x;
    let strips = (params.quads + params.wide - 1u) / params.wide;
    let block = linear / strips;
    let quad = (linear - block * strips) * params.wide + lane % params.wide;
    let start = block * params.block_rows;
    let end = select(0u, min(start + params.block_rows, params.rows), quad < params.quads);
    let stores = lane < params.wide && quad < params.quads && start < params.rows;
    return Strip(quad, start + lane / params.wide, end, 256u / params.wide, block, stores);
}

// The four rows from `row` on, which is one of the walk's.
fn four(s: Strip, row: u32) -> Four {
    let rows = vec4<u32>(row) + vec4<u32>(0u, 1u, 2u, 3u) * s.step;
    let kept = min(rows, vec4<u32>(s.end - 1u));
    return Four(kept, kept * params.quads + vec4<u32>(s.quad), rows < vec4<u32>(s.end));
}

fn plus(a: Pair, b: Pair) -> Pair {
    return Pair(a.one + b.one, a.two + b.two);
}

// Selected, not multiplied by 0: what stands in for a row may be infinite.
fn pair_if(real: bool, one: vec4<f32>, two: vec4<f32>) -> Pair {
    return Pair(select(vec4<f32>(0.0), one, real), select(vec4<f32>(0.0), two, real));
}

// The sum of four rows' numbers, of which the first is always real.
fn sum_if(f: Four, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> vec4<f32> {
    let zero = vec4<f32>(0.0);
    return (a + select(zero, b, f.real.y)) + (select(zero, c, f.real.z) + select(zero, d, f.real.w));
}

// Leaves in the lanes that store the sum over the workgroup's rows.
fn folded(lane: u32, value: vec4<f32>) -> vec4<f32> {
    ones[lane] = value;
    for (var half = 128u; half >= params.wide; half /= 2u) {
        workgroupBarrier();
        // `half` is a multiple of `wide`: both numbers belong to one column.
        if (lane < half) {
            ones[lane] += ones[lane + half];
        }
    }
    return ones[lane];
}

fn folded_pair(lane: u32, pair: Pair) -> Pair {
    ones[lane] = pair.one;
    twos[lane] = pair.two;
    for (var half = 128u; half >= params.wide; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            ones[lane] += ones[lane + half];
            twos[lane] += twos[lane + half];
        }
    }
    return Pair(ones[lane], twos[lane]);
}

// A part of two sums is two rows: the first sums of all columns, then the second.
fn store_pair(s: Strip, pair: Pair) {
    if (s.stores) {
        let to = 2u * s.block * params.quads + s.quad;
        parts_out[to] = pair.one;
        parts_out[to + params.quads] = pair.two;
    }
}

fn part_pair(at: u32, real: bool) -> Pair {
    return pair_if(real, parts[at], parts[at + params.quads]);
}

// The sums over all parts of two sums, in the lanes that store.
fn pairs_of_parts(s: Strip, lane: u32) -> Pair {
    var sum = Pair();
    for (var part = s.row; part < s.end; part += 4u * s.step) {
        let f = four(s, part);
        // A part's two rows lie one behind the other.
        let at = 2u * f.at - vec4<u32>(s.quad);
        let p0 = part_pair(at.x, f.real.x); let p1 = part_pair(at.y, f.real.y);
        let p2 = part_pair(at.z, f.real.z); let p3 = part_pair(at.w, f.real.w);
        sum = plus(sum, plus(plus(p0, p1), plus(p2, p3)));
    }
    return folded_pair(lane, sum);
}

// The sum over the rows of a block of `parts`, which begin at vec4 `first`, in the lanes that store: a finishing kernel has a
// single block.
fn sum_of_parts(s: Strip, lane: u32, first: u32) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    for (var part = s.row; part < s.end; part += 4u * s.step) {
        let f = four(s, part);
        let i = f.at + vec4<u32>(first);
        sum += sum_if(f, parts[i.x], parts[i.y], parts[i.z], parts[i.w]);
    }
    return folded(lane, sum);
}
