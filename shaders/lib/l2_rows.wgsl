// L2 normalisation over channels by teams: `team` invocations share a row, so that they read it in order. Formulas of
// l2_normalize.wgsl. The includer adds up what the team's members found.
//!include lib/l2_params.wgsl

fn lanes(v: vec4<f32>) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}

// A member's part of (x . x, 0); it takes every team-th vec4.
fn row_squares(row: u32, member: u32, team: u32) -> vec2<f32> {
    var squares = vec4<f32>(0.0);
    for (var i = member; i < params.length; i += team) {
        let v = x[row * params.length + i];
        squares += v * v;
    }
    return vec2<f32>(lanes(squares), 0.0);
}

// A member's part of (x . x, dy . x).
fn row_sums(row: u32, member: u32, team: u32) -> vec2<f32> {
    var squares = vec4<f32>(0.0);
    var along = vec4<f32>(0.0);
    for (var i = member; i < params.length; i += team) {
        let v = x[row * params.length + i];
        squares += v * v;
        along += v * dy[row * params.length + i];
    }
    return vec2<f32>(lanes(squares), lanes(along));
}

fn write_row(row: u32, member: u32, team: u32, sums: vec2<f32>) {
    // Padding lanes are 0, and 0 / norm is 0.
    let norm = max(sqrt(sums.x), FLOOR);
    for (var i = member; i < params.length; i += team) {
        out[row * params.length + i] = x[row * params.length + i] / norm;
    }
}

fn write_gradient(row: u32, member: u32, team: u32, sums: vec2<f32>) {
    let norm = sqrt(sums.x);
    let safe = max(norm, FLOOR);
    // (dy . y) / |x|, which multiplies y = x / |x|; nothing where the floor holds, since there y is linear in x.
    let pull = select(0.0, sums.y / safe / safe, norm > FLOOR);
    for (var i = member; i < params.length; i += team) {
        let at = row * params.length + i;
        out[at] = (dy[at] - pull * x[at]) / safe;
    }
}
