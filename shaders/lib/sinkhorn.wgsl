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
}
