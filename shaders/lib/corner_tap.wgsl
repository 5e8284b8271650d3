// Where output i of a bilinear interpolation with aligned corners lies: at i * (in - 1) / (out - 1) of the input, 0 if out
// is 1. Whole part and remainder are computed in integers, so no rounding moves a pixel to the next cell.
struct Tap {
    low: u32,
    high: u32,
    t: f32,
}

fn tap(i: u32, size_in: u32, size_out: u32) -> Tap {
    // Below 2^32 for sizes below 65,536.
    let scaled = i * (size_in - 1u);
    let last = max(size_out, 2u) - 1u;
    let low = min(scaled / last, size_in - 1u);
    return Tap(low, min(low + 1u, size_in - 1u), f32(scaled - low * last) / f32(last));
}
