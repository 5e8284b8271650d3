// The running log-sum-exp of the pixel-prototype contrast.

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
