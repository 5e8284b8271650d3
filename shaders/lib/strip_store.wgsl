// Stores four rows of a strip (lib/strips.wgsl), of which the first is always real. All four must be loaded before: no later
// load may overtake a store. The includer declares `out`.
fn store_four(f: Four, y0: vec4<f32>, y1: vec4<f32>, y2: vec4<f32>, y3: vec4<f32>) {
    out[f.at.x] = y0;
    if (f.real.y) { out[f.at.y] = y1; }
    if (f.real.z) { out[f.at.z] = y2; }
    if (f.real.w) { out[f.at.w] = y3; }
}
