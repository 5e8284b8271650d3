// Where output pixel n starts to look: image, row and column of tap (0, 0), before the division by `fraction`.
fn pixel_origin(n: u32) -> vec3<i32> {
    let ow = n % params.out_w;
    let oh = (n / params.out_w) % params.out_h;
    let b = n / (params.out_w * params.out_h);
    return vec3<i32>(i32(b), i32(oh * params.stride) - params.pad_h, i32(ow * params.stride) - params.pad_w);
}

// Index of the first vec4 of the source pixel of tap (ky, kx), or -1 outside the image or between pixels.
// `&`, not `&&`: the latter branches, and SwiftShader's compiler takes minutes and gigabytes over eight calls in a loop.
fn source(origin: vec3<i32>, ky: u32, kx: u32) -> i32 {
    let fraction = i32(params.fraction);
    let sy = origin.y + i32(ky * params.dilation);
    let sx = origin.z + i32(kx * params.dilation);
    let y = sy / fraction;
    let x = sx / fraction;
    let inside = (sy >= 0) & (sx >= 0) & (y < i32(params.in_h)) & (x < i32(params.in_w));
    // A remainder means that the forward pass stepped over this position.
    let exact = (y * fraction == sy) & (x * fraction == sx);
    let at = ((origin.x * i32(params.in_h) + y) * i32(params.in_w) + x) * i32(params.quads_in);
    return select(-1, at, inside & exact);
}

// Lines [x, y) and columns [z, w) of a split; a line is one row of output pixels of one image.
fn split_area(split: u32) -> vec4<u32> {
    // Splits run along a line first.
    let across = (params.out_w + params.split_columns - 1u) / params.split_columns;
    let line = (split / across) * params.split_rows;
    let column = (split % across) * params.split_columns;
    return vec4<u32>(
        line,
        min(line + params.split_rows, params.num_lines),
        column,
        min(column + params.split_columns, params.out_w),
    );
}

// Number of the first pixel of the source row that tap number `tap` reads for `line`, or -1 outside the image.
fn line_row(line: u32, tap: u32) -> i32 {
    let b = line / params.out_h;
    let oh = line % params.out_h;
    let sy = i32(oh * params.stride + (tap / params.kernel_w) * params.dilation) - params.pad_h;
    return select(-1, (i32(b * params.in_h) + sy) * i32(params.in_w), (sy >= 0) & (sy < i32(params.in_h)));
}

// Column that tap number `tap` reads for the first output pixel of a line.
fn tap_column(tap: u32) -> i32 {
    return i32((tap % params.kernel_w) * params.dilation) - params.pad_w;
}

// Index of the first vec4 of pixel `column` in the row found by `line_row`, or -1 outside the image.
fn row_pixel(row: i32, column: i32) -> i32 {
    let inside = (row >= 0) & (column >= 0) & (column < i32(params.in_w));
    return select(-1, (row + column) * i32(params.quads_in), inside);
}
