// Where an image comes nearest to every prototype: the R places of the feature map with the highest cosine, in order, each more
// than `radius` rows or columns from those before it; lower places first among equals.
//   cosine[p,r] = max over places not within radius of place[p,0..r] of <e, p> / max(|e|, 1e-12);  -3e38 and place 0 if none is left
// A tile of prototypes at a time, so that the cosines of all places to all prototypes never stand in memory together:
//   patch_cosines   one invocation: four places times four prototypes of the tile, each loaded once for 16 products
//   patch_select    one workgroup of 64 per prototype of the tile; R rounds of: every invocation scans its places, a tree finds
//                   the best, and what is near it is struck out of the tile
//
// Layout: emb [places,D] and protos [C*K,D] in vec4s; cosine [C*K,R], each row padded to whole vec4s; place [C*K,R] dense; tile
// [prototypes of the tile][places], each row padded to whole vec4s, which holds repeats of the last place.
// Iterations per invocation: D / 4; R times (places / 64 + struck places / 64 + 6), which the shape rule bounds.
//!include lib/index.wgsl

struct Params {
    height: u32,
    width: u32,
    quads: u32,
    // C * K, and the first prototype of the tile.
    num_protos: u32,
    first: u32,
    // Prototypes of the tile in vec4s.
    tile_quads: u32,
    num_patches: u32,
    radius: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> emb: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> protos: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> tile: array<vec4<f32>>;
// The same memory, element by element.
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;
@group(0) @binding(5) var<storage, read_write> cosine: array<f32>;
@group(0) @binding(6) var<storage, read_write> place: array<u32>;

const LOWEST: f32 = -3e38;

var<workgroup> best_score: array<f32, 64>;
var<workgroup> best_place: array<u32, 64>;

@compute @workgroup_size(64)
fn patch_cosines(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_index(id, groups, 64u);
    let places = params.height * params.width;
    let runs = (places + 3u) / 4u;
    let four = i / runs;
    if (four >= params.tile_quads) {
        return;
    }
    let n = vec4<u32>(4u * (i - four * runs)) + vec4<u32>(0u, 1u, 2u, 3u);
    let e = min(n, vec4<u32>(places - 1u)) * params.quads;
    let number = vec4<u32>(params.first + 4u * four) + vec4<u32>(0u, 1u, 2u, 3u);
    let p = min(number, vec4<u32>(params.num_protos - 1u)) * params.quads;
    var squares = vec4<f32>();
    // One per prototype, a lane per place.
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var a2 = vec4<f32>();
    var a3 = vec4<f32>();
    for (var d = 0u; d < params.quads; d += 1u) {
        let e0 = emb[e.x + d];
        let e1 = emb[e.y + d];
        let e2 = emb[e.z + d];
        let e3 = emb[e.w + d];
        let p0 = protos[p.x + d];
        let p1 = protos[p.y + d];
        let p2 = protos[p.z + d];
        let p3 = protos[p.w + d];
        squares += vec4<f32>(dot(e0, e0), dot(e1, e1), dot(e2, e2), dot(e3, e3));
        a0 += vec4<f32>(dot(e0, p0), dot(e1, p0), dot(e2, p0), dot(e3, p0));
        a1 += vec4<f32>(dot(e0, p1), dot(e1, p1), dot(e2, p1), dot(e3, p1));
        a2 += vec4<f32>(dot(e0, p2), dot(e1, p2), dot(e2, p2), dot(e3, p2));
        a3 += vec4<f32>(dot(e0, p3), dot(e1, p3), dot(e2, p3), dot(e3, p3));
    }
    let length = max(sqrt(squares), vec4<f32>(1e-12));
    let row = 4u * four * runs + n.x / 4u;
    tile[row] = a0 / length;
    tile[row + runs] = a1 / length;
    tile[row + 2u * runs] = a2 / length;
    tile[row + 3u * runs] = a3 / length;
}

@compute @workgroup_size(64)
fn patch_select(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let in_tile = group.x;
    let places = params.height * params.width;
    let row = in_tile * ((places + 3u) / 4u * 4u);
    let p = params.first + in_tile;
    let stride = (params.num_patches + 3u) / 4u * 4u;
    // Rows of cosine end in zeros.
    if (lane >= params.num_patches && lane < stride) {
        cosine[p * stride + lane] = 0.0;
    }
    for (var r = 0u; r < params.num_patches; r += 1u) {
        var score = LOWEST;
        var at = 0u;
        for (var n = lane; n < places; n += 64u) {
            let here = scores[row + n];
            if (here > score) {
                score = here;
                at = n;
            }
        }
        best_score[lane] = score;
        best_place[lane] = at;
        workgroupBarrier();
        for (var half = 32u; half > 0u; half /= 2u) {
            if (lane < half) {
                let mine = best_score[lane];
                let other = best_score[lane + half];
                // Which invocation saw a place must not decide among equals.
                if (other > mine || (other == mine && best_place[lane + half] < best_place[lane])) {
                    best_score[lane] = other;
                    best_place[lane] = best_place[lane + half];
                }
            }
            workgroupBarrier();
        }
        let found = best_score[0] > LOWEST;
        let winner = best_place[0];
        if (lane == 0u) {
            cosine[p * stride + r] = best_score[0];
            place[p * params.num_patches + r] = select(0u, winner, found);
        }
        let y = winner / params.width;
        let x = winner - y * params.width;
        let top = y - min(y, params.radius);
        let left = x - min(x, params.radius);
        // The radius is below the map's extents, so nothing wraps around.
        let columns = min(x + params.radius + 1u, params.width) - left;
        let struck = (min(y + params.radius + 1u, params.height) - top) * columns;
        for (var i = lane; i < select(0u, struck, found); i += 64u) {
            let down = i / columns;
            scores[row + (top + down) * params.width + left + i - down * columns] = LOWEST;
        }
        // What was struck out is seen by the next round's scan, and the winner is read before it is overwritten.
        storageBarrier();
        workgroupBarrier();
    }
}
