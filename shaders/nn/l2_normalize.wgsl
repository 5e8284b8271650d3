// y = x / max(|x|, 1e-12), the norm over the channels of a row, or over the width of an image line for each channel
// (spec section 3, quirk Q1). Gradient: dx = (dy - (dy . y) y) / |x|, and dy / 1e-12 where the floor holds. A norm over one
// element leaves its sign: there dx is 0, where the formula would give the rounding of dy - dy times 1 / |x|.
//
// Layout: rows of vec4s; a "line" is `length` vec4s that lie `stride` vec4s apart. Channels: a line is a row, stride 1, and the
// four lanes are summed. Width: a line is one vec4 of channels along the width, and every lane has a norm of its own.
// One line per invocation, workgroups of 64. Iterations: 2 * length (forward), 3 * length (gradient).
//!include lib/index.wgsl

//!include lib/l2_params.wgsl

// First vec4 of a line: rows follow each other, lines along the width are interleaved by channel.
fn line_start(line: u32) -> u32 {
    return (line / params.stride) * params.length * params.stride + line % params.stride;
}

// The sum over lanes in every lane, or each lane by itself.
fn total(v: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(v.x + v.y + (v.z + v.w)), v, params.over_width == 1u);
}

@compute @workgroup_size(64)
fn l2_normalize(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let line = linear_index(id, groups, 64u);
    if (line >= params.num_lines) {
        return;
    }
    let first = line_start(line);
    var squares = vec4<f32>(0.0);
    for (var i = 0u; i < params.length; i++) {
        let v = x[first + i * params.stride];
        squares += v * v;
    }
    // Padding lanes are 0 and add nothing; over the width their own norm is the floor, and 0 / floor is 0.
    let norm = max(sqrt(total(squares)), vec4<f32>(FLOOR));
    for (var i = 0u; i < params.length; i++) {
        out[first + i * params.stride] = x[first + i * params.stride] / norm;
    }
}

@compute @workgroup_size(64)
fn l2_normalize_grad(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let line = linear_index(id, groups, 64u);
    if (line >= params.num_lines) {
        return;
    }
    let first = line_start(line);
    var squares = vec4<f32>(0.0);
    var along = vec4<f32>(0.0);
    for (var i = 0u; i < params.length; i++) {
        let v = x[first + i * params.stride];
        squares += v * v;
        // dy . x; divided by |x| below it becomes dy . y.
        along += v * dy[first + i * params.stride];
    }
    let norm = sqrt(total(squares));
    let safe = max(norm, vec4<f32>(FLOOR));
    let above = norm > vec4<f32>(FLOOR);
    // (dy . y) / |x|, which multiplies y = x / |x|; nothing where the floor holds, since there y is linear in x.
    let pull = select(vec4<f32>(0.0), total(along) / safe / safe, above);
    let constant = above & vec4<bool>(params.single == 1u);
    for (var i = 0u; i < params.length; i++) {
        let at = first + i * params.stride;
        out[at] = select((dy[at] - pull * x[at]) / safe, vec4<f32>(0.0), constant);
    }
}
