// Within-class Sinkhorn-Knopp for software adapters with subgroups of 8: the formulas of sinkhorn.wgsl; E is stored.
//
// There, 8 invocations are the lanes of one vector register, and a load is a branch per lane that costs more than the
// arithmetic on what it brings. So the first dispatch leaves E without padding and in the order of `order`: a round
// loads K floats per pixel, where sinkhorn.wgsl loads the pixel's index and a padded row. One subgroup per workgroup,
// sums by shuffles, no workgroup memory, no barrier.
//
// Layout: own and q are [N] rows of vec4s, zero in the padding; partial sums are [C, segments, vec4s per row]. exps is
// [blocks, K] of vec4s, each over 4 positions of `order`, of which the first is a multiple of 4. Where classes meet in
// a block, each has one of its own, zero at the other's positions: it is number position / 4 + class, so there are at
// most N / 4 + C + 1. Ignored pixels are class C, whose factors are 0.
// Iterations per invocation: N / (32 * segments) if all pixels are of one class, and segments >= N / 2^20, so 2^15;
// before that `segments` / 8.
//
// A row of K numbers is four parts of 16, named and not indexed: an index that is not constant would make memory of what is
// in registers. The second part is there above K = 16, the other two above 32. At K = 64 what a walk holds (r, the sums and E
// at four positions, 8 lanes wide) is far more than a processor has registers, and goes through its first-level cache.
//!include lib/lanes.wgsl
//!include lib/sinkhorn.wgsl
//!include lib/total.wgsl

// K, at most 64: a pipeline constant, so that the prototypes that are not there vanish from the loops.
override row_count: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> own: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> order: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> offsets: array<u32>;
@group(0) @binding(4) var<storage, read> last: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> next: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> exps: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> q: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> r: array<vec4<f32>>;

// A number for each of 16 prototypes: a quarter of the largest row.
struct Part {
    v0: vec4<f32>, v1: vec4<f32>, v2: vec4<f32>, v3: vec4<f32>,
}

// A number for each prototype. Above K = 16 there is a second part, above 32 the other two.
struct Row {
    a: Part, b: Part, c: Part, d: Part,
}

// E of 16 prototypes (columns) at four positions (rows).
struct Exps {
    e0: mat4x4<f32>, e1: mat4x4<f32>, e2: mat4x4<f32>, e3: mat4x4<f32>,
}

// E of all prototypes at four positions.
struct ExpRow {
    a: Exps, b: Exps, c: Exps, d: Exps,
}

// What a workgroup works on.
struct Share {
    class_index: u32,
    segment: u32,
    // Positions of the class in `order`, and this lane's first block, as the multiple of 4 where it begins.
    begin: u32,
    end: u32,
    start: u32,
}

