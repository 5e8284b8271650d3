// Prototype rows in place:
//   prototype_update     where counts > 0: p = momentum * p + rest * m / max(|m|, 1e-12); then all rows to unit length
//   prototype_normalise  all rows to unit length: p / max(|p|, 1e-12)
// momentum and rest = 1 - momentum are both rounded on the host: 1 - 0.999 in f32 is 0.00099998713.
//
// Layout: rows of `quads` vec4s, zero padding stays zero. Workgroup: 64 invocations = 8 rows of 8 invocations, which share
// a row's vec4s and its squared norm. Iterations: quads / 8.

struct Params {
    // C * K prototypes, vec4s per prototype.
    num_rows: u32,
    quads: u32,
    momentum: f32,
    rest: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> protos: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> sums: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> counts: array<u32>;

var<workgroup> squares: array<f32, 64>;

// The sum over the 8 invocations of a row, the same in all of them.
fn row_total(lane: u32, value: f32) -> f32 {
    // Nobody may still be reading the squares of an earlier total.
    workgroupBarrier();
    squares[lane] = value;
    workgroupBarrier();
    // First of the row's 8 invocations; the pairwise order is the same for all of them.
    let first = lane & 56u;
    let low = (squares[first] + squares[first + 1u]) + (squares[first + 2u] + squares[first + 3u]);
    return low + ((squares[first + 4u] + squares[first + 5u]) + (squares[first + 6u] + squares[first + 7u]));
}

// Groups past the last row work on the last one and write nothing.
fn row_of(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> u32 {
    return (group.x + group.y * groups.x) * 8u + lane / 8u;
}

@compute @workgroup_size(64)
fn prototype_update(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = row_of(group, groups, lane);
    let j = min(row, params.num_rows - 1u);
    let base = j * params.quads;
    var square = 0.0;
    for (var d = lane & 7u; d < params.quads; d += 8u) {
        // |m|: only the direction of the sum counts, so the number of pixels cancels.
        let m = sums[base + d];
        square += dot(m, m);
    }
    let length = max(sqrt(row_total(lane, square)), 1e-12);
    let used = counts[j] > 0u;
    // A prototype that got no pixel stays as it is, apart from the rounding of its length.
    let keep = select(1.0, params.momentum, used);
    let move_by = select(0.0, params.rest, used);
    // |p| of the moved prototype, before it is written: protos must stay unchanged until then.
    square = 0.0;
    for (var d = lane & 7u; d < params.quads; d += 8u) {
        let p = keep * protos[base + d] + move_by * (sums[base + d] / length);
        square += dot(p, p);
    }
    let norm = max(sqrt(row_total(lane, square)), 1e-12);
    // After the last barrier lanes may part.
    if (row < params.num_rows) {
        for (var d = lane & 7u; d < params.quads; d += 8u) {
            protos[base + d] = (keep * protos[base + d] + move_by * (sums[base + d] / length)) / norm;
        }
    }
}

@compute @workgroup_size(64)
fn prototype_normalise(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = row_of(group, groups, lane);
    let base = min(row, params.num_rows - 1u) * params.quads;
    var square = 0.0;
    for (var d = lane & 7u; d < params.quads; d += 8u) {
        let p = protos[base + d];
        square += dot(p, p);
    }
    let norm = max(sqrt(row_total(lane, square)), 1e-12);
    if (row < params.num_rows) {
        for (var d = lane & 7u; d < params.quads; d += 8u) {
            protos[base + d] = protos[base + d] / norm;
        }
    }
}
