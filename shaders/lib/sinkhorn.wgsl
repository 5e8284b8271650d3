// What both variants of Sinkhorn-Knopp share: sizes.
struct Params {
    // N, C and K; `segments` workgroups share a class.
    num_pixels: u32,
    num_classes: u32,
    num_protos: u32,
    segments: u32,
    rounds: u32,
    // 1 / kappa, the inverse smoothness.
    inv_kappa: f32,
    // p = rho / (rho + kappa) for parts drawn to equal ones with strength rho; 1 for equal parts.
    exponent: f32,
}

// r_k = (wanted / sum_k)^p, the row step of the KL-relaxed marginal; p = 1 is that of Sinkhorn-Knopp.
fn row_factor(wanted: f32, sums: vec4<f32>, exponent: f32) -> vec4<f32> {
    if (exponent == 1.0) {
        return wanted / sums;
    }
    // In logarithms: the quotient may be no f32 although its power is.
    return exp(exponent * (log(wanted) - log(sums)));
}
