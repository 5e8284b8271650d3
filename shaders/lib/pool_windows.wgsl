// Where the windows of a pooling lie.
struct Params {
    batch: u32,
    quads: u32,
    // Heights and widths in pixels: "in" of x, "out" of y.
    in_h: u32,
    in_w: u32,
    out_h: u32,
    out_w: u32,
    kernel: u32,
    stride: u32,
    padding: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

// First and last input position of window o along an axis, both inside the image.
fn window(o: u32, length_in: u32) -> vec2<u32> {
    let first = max(o * params.stride, params.padding) - params.padding;
    return vec2<u32>(first, min(o * params.stride + params.kernel - params.padding, length_in) - 1u);
}

// First window that holds input position i along an axis, and the one behind the last.
fn windows(i: u32, length_out: u32) -> vec2<u32> {
    let end = i + params.padding;
    // The smallest o with o * stride + kernel > end.
    let first = (max(end + params.stride, params.kernel) - params.kernel) / params.stride;
    return vec2<u32>(first, min(end / params.stride + 1u, length_out));
}
