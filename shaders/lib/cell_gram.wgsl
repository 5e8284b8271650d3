// Cosines of bilinearly interpolated embeddings without interpolating them. With weights w_i of the four corners e_i,
//   <sum w_i e_i, p> = sum w_i <e_i, p>     and     |sum w_i e_i|^2 = sum w_i w_j <e_i, e_j>
// so per place of the feature map one product with p and ten products among the corners of the cell to its lower right do for
// every output pixel, whatever D is.
// Reads the globals emb [height,width] in rows of params.quads vec4s and params.{height,width,out_height,out_width}; writes and
// reads gram, three vec4s per place.

//!include lib/corner_tap.wgsl

// The corners of a cell, by row and column: 00, 01, 10, 11.
struct Corners {
    at: vec4<u32>,
    weight: vec4<f32>,
}

fn corners_at(y: Tap, x: Tap) -> Corners {
    let at = vec4<u32>(vec2<u32>(y.low * params.width), vec2<u32>(y.high * params.width)) + vec4<u32>(x.low, x.high, x.low, x.high);
    let across = vec2<f32>(1.0 - x.t, x.t);
    return Corners(at, vec4<f32>(across * (1.0 - y.t), across * y.t));
}

// Stores the products among the corners of the cell at place n.
fn write_gram(n: u32) {
    let y = n / params.width;
    let x = n - y * params.width;
    // At the right and lower edges the far corners fall onto the near ones, as a tap's do.
    let right = select(0u, params.quads, x + 1u < params.width);
    let down = select(0u, params.width * params.quads, y + 1u < params.height);
    let e00 = n * params.quads;
    var squares = vec4<f32>();
    var sides = vec4<f32>();
    var diagonals = vec2<f32>();
    for (var d = 0u; d < params.quads; d += 1u) {
        let a = emb[e00 + d];
        let b = emb[e00 + right + d];
        let c = emb[e00 + down + d];
        let e = emb[e00 + right + down + d];
        squares += vec4<f32>(dot(a, a), dot(b, b), dot(c, c), dot(e, e));
        sides += vec4<f32>(dot(a, b), dot(c, e), dot(a, c), dot(b, e));
        diagonals += vec2<f32>(dot(a, e), dot(b, c));
    }
    gram[3u * n] = squares;
    gram[3u * n + 1u] = sides;
    gram[3u * n + 2u] = vec4<f32>(diagonals, 0.0, 0.0);
}

// 1 / |interpolated embedding|.
fn inverse_length(corners: Corners) -> f32 {
    let n = 3u * corners.at.x;
    let w = corners.weight;
    let sides = dot(gram[n + 1u], vec4<f32>(w.x * w.y, w.z * w.w, w.x * w.z, w.y * w.w));
    let diagonals = dot(gram[n + 2u].xy, vec2<f32>(w.x * w.w, w.y * w.z));
    let squares = dot(gram[n], w * w) + 2.0 * (sides + diagonals);
    // Opposite corners can cancel to a little below 0.
    return 1.0 / max(sqrt(max(squares, 0.0)), 1e-12);
}