fn share(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> Share {
    let linear = group.x + group.y * groups.x;
    // Every processor gets one stretch of the workgroups: the segments of a large class must not lie side by side.
    let shares = params.num_classes + 1u;
    let class_index = linear % shares;
    let segment = linear / shares;
    let begin = offsets[class_index];
    let next_begin = offsets[min(class_index + 1u, params.num_classes)];
    let class_end = select(params.num_pixels, next_begin, class_index < params.num_classes);
    // The grid may be larger than asked for.
    let end = select(begin, class_end, segment < params.segments);
    return Share(class_index, segment, begin, end, (begin & ~3u) + 32u * segment + 4u * lane);
}

// vec4s per row of own and q.
fn quads() -> u32 {
    return (row_count + 3u) / 4u;
}

// Whether the second part holds anything. What depends on it is left out by hand: no compiler has to know that 0 x + y is y.
fn wide() -> bool {
    return row_count > 16u;
}

// The same of the third and fourth.
fn wider() -> bool {
    return row_count > 32u;
}

// Which of four positions are the class's.
fn inside(work: Share, i: u32) -> vec4<bool> {
    let at = vec4<u32>(i) + vec4<u32>(0u, 1u, 2u, 3u);
    return (at >= vec4<u32>(work.begin)) & (at < vec4<u32>(work.end));
}

// Where the block at position i lies in exps.
fn block(work: Share, i: u32) -> u32 {
    return (i / 4u + work.class_index) * row_count;
}

// The same sum in every lane, added in the same order each time.
fn over_lanes(v: vec4<f32>) -> vec4<f32> {
    let pairs = v + subgroupShuffleXor(v, 4u);
    let fours = pairs + subgroupShuffleXor(pairs, 2u);
    return fours + subgroupShuffleXor(fours, 1u);
}

// sum_n E[n,k] cn_n of four prototypes over the whole class: each lane adds every eighth segment's.
fn row_sum(class_index: u32, lane: u32, quad: u32) -> vec4<f32> {
    if (quad >= quads()) {
        return vec4<f32>(0.0);
    }
    var sum = vec4<f32>(0.0);
    for (var s = lane; s < params.segments; s += 8u) {
        sum += last[(class_index * params.segments + s) * quads() + quad];
    }
    return over_lanes(sum);
}

// r of four prototypes.
fn factor(mass: f32, sum: vec4<f32>, quad: u32, protos: u32) -> vec4<f32> {
    // Not a product with the mask: 0 / 0 must not come through.
    return masked(row_factor(mass, sum, params.exponent), quad, protos);
}

// Sums of the four vec4s from `first` on; of those that are not there they are constant zeros.
fn sum_part(class_index: u32, lane: u32, first: u32) -> Part {
    return Part(
        row_sum(class_index, lane, first), row_sum(class_index, lane, first + 1u),
        row_sum(class_index, lane, first + 2u), row_sum(class_index, lane, first + 3u),
    );
}

// r of 16 prototypes. Lanes past K hold 0, whatever the quotient is there.
// A class without a pixel, and the ignored ones, have `protos` 0: all of their factors are then 0.
fn factor_part(mass: f32, sums: Part, first: u32, protos: u32) -> Part {
    return Part(
        factor(mass, sums.v0, first, protos), factor(mass, sums.v1, first + 1u, protos),
        factor(mass, sums.v2, first + 2u, protos), factor(mass, sums.v3, first + 3u, protos),
    );
}

// In pairs, for every K in the same order: the bits up to K = 16 do not know of the other parts.
fn added_up(x: Part) -> vec4<f32> {
    return (x.v0 + x.v1) + (x.v2 + x.v3);
}

// The row step: r from the last sums.
fn row_step(work: Share, lane: u32) -> Row {
    // Class C has no sums; what another class's give is masked.
    let c = min(work.class_index, params.num_classes - 1u);
    var sums = Row(sum_part(c, lane, 0u), Part(), Part(), Part());
    if (wide()) {
        sums.b = sum_part(c, lane, 4u);
    }
    if (wider()) {
        sums.c = sum_part(c, lane, 8u); sums.d = sum_part(c, lane, 12u);
    }
    let count = f32(work.end - work.begin);
    let wanted = work.class_index < params.num_classes && work.end > work.begin;
    let protos = select(0u, params.num_protos, wanted);
    // Mass of each prototype, N_c / K pixels.
    var mass = count / f32(params.num_protos);
    if (params.rounds == 0u) {
        // Q = N_c E / sum(E): one factor for all k.
        var sum = added_up(sums.a);
        if (wide()) {
            sum += added_up(sums.b);
        }
        if (wider()) {
            sum += added_up(sums.c) + added_up(sums.d);
        }
        let all = vec4<f32>(total(sum));
        let part = Part(all, all, all, all);
        sums = Row(part, part, part, part);
        mass = count;
    }
    var f = Row(factor_part(mass, sums.a, 0u, protos), Part(), Part(), Part());
    if (wide()) {
        f.b = factor_part(mass, sums.b, 4u, protos);
    }
    if (wider()) {
        f.c = factor_part(mass, sums.c, 8u, protos); f.d = factor_part(mass, sums.d, 12u, protos);
    }
    return f;
}

// vec4 number `lane` of four.
// Chosen by comparisons: an index would go through memory.
fn of_four(x: Part, lane: u32) -> vec4<f32> {
    return select(select(x.v0, x.v1, lane == 1u), select(x.v2, x.v3, lane == 3u), lane >= 2u);
}

// vec4 number `lane` of the first eight: one store for what the lanes write.
fn of_lane(x: Row, lane: u32) -> vec4<f32> {
    if (wide() && lane >= 4u) {
        return of_four(x.b, lane - 4u);
    }
    return of_four(x.a, lane);
}

// vec4 number `lane` of the last eight.
fn of_lane_above(x: Row, lane: u32) -> vec4<f32> {
    if (lane >= 4u) {
        return of_four(x.d, lane - 4u);
    }
    return of_four(x.c, lane);
}

// Sums of 16 prototypes over the lanes.
fn part_over_lanes(x: Part) -> Part {
    return Part(over_lanes(x.v0), over_lanes(x.v1), over_lanes(x.v2), over_lanes(x.v3));
}

// The lanes write one vec4 each, so a row of more than eight takes two stores. Both are decided by pipeline constants first: a
// branch that no row needs costs a mask per lane here.
fn store_sums(work: Share, lane: u32, sums: Row) {
    var all = Row(part_over_lanes(sums.a), Part(), Part(), Part());
    if (wide()) {
        all.b = part_over_lanes(sums.b);
    }
    if (wider()) {
        all.c = part_over_lanes(sums.c); all.d = part_over_lanes(sums.d);
    }
    let mine = work.class_index < params.num_classes && work.segment < params.segments;
    let at = (work.class_index * params.segments + work.segment) * quads() + lane;
    if (mine && lane < quads()) {
        next[at] = of_lane(all, lane);
    }
    if (wider()) {
        if (mine && lane + 8u < quads()) {
            next[at + 8u] = of_lane_above(all, lane);
        }
    }
}

// Stores E of one prototype at four positions, 0 where the pixel is another class's; gives the sum.
fn fill_row(at: u32, row: u32, s: vec4<f32>, mine: vec4<bool>) -> f32 {
    if (row >= row_count) {
        return 0.0;
    }
    // E = exp((S - 1) / kappa).
    let e = select(vec4<f32>(0.0), exp((s - vec4<f32>(1.0)) * params.inv_kappa), mine);
    exps[at + row] = e;
    return total(e);
}

// The same of four prototypes: four pixels' vec4s, turned so that each prototype's four positions lie together.
fn fill(at: u32, quad: u32, pixels: vec4<u32>, mine: vec4<bool>) -> vec4<f32> {
    if (quad >= quads()) {
        return vec4<f32>(0.0);
    }
    let s0 = own[pixels.x * quads() + quad]; let s1 = own[pixels.y * quads() + quad];
    let s2 = own[pixels.z * quads() + quad]; let s3 = own[pixels.w * quads() + quad];
    return vec4<f32>(
        fill_row(at, 4u * quad, vec4<f32>(s0.x, s1.x, s2.x, s3.x), mine),
        fill_row(at, 4u * quad + 1u, vec4<f32>(s0.y, s1.y, s2.y, s3.y), mine),
        fill_row(at, 4u * quad + 2u, vec4<f32>(s0.z, s1.z, s2.z, s3.z), mine),
        fill_row(at, 4u * quad + 3u, vec4<f32>(s0.w, s1.w, s2.w, s3.w), mine),
    );
}

// E of one prototype at four positions; a constant 0 past K.
fn load_exps(at: u32, row: u32) -> vec4<f32> {
    if (row >= row_count) {
        return vec4<f32>(0.0);
    }
    return exps[at + row];
}

// E of four prototypes (columns) at four positions (rows).
fn stored(at: u32, quad: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        load_exps(at, 4u * quad), load_exps(at, 4u * quad + 1u),
        load_exps(at, 4u * quad + 2u), load_exps(at, 4u * quad + 3u),
    );
}

