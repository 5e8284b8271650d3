// Class map at output size: the highest and second highest of the bilinearly upsampled logits (aligned corners) and the class
// of the highest, lowest index on ties; running over tiles of classes. Spec section 11.
//
// Layout: o [B,height,width, classes of the tile] in vec4s; pred [B,out_height,out_width] dense; highest and second likewise,
// each row padded with zeros to whole vec4s.
// One invocation: four neighbouring pixels, a lane each; workgroups of 64; loop over the 8 vec4s of a tile at most.
//!include lib/index.wgsl

struct Params {
    num_items: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    quads: u32,
    channels: u32,
    first_class: u32,
    first: u32,  // 1 on the first tile: there is no running state yet
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> o: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> pred: array<u32>;
@group(0) @binding(3) var<storage, read_write> highest: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> second: array<vec4<f32>>;

//!include lib/upsample_run.wgsl

const LOWEST: f32 = -3e38;

// The three values of four pixels.
struct Podium {
    high: vec4<f32>,
    next: vec4<f32>,
    class_index: vec4<u32>,
}

fn enter(old: Podium, v: vec4<f32>, class_index: u32) -> Podium {
    let better = v > old.high;
    return Podium(
        select(old.high, v, better),
        // A new highest moves the old one to second; otherwise the value may still be second.
        select(max(old.next, v), old.high, better),
        select(old.class_index, vec4<u32>(class_index), better),
    );
}

@compute @workgroup_size(64)
fn upsample_argmax(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    if (i >= params.num_items) {
        return;
    }
    let runs = (params.out_width + 3u) / 4u;
    let row = i / runs;
    let x = 4u * (i - row * runs);
    let run = run_at(row, x);
    let m = row * params.out_width + x;
    // Pixels of the run that follow the first one in its row.
    let end = params.out_width - x - 1u;
    var state = Podium(vec4<f32>(LOWEST), vec4<f32>(LOWEST), vec4<u32>(0u));
    if (params.first == 0u) {
        // pred is dense, so four neighbours need not be aligned to a vec4.
        let before = vec4<u32>(pred[m], pred[m + min(1u, end)], pred[m + min(2u, end)], pred[m + min(3u, end)]);
        state = Podium(highest[i], second[i], before);
    }
    for (var q = 0u; q < params.quads; q += 1u) {
        let v = run_values(run, q);
        let c = 4u * q;
        // Real classes from this vec4 on. Padding is 0 and could beat negative logits.
        let live = params.channels - c;
        state = enter(state, v[0], params.first_class + c);
        state = enter(state, select(vec4<f32>(LOWEST), v[1], live > 1u), params.first_class + c + 1u);
        state = enter(state, select(vec4<f32>(LOWEST), v[2], live > 2u), params.first_class + c + 2u);
        state = enter(state, select(vec4<f32>(LOWEST), v[3], live > 3u), params.first_class + c + 3u);
    }
    // Lanes past the row's end hold zeros, as padding does everywhere.
    let inside = vec4<u32>(0u, 1u, 2u, 3u) <= vec4<u32>(end);
    highest[i] = select(vec4<f32>(0.0), state.high, inside);
    second[i] = select(vec4<f32>(0.0), state.next, inside);
    for (var lane = 0u; lane <= min(3u, end); lane += 1u) {
        pred[m + lane] = state.class_index[lane];
    }
}
