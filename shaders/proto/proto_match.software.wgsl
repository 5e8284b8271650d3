// Matching for software adapters with subgroups of 8, alone or with the scan of the pixel-prototype contrast, which reads
// the same similarities: the formulas and layouts of proto_match.wgsl and ppc.wgsl.
//
// One subgroup per workgroup, no workgroup memory, no barrier. A workgroup takes 32 pixels through the prototypes of the
// classes `begin` .. `end` of its range, 16 at a time, so that embeddings are loaded once per 16 prototypes and prototypes
// once per 32 pixels. A class may lie across two of these steps: best and winner are carried along.
// Iterations per invocation: (end - begin) K / 16 steps of `quads` + 16, which the host keeps at 32,768, and 3 paddings.
//!include lib/total.wgsl
//!include lib/contrast.wgsl

struct Params {
    num_pixels: u32,
    quads: u32,
    // K, and where the dispatch's rows of prototypes end.
    num_protos: u32,
    num_rows: u32,
    // The range of classes of a, and the part of it that this dispatch takes.
    first_class: u32,
    classes: u32,
    begin: u32,
    end: u32,
    inv_tau: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> protos: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> a: array<f32>;
@group(0) @binding(4) var<storage, read_write> kstar: array<u32>;
@group(0) @binding(5) var<storage, read_write> state: array<vec2<f32>>;

//!include lib/products.wgsl

// Running (maximum, sum of exponentials) of a lane's four pixels.
struct Running { t0: vec2<f32>, t1: vec2<f32>, t2: vec2<f32>, t3: vec2<f32> }

// Stores class c of pixel n.
fn put(n: u32, c: u32, best: f32, winner: u32) {
    if (n < params.num_pixels) {
        // Floats per row of a, padding included; kstar is dense.
        a[n * 4u * ((params.classes + 3u) / 4u) + c] = best;
        kstar[n * params.classes + c] = winner;
    }
}

// `contrast` is a constant at either call, so the folding is compiled where it is wanted.
fn walk(n: u32, lane: u32, known: Running, contrast: bool) -> Running {
    var t = known;
    var c = params.begin;
    var k = 0u;
    var best = vec4<f32>(0.0);
    var winner = vec4<u32>(0u);
    var j = (params.first_class + params.begin) * params.num_protos;
    for (; j < params.num_rows; j += 16u) {
        let x = products(n, j, lane);
        if (contrast) {
            t.t0 = folded(t.t0, j, x.s00, x.s01, x.s02, x.s03); t.t1 = folded(t.t1, j, x.s10, x.s11, x.s12, x.s13);
            t.t2 = folded(t.t2, j, x.s20, x.s21, x.s22, x.s23); t.t3 = folded(t.t3, j, x.s30, x.s31, x.s32, x.s33);
        }
        // Four pixels' similarities to one prototype each. Once per step, so the dynamic index costs nothing that counts.
        var s = array<vec4<f32>, 16>(
            vec4(x.s00.x, x.s10.x, x.s20.x, x.s30.x), vec4(x.s00.y, x.s10.y, x.s20.y, x.s30.y),
            vec4(x.s00.z, x.s10.z, x.s20.z, x.s30.z), vec4(x.s00.w, x.s10.w, x.s20.w, x.s30.w),
            vec4(x.s01.x, x.s11.x, x.s21.x, x.s31.x), vec4(x.s01.y, x.s11.y, x.s21.y, x.s31.y),
            vec4(x.s01.z, x.s11.z, x.s21.z, x.s31.z), vec4(x.s01.w, x.s11.w, x.s21.w, x.s31.w),
            vec4(x.s02.x, x.s12.x, x.s22.x, x.s32.x), vec4(x.s02.y, x.s12.y, x.s22.y, x.s32.y),
            vec4(x.s02.z, x.s12.z, x.s22.z, x.s32.z), vec4(x.s02.w, x.s12.w, x.s22.w, x.s32.w),
            vec4(x.s03.x, x.s13.x, x.s23.x, x.s33.x), vec4(x.s03.y, x.s13.y, x.s23.y, x.s33.y),
            vec4(x.s03.z, x.s13.z, x.s23.z, x.s33.z), vec4(x.s03.w, x.s13.w, x.s23.w, x.s33.w),
        );
        for (var q = 0u; q < min(16u, params.num_rows - j); q++) {
            // Strictly more: the lowest k wins a tie. The first is taken as it is: a NaN loses every comparison, and an
            // embedding that is none must show.
            let more = (s[q] > best) | vec4<bool>(k == 0u);
            best = select(best, s[q], more);
            winner = select(winner, vec4<u32>(k), more);
            k++;
            if (k == params.num_protos) {
                put(n, c, best.x, winner.x); put(n + 8u, c, best.y, winner.y);
                put(n + 16u, c, best.z, winner.z); put(n + 24u, c, best.w, winner.w);
                k = 0u;
                c++;
            }
        }
    }
    return t;
}

// Zeros in the padding lanes behind the last class.
fn pad(pixel: u32) {
    let stride = 4u * ((params.classes + 3u) / 4u);
    if (params.end == params.classes && pixel < params.num_pixels) {
        for (var c = params.classes; c < stride; c++) {
            a[pixel * stride + c] = 0.0;
        }
    }
}

fn load(n: u32) -> vec2<f32> {
    // Nothing is known before the first dispatch: an empty sum with the lowest maximum.
    if (params.begin == 0u) {
        return vec2<f32>(LOWEST, 0.0);
    }
    return state[min(n, params.num_pixels - 1u)];
}

fn save(n: u32, known: vec2<f32>) {
    if (n < params.num_pixels) {
        state[n] = known;
    }
}

@compute @workgroup_size(8)
fn proto_match(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = (group.x + group.y * groups.x) * 32u + lane;
    walk(n, lane, Running(), false);
    pad(n); pad(n + 8u); pad(n + 16u); pad(n + 24u);
}

@compute @workgroup_size(8)
fn proto_match_contrast(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = (group.x + group.y * groups.x) * 32u + lane;
    let known = Running(load(n), load(n + 8u), load(n + 16u), load(n + 24u));
    let t = walk(n, lane, known, true);
    save(n, t.t0); save(n + 8u, t.t1); save(n + 16u, t.t2); save(n + 24u, t.t3);
    pad(n); pad(n + 8u); pad(n + 16u); pad(n + 24u);
}
