// Geometry of a convolution. "in" is where the source pixels lie, "out" where the results do; for the gradient with
// respect to x the two change places.
struct Params {
    // Output pixels of the batch, then heights and widths in pixels.
    num_pixels: u32,
    out_h: u32,
    out_w: u32,
    in_h: u32,
    in_w: u32,
    // Channels in vec4s.
    quads_in: u32,
    quads_out: u32,
    kernel_h: u32,
    kernel_w: u32,
    stride: u32,
    // Source positions are divided by this: 1, or the forward stride in the gradient with respect to x.
    fraction: u32,
    pad_h: i32,
    pad_w: i32,
    dilation: u32,
    has_bias: u32,
    // Depthwise: 1 takes the taps in reverse order.
    reversed: u32,
    // Gradient of the weights: rectangles of output pixels summed apart, their size in lines and pixels.
    num_splits: u32,
    split_rows: u32,
    split_columns: u32,
    // Rows of output pixels over the whole batch.
    num_lines: u32,
    // Bounds of the output, infinite where there is none (lib/epilogue.wgsl).
    low: f32,
    high: f32,
}
