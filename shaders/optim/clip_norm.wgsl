// Norm of all gradients together, and the factor that brings it down to `most`:
//   norm = sqrt(sum over gradients and elements of g^2),   factor = most / norm where norm > most, else 1
//
// clip_norm_blocks is dispatched once per gradient: each workgroup sums the squares of 1024 vec4s, blocks of one gradient
// behind those of the one before. clip_norm adds the blocks up. Both in a fixed order.
// Layout: whole vec4s; what lies behind the last number of a vector whose length is no multiple of 4 is not counted.
// Workgroup: 64 invocations. Iterations: 16 in a block; then blocks / 64 (9 for 2.2 million weights) and 64 in one invocation.

struct Params {
    // Numbers in the gradient, its zero padding included, and blocks that they make.
    num_floats: u32,
    num_blocks: u32,
    // Block of all gradients that this gradient's first one is.
    first_block: u32,
    most: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> blocks: array<f32>;
@group(0) @binding(3) var<storage, read_write> norm: array<f32>;
@group(0) @binding(4) var<storage, read_write> factor: array<f32>;

var<workgroup> lanes: array<f32, 64>;

// The 64 invocations' parts in order of the lanes; the result is lane 0's.
fn fold(lane: u32, part: f32) -> f32 {
    lanes[lane] = part;
    workgroupBarrier();
    var all = 0.0;
    if (lane == 0u) {
        // Serial and in order: 64 additions, once per workgroup, and the same bits every time.
        for (var i = 0u; i < 64u; i++) {
            all += lanes[i];
        }
    }
    return all;
}

@compute @workgroup_size(64)
fn clip_norm_blocks(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.x + group.y * groups.x;
    var part = 0.0;
    for (var i = 0u; i < 16u; i++) {
        let at = block * 1024u + i * 64u + lane;
        if (at * 4u < params.num_floats) {
            let place = vec4<u32>(at * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
            let g = select(vec4<f32>(0.0), gradient[at], place < vec4<u32>(params.num_floats));
            part += dot(g, g);
        }
    }
    let all = fold(lane, part);
    if (lane == 0u && block < params.num_blocks) {
        blocks[params.first_block + block] = all;
    }
}

@compute @workgroup_size(64)
fn clip_norm(@builtin(local_invocation_index) lane: u32) {
    var part = 0.0;
    for (var block = lane; block < params.num_blocks; block += 64u) {
        part += blocks[block];
    }
    let all = fold(lane, part);
    if (lane == 0u) {
        let length = sqrt(all);
        norm[0] = length;
        // A NaN is above nothing: the factor is 1 then, and the NaN goes on into the weights, where it is found.
        factor[0] = select(1.0, params.most / max(length, 1e-30), length > params.most);
    }
}
