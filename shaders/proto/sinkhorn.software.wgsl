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
//!include lib/lanes.wgsl
//!include lib/sinkhorn.wgsl
//!include lib/total.wgsl

// K, at most 32: a pipeline constant, so that the prototypes that are not there vanish from the loops.
override row_count: u32 = 32u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> own: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> order: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> offsets: array<u32>;
@group(0) @binding(4) var<storage, read> last: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> next: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> exps: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> q: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> r: array<vec4<f32>>;

// A number for each of 16 prototypes: half of the largest row.
struct Half {
    v0: vec4<f32>, v1: vec4<f32>, v2: vec4<f32>, v3: vec4<f32>,
}

// A number for each prototype. Above K = 16 there is a second half.
struct Rows {
    low: Half, high: Half,
}

// E of 16 prototypes (columns) at four positions (rows).
struct Exps {
    e0: mat4x4<f32>, e1: mat4x4<f32>, e2: mat4x4<f32>, e3: mat4x4<f32>,
}

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

fn quads() -> u32 {
    return (row_count + 3u) / 4u;
}

// Whether the upper halves hold anything. What depends on it is left out by hand: no compiler has to know that 0 x + y is y.
fn wide() -> bool {
    return row_count > 16u;
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

fn factor(mass: f32, sum: vec4<f32>, quad: u32, protos: u32) -> vec4<f32> {
    // Not a product with the mask: 0 / 0 must not come through.
    return masked(row_factor(mass, sum, params.exponent), quad, protos);
}

// Sums of the four vec4s from `first` on; of those that are not there they are constant zeros.
fn sum_half(class_index: u32, lane: u32, first: u32) -> Half {
    return Half(
        row_sum(class_index, lane, first), row_sum(class_index, lane, first + 1u),
        row_sum(class_index, lane, first + 2u), row_sum(class_index, lane, first + 3u),
    );
}

// r of 16 prototypes. Lanes past K hold 0, whatever the quotient is there.
fn factor_half(mass: f32, sums: Half, first: u32, protos: u32) -> Half {
    return Half(
        factor(mass, sums.v0, first, protos), factor(mass, sums.v1, first + 1u, protos),
        factor(mass, sums.v2, first + 2u, protos), factor(mass, sums.v3, first + 3u, protos),
    );
}

// In pairs, for every K in the same order: the bits up to K = 16 do not know of the upper half.
fn added_up(x: Half) -> vec4<f32> {
    return (x.v0 + x.v1) + (x.v2 + x.v3);
}

// The row step: r from the last sums.
fn row_step(work: Share, lane: u32) -> Rows {
    // Class C has no sums; what another class's give is masked.
    let c = min(work.class_index, params.num_classes - 1u);
    var low = sum_half(c, lane, 0u); var high = sum_half(c, lane, 4u);
    let count = f32(work.end - work.begin);
    let wanted = work.class_index < params.num_classes && work.end > work.begin;
    let protos = select(0u, params.num_protos, wanted);
    // Mass of each prototype, N_c / K pixels.
    var mass = count / f32(params.num_protos);
    if (params.rounds == 0u) {
        // Q = N_c E / sum(E): one factor for all k.
        var sum = added_up(low);
        if (wide()) {
            sum += added_up(high);
        }
        let all = vec4<f32>(total(sum));
        low = Half(all, all, all, all);
        high = low;
        mass = count;
    }
    var f = Rows(factor_half(mass, low, 0u, protos), Half());
    if (wide()) {
        f.high = factor_half(mass, high, 4u, protos);
    }
    return f;
}

// vec4 number `lane` of four.
fn of_four(x: Half, lane: u32) -> vec4<f32> {
    return select(select(x.v0, x.v1, lane == 1u), select(x.v2, x.v3, lane == 3u), lane >= 2u);
}

// vec4 number `lane` of eight: one store for what the lanes write.
fn of_lane(rows: Rows, lane: u32) -> vec4<f32> {
    if (wide() && lane >= 4u) {
        return of_four(rows.high, lane - 4u);
    }
    return of_four(rows.low, lane);
}

fn half_over_lanes(x: Half) -> Half {
    return Half(over_lanes(x.v0), over_lanes(x.v1), over_lanes(x.v2), over_lanes(x.v3));
}

fn store_sums(work: Share, lane: u32, sums: Rows) {
    var all = Rows(half_over_lanes(sums.low), Half());
    if (wide()) {
        all.high = half_over_lanes(sums.high);
    }
    if (lane < quads() && work.class_index < params.num_classes && work.segment < params.segments) {
        next[(work.class_index * params.segments + work.segment) * quads() + lane] = of_lane(all, lane);
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
fn stored_half(at: u32, first: u32) -> Exps {
    return Exps(stored(at, first), stored(at, first + 1u), stored(at, first + 2u), stored(at, first + 3u));
}

// A half's part of sum_k r_k E[n,k], added in pairs as in added_up.
fn mass_half(e: Exps, f: Half) -> vec4<f32> {
    return (e.e0 * f.v0 + e.e1 * f.v1) + (e.e2 * f.v2 + e.e3 * f.v3);
}

// sum_k r_k E[n,k] of four positions.
fn mass_of(low: Exps, high: Exps, f: Rows) -> vec4<f32> {
    var mass = mass_half(low, f.low);
    if (wide()) {
        mass += mass_half(high, f.high);
    }
    return mass;
}

// sum_n E[n,k] cn_n, four positions more: one product of a vector and a matrix per vec4.
fn added(sums: Half, columns: vec4<f32>, e: Exps) -> Half {
    return Half(
        sums.v0 + columns * e.e0, sums.v1 + columns * e.e1,
        sums.v2 + columns * e.e2, sums.v3 + columns * e.e3,
    );
}

// Stores E of 16 prototypes at four positions and adds its row sums.
fn filled(sums: Half, at: u32, first: u32, pixels: vec4<u32>, mine: vec4<bool>) -> Half {
    return Half(
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
    var sums = Rows();
    for (var i = work.start; i < work.end; i += 32u * params.segments) {
        let pixels = order[i / 4u];
        let mine = inside(work, i);
        let at = block(work, i);
        sums.low = filled(sums.low, at, 0u, pixels, mine);
        if (wide()) {
            sums.high = filled(sums.high, at, 4u, pixels, mine);
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
    var sums = Rows();
    for (var i = work.start; i < work.end; i += 32u * params.segments) {
        let at = block(work, i);
        let low = stored_half(at, 0u); let high = stored_half(at, 4u);
        // cn = 1 / sum_k r_k E[n,k], and at once its share of the next sum_n E[n,k] cn_n.
        let columns = select(vec4<f32>(0.0), 1.0 / mass_of(low, high, f), inside(work, i));
        sums.low = added(sums.low, columns, low);
        if (wide()) {
            sums.high = added(sums.high, columns, high);
        }
    }
    store_sums(work, lane, sums);
}

fn store_quad(pixel: u32, quad: u32, value: vec4<f32>) {
    if (quad < quads()) {
        q[pixel * quads() + quad] = value;
    }
}

// Q of 16 prototypes at one position: f E cn, if the position is the class's.
fn store_row(mine: bool, pixel: u32, first: u32, f: Half, e: Half, column: f32) {
    if (mine) {
        store_quad(pixel, first, f.v0 * e.v0 * column); store_quad(pixel, first + 1u, f.v1 * e.v1 * column);
        store_quad(pixel, first + 2u, f.v2 * e.v2 * column); store_quad(pixel, first + 3u, f.v3 * e.v3 * column);
    }
}

// Q of 16 prototypes at four positions.
fn store_four(mine: vec4<bool>, pixels: vec4<u32>, first: u32, f: Half, e: Exps, columns: vec4<f32>) {
    // A column for each position.
    let t0 = transpose(e.e0); let t1 = transpose(e.e1); let t2 = transpose(e.e2); let t3 = transpose(e.e3);
    // Unrolled: an inner loop would count against the 65,535 iterations that Mesa 22 allows an invocation in all.
    store_row(mine.x, pixels.x, first, f, Half(t0[0], t1[0], t2[0], t3[0]), columns.x);
    store_row(mine.y, pixels.y, first, f, Half(t0[1], t1[1], t2[1], t3[1]), columns.y);
    store_row(mine.z, pixels.z, first, f, Half(t0[2], t1[2], t2[2], t3[2]), columns.z);
    store_row(mine.w, pixels.w, first, f, Half(t0[3], t1[3], t2[3], t3[3]), columns.w);
}

fn largest(x: Half) -> f32 {
    let most = max(max(x.v0, x.v1), max(x.v2, x.v3));
    return max(max(most.x, most.y), max(most.z, most.w));
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
        let at = block(work, i);
        let low = stored_half(at, 0u); let high = stored_half(at, 4u);
        let columns = 1.0 / select(mass_of(low, high, f), vec4<f32>(1.0), plain);
        store_four(mine, pixels, 0u, f.low, low, columns);
        if (wide()) {
            store_four(mine, pixels, 4u, f.high, high, columns);
        }
    }
    // r is defined up to a factor per class: the largest is written as 1.
    if (work.segment == 0u && lane < quads() && work.class_index < params.num_classes) {
        let top = max(largest(f.low), largest(f.high));
        r[work.class_index * quads() + lane] = of_lane(f, lane) / select(1.0, top, work.end > work.begin);
    }
}
