//! Bilinear interpolation with aligned corners: output `i` lies at `i * (in - 1) / (out - 1)` of the input, 0 if `out` is 1.

use super::Array;

/// The two inputs of every output index along one axis, and the weight of the second.
#[must_use]
pub fn taps(size_in: usize, size_out: usize) -> Vec<(usize, usize, f64)> {
    let tap = |i: usize| {
        let at = if size_out > 1 { (i * (size_in - 1)) as f64 / (size_out - 1) as f64 } else { 0.0 };
        let low = (at.floor() as usize).min(size_in - 1);
        (low, (low + 1).min(size_in - 1), at - low as f64)
    };
    (0..size_out).map(tap).collect()
}

/// Calls `visit(output pixel, its four input pixels with their weights)` for every output pixel of `batch` images.
pub fn each_pixel(
    batch: usize,
    [height, width]: [usize; 2],
    [out_height, out_width]: [usize; 2],
    mut visit: impl FnMut(usize, [(usize, f64); 4]),
) {
    let (rows, columns) = (taps(height, out_height), taps(width, out_width));
    for b in 0..batch {
        for (y, &(y0, y1, ty)) in rows.iter().enumerate() {
            for (x, &(x0, x1, tx)) in columns.iter().enumerate() {
                let at = |y: usize, x: usize| (b * height + y) * width + x;
                let corners = [
                    (at(y0, x0), (1.0 - ty) * (1.0 - tx)),
                    (at(y0, x1), (1.0 - ty) * tx),
                    (at(y1, x0), ty * (1.0 - tx)),
                    (at(y1, x1), ty * tx),
                ];
                visit((b * out_height + y) * out_width + x, corners);
            }
        }
    }
}

/// The interpolated row of `x [N,channels]`.
#[must_use]
pub fn blend(x: &Array, corners: &[(usize, f64); 4]) -> Vec<f64> {
    (0..x.channels()).map(|c| corners.iter().map(|&(n, w)| w * x.row(n)[c]).sum()).collect()
}