// Reads 16 prototypes at four positions, zeros past K.
// The rows of a block lie side by side in exps, one vec4 for each prototype.
fn stored_part(at: u32, first: u32) -> Exps {
    return Exps(stored(at, first), stored(at, first + 1u), stored(at, first + 2u), stored(at, first + 3u));
}

// Reads all prototypes at four positions. Parts that are not there stay constant zeros and cost no load.
fn stored_row(at: u32) -> ExpRow {
    var e = ExpRow(stored_part(at, 0u), Exps(), Exps(), Exps());
    if (wide()) {
        e.b = stored_part(at, 4u);
    }
    if (wider()) {
        e.c = stored_part(at, 8u); e.d = stored_part(at, 12u);
    }
    return e;
}

// What a part gives to sum_k r_k E[n,k], added in pairs as in added_up.
fn mass_part(e: Exps, f: Part) -> vec4<f32> {
    return (e.e0 * f.v0 + e.e1 * f.v1) + (e.e2 * f.v2 + e.e3 * f.v3);
}

// sum_k r_k E[n,k] of four positions. Third and fourth part are added to each other first, so that K up to 32 keeps its bits.
fn mass_of(e: ExpRow, f: Row) -> vec4<f32> {
    var mass = mass_part(e.a, f.a);
    if (wide()) {
        mass += mass_part(e.b, f.b);
    }
    if (wider()) {
        mass += mass_part(e.c, f.c) + mass_part(e.d, f.d);
    }
    return mass;
}

