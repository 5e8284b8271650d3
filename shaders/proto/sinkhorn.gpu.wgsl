// Sinkhorn-Knopp on GPUs: the rounds of sinkhorn.wgsl, with nothing added up by one invocation that many can add. A GPU waits
// half a microsecond for a load, so that 32 of them one after the other cost more than the round.
//
// Workgroup: 256 invocations; 4.3 KiB of its memory. A class has enough segments that an invocation walks few pixels; in the
// row step each invocation loads the sums of one segment or a few, and a tree adds them.
// Iterations per invocation: at most N / (256 * segments) with segments >= 2, plus segments / 64 and the trees' levels.
//!include lib/sinkhorn_walk.wgsl

const GROUP = 256u;

// `lanes` holds it after the row step's tree.
fn row_sum(class_index: u32, quad: u32) -> vec4<f32> {
    return lanes[quad];
}

// The class's row sums from what its workgroups left: num_quads columns of `across` invocations, in the same order of additions
// in every workgroup.
fn row_step(work: Share, lane: u32) {
    let across = 1u << firstLeadingBit(GROUP / num_quads);
    let quad = lane % num_quads;
    let first = lane / num_quads;
    var sum = vec4<f32>(0.0);
    if (first < across && work.class_index < params.num_classes) {
        let zero = vec4<f32>(0.0);
        let start = work.class_index * params.segments;
        for (var s = first; s < params.segments; s += 4u * across) {
            // Four loads at once, the last segment's in place of those behind it.
            let all = vec4<u32>(s) + vec4<u32>(0u, 1u, 2u, 3u) * across;
            let real = all < vec4<u32>(params.segments);
            let at = (start + min(all, vec4<u32>(params.segments - 1u))) * num_quads + quad;
            let a = last[at.x]; let b = last[at.y]; let c = last[at.z]; let d = last[at.w];
            sum += (a + select(zero, b, real.y)) + (select(zero, c, real.z) + select(zero, d, real.w));
        }
    }
    lanes[lane] = sum;
    for (var half = across / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (first < half) {
            lanes[lane] += lanes[lane + half * num_quads];
        }
    }
    workgroupBarrier();
    row_factors(work, lane);
}

// The sum of four of the 256 numbers in every lane, those that are 64 lanes apart.
fn quarter_sum(lane: u32, value: vec4<f32>) -> vec4<f32> {
    // What an earlier sum left must have been read.
    workgroupBarrier();
    lanes[lane] = value;
    workgroupBarrier();
    let place = lane % 64u;
    return (lanes[place] + lanes[64u + place]) + (lanes[128u + place] + lanes[192u + place]);
}

// Sums of 16 prototypes: each quarter of the workgroup takes one vec4 of them, and a tree adds its 64 numbers.
fn store_part(work: Share, lane: u32, first: u32, sums: Part) {
    let quarter = lane / 64u;
    var sum = quarter_sum(lane, sums.v0);
    // Constants when the pipeline is built: a row of few vec4s costs no more barriers than it needs.
    if (first + 1u < num_quads) {
        let v1 = quarter_sum(lane, sums.v1);
        sum = select(sum, v1, quarter == 1u);
    }
    if (first + 2u < num_quads) {
        let v2 = quarter_sum(lane, sums.v2);
        sum = select(sum, v2, quarter == 2u);
    }
    if (first + 3u < num_quads) {
        let v3 = quarter_sum(lane, sums.v3);
        sum = select(sum, v3, quarter == 3u);
    }
    workgroupBarrier();
    lanes[lane] = sum;
    for (var half = 32u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane % 64u < half) {
            lanes[lane] += lanes[lane + half];
        }
    }
    if (lane % 64u == 0u && first + quarter < num_quads && work.class_index < params.num_classes) {
        let row = (work.class_index * params.segments + work.segment) * num_quads;
        next[row + first + quarter] = lanes[lane];
    }
}

// All parts of the row through the same workgroup memory, one after the other.
fn store_sums(work: Share, lane: u32, sums: Row) {
    store_part(work, lane, 0u, sums.a);
    if (wide()) {
        store_part(work, lane, 4u, sums.b);
    }
    if (wider()) {
        store_part(work, lane, 8u, sums.c);
        store_part(work, lane, 12u, sums.d);
    }
}
