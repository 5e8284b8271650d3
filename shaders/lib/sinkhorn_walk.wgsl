// What the variants of Sinkhorn-Knopp without subgroups share: the walk over a class's pixels, a row of K numbers in registers,
// and the entry points. The includer declares
//   GROUP       invocations of a workgroup
//   row_sum     sum_n E[n,k] cn_n of four prototypes over the whole class, for the lanes below num_quads
//   row_step    what goes before row_factors, and that
//   store_sums  the workgroup's sum of a row per invocation, to `next`
//!include lib/lanes.wgsl
//!include lib/sinkhorn.wgsl
//!include lib/total.wgsl

// vec4s per row: a pipeline constant, so that the unused ones vanish from the loops.
override num_quads: u32 = 16u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> own: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> offsets: array<u32>;
@group(0) @binding(4) var<storage, read> last: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> next: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> q: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> r: array<vec4<f32>>;

// r of this workgroup's class, K <= 64; and what its invocations add up.
var<workgroup> factors: array<vec4<f32>, 16>;
var<workgroup> lanes: array<vec4<f32>, 256>;

// Numbers of 16 prototypes: a quarter of the largest row.
struct Part {
    v0: vec4<f32>, v1: vec4<f32>, v2: vec4<f32>, v3: vec4<f32>,
}

// A number for each prototype. Above K = 16 there is a second part, above 32 the other two.
struct Row {
    a: Part, b: Part, c: Part, d: Part,
}

// What a workgroup works on.
struct Share {
    class_index: u32,
    segment: u32,
    // Pixels of the class, and the positions of `order` that this workgroup's invocations start from and stop at.
    count: u32,
    start: u32,
    end: u32,
}

