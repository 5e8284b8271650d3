// Within-class Sinkhorn-Knopp of all classes at once, without storing the matrix. With E = exp((S - 1)/kappa), N_c the
// class's pixel count and cn = 1 at first, one round is
//   rows:     r_k  = ((N_c / K) / sum_n E[n,k] cn_n)^p    each prototype has mass N_c/K if p = 1
//   columns:  cn_n = 1 / sum_k r_k E[n,k]                 each pixel has mass 1
// and the result Q[n,k] = r_k E[n,k] cn_n. Rows first: the order is normative. After 0 rounds Q = N_c E / sum(E).
// With p < 1 those masses are only drawn to N_c/K (src/ops/balance.rs derives it).
// E is taken at S - 1 so that it never exceeds 1; a constant factor cancels.
//
// A round is one dispatch over all classes. Workgroup (class, segment) first folds the last round's partial row sums of its class into
// r (a few vec4s), then walks its share of the class's pixels through `order`, doing the column step and the next
// partial row sums in one pass. So a class with most of the pixels is spread over `segments` workgroups, and no float is
// added by two invocations in an order left to chance. A last dispatch writes Q and r.
//
// Layout: own and q are [N] rows of `num_quads` vec4s (K <= 64), zero in the padding; partial sums are
// [C, segments, num_quads]. Padding lanes of E are masked, since exp gives no zero there.
// Workgroup: 64 invocations, neighbouring positions of `order`. Two barriers per workgroup, four above K = 16, eight above 32. Iterations per
// invocation: at most N / (64 * segments) with segments >= 2, so 31,250 for N = 4 million in one class, plus `segments` and 128.
//
// A row of K numbers is four parts of 16: the first always, the second above K = 16, the other two above 32. A dynamic index
// into an array of registers would push it into memory on most GPUs, so the parts are named and which of them there are is
// decided when the pipeline is built. K = 64 is as far as that goes: the paper's largest ablation has 50.
//!include lib/sinkhorn_walk.wgsl

const GROUP = 64u;

// sum_n E[n,k] cn_n of four prototypes over the whole class, from what its workgroups left.
fn row_sum(class_index: u32, quad: u32) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    for (var s = 0u; s < params.segments; s++) {
        // In the order of the segments: every workgroup of the class gets the same bits.
        sum += last[(class_index * params.segments + s) * num_quads + quad];
    }
    return sum;
}

// Without a barrier before: every lane reads what it needs from memory.
fn row_step(work: Share, lane: u32) {
    row_factors(work, lane);
}

// Sums of the 64 invocations, added in the order of the lanes: four vec4s of each, again where a row has more than four. Twice
// the memory would halve the workgroups that a processor holds, for every K.
fn store_part(work: Share, lane: u32, first: u32, sums: Part) {
    // One stretch of 64 for each vec4, so that each of the first lanes then reads its own stretch.
    lanes[lane] = sums.v0;
    lanes[64u + lane] = sums.v1; lanes[128u + lane] = sums.v2; lanes[192u + lane] = sums.v3;
    workgroupBarrier();
    // Four lanes add, each the stretch of one vec4; with 64 terms that is shorter than a tree and its barriers.
    if (lane < 4u && first + lane < num_quads && work.class_index < params.num_classes) {
        var sum = vec4<f32>(0.0);
        for (var i = 0u; i < 64u; i++) {
            sum += lanes[64u * lane + i];
        }
        next[(work.class_index * params.segments + work.segment) * num_quads + first + lane] = sum;
    }
}

// All parts of the row through the same workgroup memory, one after the other. Which parts there are is a pipeline constant, so
// that every invocation meets the same barriers.
fn store_sums(work: Share, lane: u32, sums: Row) {
    store_part(work, lane, 0u, sums.a);
    if (wide()) {
        // The sums before must have been read when `lanes` is written again.
        workgroupBarrier();
        store_part(work, lane, 4u, sums.b);
    }
    if (wider()) {
        workgroupBarrier();
        store_part(work, lane, 8u, sums.c);
        workgroupBarrier();
        store_part(work, lane, 12u, sums.d);
    }
}
