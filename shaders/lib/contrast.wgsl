// Logits and their running log-sum-exp in the pixel-prototype contrast. Expects params.{num_rows,inv_tau}.

// Stands for minus infinity: exp(LOWEST - x) is 0, and no inf or NaN arises.
const LOWEST = -1.0e30;

// Inner products of e with four rows.
fn four(e: vec4<f32>, p0: vec4<f32>, p1: vec4<f32>, p2: vec4<f32>, p3: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(dot(e, p0), dot(e, p1), dot(e, p2), dot(e, p3));
}

// Folds four logits into a running (maximum, sum of exponentials relative to it).
fn fold(known: vec2<f32>, x: vec4<f32>) -> vec2<f32> {
    let top = max(known.x, max(max(x.x, x.y), max(x.z, x.w)));
    return vec2<f32>(top, known.y * exp(known.x - top) + total(exp(x - vec4<f32>(top))));
}

// Logits from similarities; j is the first of four prototypes.
fn logits(s: vec4<f32>, j: u32) -> vec4<f32> {
    // Masked here and not later: a repeated prototype must not enter the sum of exponentials twice.
    let real = vec4<u32>(j) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.num_rows);
    return select(vec4<f32>(LOWEST), s * params.inv_tau, real);
}
