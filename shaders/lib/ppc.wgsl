// Sizes of the pixel-prototype contrast, in all families of kernels.
struct Params {
    num_pixels: u32,
    // J, prototypes of all classes.
    num_rows: u32,
    quads: u32,
    // The tile: its first prototype (a multiple of 4) and how many it has.
    start: u32,
    count: u32,
    inv_tau: f32,
    // Gradient: the block of pixels whose weights the scratch holds, `num_pixels` being where it ends.
    first: u32,
    pixels: u32,
}