// Class C stands for the ignored pixels; groups beyond it have no pixel.
fn share(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> Share {
    let linear = group.x + group.y * groups.x;
    let class_index = linear / params.segments;
    let begin = offsets[min(class_index, params.num_classes)];
    var end = params.num_pixels;
    if (class_index < params.num_classes) {
        end = offsets[class_index + 1u];
    } else if (class_index > params.num_classes) {
        end = begin;
    }
    // Segments interleave in steps of GROUP positions, so each gets its share of a class of any size.
    let segment = linear % params.segments;
    return Share(class_index, segment, end - begin, begin + segment * GROUP + lane, end);
}

// E of one pixel and four prototypes; a constant 0 past the row's end, which is what lets the compiler drop the rest of a
// part that is not full.
fn exponential(pixel: u32, quad: u32) -> vec4<f32> {
    if (quad >= num_quads) {
        return vec4<f32>(0.0);
    }
    // E = exp((S - 1) / kappa). The mask also stops padding: exp((0 - 1) / kappa) is not 0.
    let s = own[pixel * num_quads + quad];
    return lane_mask(quad, params.num_protos) * exp((s - vec4<f32>(1.0)) * params.inv_kappa);
}

// The row step's end: lane i < num_quads leaves vec4 number i of r in `factors`. Ends with a barrier.
fn row_factors(work: Share, lane: u32) {
    if (lane < num_quads) {
        var factor = vec4<f32>(0.0);
        if (work.class_index < params.num_classes && work.count > 0u) {
            let mask = lane_mask(lane, params.num_protos);
            // Q = N_c E / sum(E): one factor for all k.
            if (params.rounds == 0u) {
                var all = vec4<f32>(0.0);
                for (var quad = 0u; quad < num_quads; quad++) {
                    all += row_sum(work.class_index, quad);
                }
                factor = mask * f32(work.count) / total(all);
            } else {
                // Mass of each prototype, N_c / K pixels.
                let wanted = f32(work.count) / f32(params.num_protos);
                // Padding lanes have an empty sum; a division by it must not reach the product.
                let sums = select(vec4<f32>(1.0), row_sum(work.class_index, lane), mask > vec4<f32>(0.0));
                factor = row_factor(wanted, sums, params.exponent) * mask;
            }
        }
        factors[lane] = factor;
    }
    workgroupBarrier();
}

// r of four prototypes, for every invocation of the workgroup.
fn factor(quad: u32) -> vec4<f32> {
    if (quad >= num_quads) {
        return vec4<f32>(0.0);
    }
    // The guard makes the unused vec4s constants: num_quads is known when the pipeline is built.
    return factors[quad];
}

// The four vec4s of r from `first` on.
fn factor_part(first: u32) -> Part {
    return Part(factor(first), factor(first + 1u), factor(first + 2u), factor(first + 3u));
}

// The four vec4s of E from `first` on.
fn exponential_part(pixel: u32, first: u32) -> Part {
    return Part(
        exponential(pixel, first), exponential(pixel, first + 1u),
        exponential(pixel, first + 2u), exponential(pixel, first + 3u),
    );
}

// Whether the second part holds anything. What depends on it is left out by hand: no compiler has to know that 0 x + y is y.
fn wide() -> bool {
    return num_quads > 4u;
}

// The same of the third and fourth.
fn wider() -> bool {
    return num_quads > 8u;
}

// r of the class: read from workgroup memory once and held in registers for the whole walk. Up to 64 of the numbers that a
// walk holds are these, up to 64 its sums, and up to 64 the pixel's E: more prototypes would spill on many GPUs.
fn factor_row() -> Row {
    var r = Row(factor_part(0u), Part(), Part(), Part());
    if (wide()) {
        r.b = factor_part(4u);
    }
    if (wider()) {
        r.c = factor_part(8u); r.d = factor_part(12u);
    }
    return r;
}

// E of all prototypes of the pixel's class. It is taken anew in each dispatch: an exp costs less than the memory that would
// hold it.
fn exponential_row(pixel: u32) -> Row {
    var e = Row(exponential_part(pixel, 0u), Part(), Part(), Part());
    if (wide()) {
        e.b = exponential_part(pixel, 4u);
    }
    if (wider()) {
        e.c = exponential_part(pixel, 8u); e.d = exponential_part(pixel, 12u);
    }
    return e;
}

// r_k E[n,k] of 16 prototypes.
fn scaled_part(e: Part, r: Part) -> Part {
    return Part(r.v0 * e.v0, r.v1 * e.v1, r.v2 * e.v2, r.v3 * e.v3);
}

// r_k E[n,k] of all prototypes: what the columns are normalised by, and before that the result itself.
fn scaled(e: Row, r: Row) -> Row {
    var x = Row(scaled_part(e.a, r.a), Part(), Part(), Part());
    if (wide()) {
        x.b = scaled_part(e.b, r.b);
    }
    if (wider()) {
        x.c = scaled_part(e.c, r.c); x.d = scaled_part(e.d, r.d);
    }
    return x;
}

// In pairs, for every K in the same order: the bits up to K = 16 do not know of the other parts.
fn sum_part(x: Part) -> vec4<f32> {
    return (x.v0 + x.v1) + (x.v2 + x.v3);
}

// Third and fourth part are added to each other first, so that K up to 32 keeps its bits.
fn sum_row(x: Row) -> f32 {
    var sum = sum_part(x.a);
    if (wide()) {
        sum += sum_part(x.b);
    }
    if (wider()) {
        sum += sum_part(x.c) + sum_part(x.d);
    }
    return total(sum);
}

// One pixel more in the sums of 16 prototypes.
fn added_part(sums: Part, e: Part, column: f32) -> Part {
    return Part(sums.v0 + e.v0 * column, sums.v1 + e.v1 * column, sums.v2 + e.v2 * column, sums.v3 + e.v3 * column);
}

// sum_n E[n,k] cn_n, one pixel more.
fn added(sums: Row, e: Row, column: f32) -> Row {
    var x = Row(added_part(sums.a, e.a, column), Part(), Part(), Part());
    if (wide()) {
        x.b = added_part(sums.b, e.b, column);
    }
    if (wider()) {
        x.c = added_part(sums.c, e.c, column); x.d = added_part(sums.d, e.d, column);
    }
    return x;
}

// Row sums of E alone: cn = 1.
@compute @workgroup_size(GROUP)
fn sinkhorn_first(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let work = share(group, groups, lane);
    var sums = Row();
    // Neighbouring invocations take neighbouring positions; pixels of a class lie together in `order`.
    for (var i = work.start; i < work.end; i += GROUP * params.segments) {
        // The column factor is 1 before the first round.
        sums = added(sums, exponential_row(order[i]), 1.0);
    }
    store_sums(work, lane, sums);
}

// Row step from the last sums, then column step and next sums in one walk.
@compute @workgroup_size(GROUP)
fn sinkhorn_round(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let work = share(group, groups, lane);
    row_step(work, lane);
    let factors_of_class = factor_row();
    var sums = Row();
    for (var i = work.start; i < work.end; i += GROUP * params.segments) {
        let e = exponential_row(order[i]);
        // cn = 1 / sum_k r_k E[n,k], and at once its share of the next sum_n E[n,k] cn_n.
        sums = added(sums, e, 1.0 / sum_row(scaled(e, factors_of_class)));
    }
    store_sums(work, lane, sums);
}

// One vec4 of a pixel's row of Q, if the row is that long.
fn store_quad(pixel: u32, quad: u32, value: vec4<f32>) {
    if (quad < num_quads) {
        q[pixel * num_quads + quad] = value;
    }
}

// Four of them, times the pixel's column factor.
fn store_part_of_q(pixel: u32, first: u32, x: Part, column: f32) {
    store_quad(pixel, first, x.v0 * column); store_quad(pixel, first + 1u, x.v1 * column);
    store_quad(pixel, first + 2u, x.v2 * column); store_quad(pixel, first + 3u, x.v3 * column);
}

// The whole row.
fn store_row(pixel: u32, x: Row, column: f32) {
    store_part_of_q(pixel, 0u, x.a, column);
    if (wide()) {
        store_part_of_q(pixel, 4u, x.b, column);
    }
    if (wider()) {
        store_part_of_q(pixel, 8u, x.c, column); store_part_of_q(pixel, 12u, x.d, column);
    }
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
@compute @workgroup_size(GROUP)
fn sinkhorn_finish(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let work = share(group, groups, lane);
    row_step(work, lane);
    let factors_of_class = factor_row();
    // Without rounds columns are not normalised; ignored pixels have sum 0, and 0 / 0 must not arise.
    let plain = params.rounds == 0u || work.class_index >= params.num_classes;
    for (var i = work.start; i < work.end; i += GROUP * params.segments) {
        let pixel = order[i];
        let x = scaled(exponential_row(pixel), factors_of_class);
        // Every pixel of a class has mass 1 after this, whatever the row step left.
        store_row(pixel, x, 1.0 / select(sum_row(x), 1.0, plain));
    }
    // r is defined up to a factor per class: the largest is written as 1.
    if (work.segment == 0u && lane < num_quads && work.class_index < params.num_classes) {
        let top = largest(factors_of_class);
        r[work.class_index * num_quads + lane] = factors[lane] / select(top, 1.0, work.count == 0u);
    }
}