// sum_n E[n,k] cn_n, four positions more: one product of a vector and a matrix per vec4.
fn added(sums: Part, columns: vec4<f32>, e: Exps) -> Part {
    return Part(
        sums.v0 + columns * e.e0, sums.v1 + columns * e.e1,
        sums.v2 + columns * e.e2, sums.v3 + columns * e.e3,
    );
}

// Stores E of 16 prototypes at four positions and adds its row sums.
fn filled(sums: Part, at: u32, first: u32, pixels: vec4<u32>, mine: vec4<bool>) -> Part {
    return Part(
        sums.v0 + fill(at, first, pixels, mine), sums.v1 + fill(at, first + 1u, pixels, mine),
        sums.v2 + fill(at, first + 2u, pixels, mine), sums.v3 + fill(at, first + 3u, pixels, mine),
    );
}

// E, and its row sums: cn = 1.
@compute @workgroup_size(8)
fn sinkhorn_first(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let work = share(group, groups, lane);
    var sums = Row();
    for (var i = work.start; i < work.end; i += 32u * params.segments) {
        let pixels = order[i / 4u];
        let mine = inside(work, i);
        let at = block(work, i);
        sums.a = filled(sums.a, at, 0u, pixels, mine);
        if (wide()) {
            sums.b = filled(sums.b, at, 4u, pixels, mine);
        }
        if (wider()) {
            sums.c = filled(sums.c, at, 8u, pixels, mine);
            sums.d = filled(sums.d, at, 12u, pixels, mine);
        }
    }
    store_sums(work, lane, sums);
}

// Row step from the last sums, then column step and next sums in one walk.
@compute @workgroup_size(8)
fn sinkhorn_round(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let work = share(group, groups, lane);
    let f = row_step(work, lane);
    var sums = Row();
    for (var i = work.start; i < work.end; i += 32u * params.segments) {
        let e = stored_row(block(work, i));
        // cn = 1 / sum_k r_k E[n,k], and at once its share of the next sum_n E[n,k] cn_n.
        let columns = select(vec4<f32>(0.0), 1.0 / mass_of(e, f), inside(work, i));
        sums.a = added(sums.a, columns, e.a);
        if (wide()) {
            sums.b = added(sums.b, columns, e.b);
        }
        if (wider()) {
            sums.c = added(sums.c, columns, e.c);
            sums.d = added(sums.d, columns, e.d);
        }
    }
    store_sums(work, lane, sums);
}

