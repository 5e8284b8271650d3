// Reading the source of a depthwise convolution, for kernels with `params` and `x`.

// x at row base `line` (-1: outside) and column sx, zero outside the image.
fn pixel(line: i32, sx: i32, c: u32) -> vec4<f32> {
    let inside = (line >= 0) & (sx >= 0) & (sx < i32(params.in_w));
    let at = select(0u, u32(line + sx) * params.quads_in, inside);
    return select(0.0, 1.0, inside) * x[at + c];
}

// First pixel of source row sy of image b, or -1 outside.
fn line_start(b: u32, sy: i32) -> i32 {
    return select(-1, (i32(b * params.in_h) + sy) * i32(params.in_w), (sy >= 0) & (sy < i32(params.in_h)));
}
