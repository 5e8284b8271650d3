// Counter-based random numbers: the same integers as src/rng.rs, a pure function of (seed, stream, index).

// One round of PCG's 32-bit output permutation (RXS-M-XS), used as a hash.
fn rng_hash(x: u32) -> u32 {
    let state = x * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

// 32 random bits.
fn rng_bits(seed: u32, stream: u32, index: u32) -> u32 {
    return rng_hash(index ^ rng_hash(stream ^ rng_hash(seed)));
}

// Uniform in [0, 1) with 24 random bits, exact in f32.
fn rng_uniform(seed: u32, stream: u32, index: u32) -> f32 {
    return f32(rng_bits(seed, stream, index) >> 8u) * (1.0 / 16777216.0);
}