// One vec4 of a pixel's row of Q, if the row is that long.
fn store_quad(pixel: u32, quad: u32, value: vec4<f32>) {
    if (quad < quads()) {
        q[pixel * quads() + quad] = value;
    }
}

// Q of 16 prototypes at one position: f E cn, if the position is the class's.
fn store_part(mine: bool, pixel: u32, first: u32, f: Part, e: Part, column: f32) {
    if (mine) {
        store_quad(pixel, first, f.v0 * e.v0 * column); store_quad(pixel, first + 1u, f.v1 * e.v1 * column);
        store_quad(pixel, first + 2u, f.v2 * e.v2 * column); store_quad(pixel, first + 3u, f.v3 * e.v3 * column);
    }
}

// Q of 16 prototypes at four positions.
fn store_four(mine: vec4<bool>, pixels: vec4<u32>, first: u32, f: Part, e: Exps, columns: vec4<f32>) {
    // A column for each position.
    let t0 = transpose(e.e0); let t1 = transpose(e.e1); let t2 = transpose(e.e2); let t3 = transpose(e.e3);
    // Unrolled: an inner loop would count against the 65,535 iterations that Mesa 22 allows an invocation in all.
    store_part(mine.x, pixels.x, first, f, Part(t0[0], t1[0], t2[0], t3[0]), columns.x);
    store_part(mine.y, pixels.y, first, f, Part(t0[1], t1[1], t2[1], t3[1]), columns.y);
    store_part(mine.z, pixels.z, first, f, Part(t0[2], t1[2], t2[2], t3[2]), columns.z);
    store_part(mine.w, pixels.w, first, f, Part(t0[3], t1[3], t2[3], t3[3]), columns.w);
}

// The largest of 16 factors.
fn largest_of_part(x: Part) -> f32 {
    let most = max(max(x.v0, x.v1), max(x.v2, x.v3));
    return max(max(most.x, most.y), max(most.z, most.w));
}

// Factors are not negative: parts that are not there, all 0, do not count.
fn largest(x: Row) -> f32 {
    return max(max(largest_of_part(x.a), largest_of_part(x.b)), max(largest_of_part(x.c), largest_of_part(x.d)));
}

// Last row step, last column step, Q; rows of ignored pixels are zero because their factors are.
@compute @workgroup_size(8)
fn sinkhorn_finish(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let work = share(group, groups, lane);
    let f = row_step(work, lane);
    // Without rounds columns are not normalised; ignored pixels have sum 0, and 0 / 0 must not arise.
    let plain = params.rounds == 0u || work.class_index >= params.num_classes;
    for (var i = work.start; i < work.end; i += 32u * params.segments) {
        let pixels = order[i / 4u];
        let mine = inside(work, i);
        let e = stored_row(block(work, i));
        // Every pixel of a class has mass 1 after this, whatever the row step left.
        let columns = 1.0 / select(mass_of(e, f), vec4<f32>(1.0), plain);
        store_four(mine, pixels, 0u, f.a, e.a, columns);
        if (wide()) {
            store_four(mine, pixels, 4u, f.b, e.b, columns);
        }
        if (wider()) {
            store_four(mine, pixels, 8u, f.c, e.c, columns);
            store_four(mine, pixels, 12u, f.d, e.d, columns);
        }
    }
    // r is defined up to a factor per class: the largest is written as 1.
    if (work.segment == 0u && lane < quads() && work.class_index < params.num_classes) {
        let top = select(1.0, largest(f), work.end > work.begin);
        r[work.class_index * quads() + lane] = of_lane(f, lane) / top;
        if (wider()) {
            if (lane + 8u < quads()) {
                r[work.class_index * quads() + lane + 8u] = of_lane_above(f, lane) / top;
            }
        }
    }
}
