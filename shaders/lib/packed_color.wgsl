// Packed colours: r | g << 8 | b << 16 | a << 24, 8 bits each, as stored (sRGB), blended as stored. Whole numbers throughout,
// so every adapter gives the same bits.

// `a` moved towards `b` by w / 256 (w in 0..=256), rounded to the nearest per channel; alpha becomes 0.
fn toward(a: u32, b: u32, w: u32) -> u32 {
    let rest = 256u - w;
    // Red and blue share the multiplications: 255 * 256 + 128 fits the 16 bits that each has.
    let red_blue = ((a & 0xff00ffu) * rest + (b & 0xff00ffu) * w + 0x800080u) >> 8u;
    let green = ((a & 0xff00u) * rest + (b & 0xff00u) * w + 0x8000u) >> 8u;
    return (red_blue & 0xff00ffu) | (green & 0xff00u);
}

// The grey of the same brightness (Rec. 601 weights in 256ths).
fn grey_of(a: u32) -> u32 {
    let luma = (77u * (a & 0xffu) + 150u * ((a >> 8u) & 0xffu) + 29u * ((a >> 16u) & 0xffu) + 128u) >> 8u;
    return luma * 0x10101u;
}

// A share of 0..1 in 256ths.
fn in_256ths(share: f32) -> u32 {
    return u32(clamp(share, 0.0, 1.0) * 256.0 + 0.5);
}
