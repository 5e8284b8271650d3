//! Counter-based random numbers: a value is a pure function of (seed, stream, index), so nothing depends on the order
//! in which threads or invocations ask for it, and a resumed run draws what the uninterrupted one would have drawn.
//!
//! The mixing function is PCG's 32-bit output permutation (RXS-M-XS) applied as a hash; `shaders/lib/rng.wgsl` computes
//! the same integers on the device.

/// One round of the 32-bit hash.
#[must_use]
pub const fn hash(x: u32) -> u32 {
    let state = x.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

/// 32 random bits for `(seed, stream, index)`.
#[must_use]
pub const fn bits(seed: u32, stream: u32, index: u32) -> u32 {
    hash(index ^ hash(stream ^ hash(seed)))
}

/// A uniform number in `[0, 1)` with 24 random bits, exact in `f32`.
#[must_use]
pub fn uniform(seed: u32, stream: u32, index: u32) -> f32 {
    (bits(seed, stream, index) >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// A sequential view of one stream, for host code that draws many numbers.
#[derive(Clone, Debug)]
pub struct Rng {
    seed: u32,
    stream: u32,
    index: u32,
}

impl Rng {
    /// The stream `stream` of `seed`, from its start.
    #[must_use]
    pub const fn new(seed: u32, stream: u32) -> Self {
        Self { seed, stream, index: 0 }
    }

    /// The next 32 random bits.
    pub fn bits(&mut self) -> u32 {
        let value = bits(self.seed, self.stream, self.index);
        self.index = self.index.wrapping_add(1);
        value
    }

    /// The next uniform number in `[0, 1)`.
    pub fn uniform(&mut self) -> f32 {
        (self.bits() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in `[low, high)`.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Uniform integer in `0..count`; `count` must not be 0.
    pub fn below(&mut self, count: u32) -> u32 {
        ((u64::from(self.bits()) * u64::from(count)) >> 32) as u32
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f32) -> bool {
        self.uniform() < p
    }

    /// A standard normal number (Box-Muller, cosine branch).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.uniform()).cos()
    }

    /// Shuffles in place (Fisher-Yates from the end).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u32 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_counter_same_value_and_streams_differ() {
        assert_eq!(bits(1, 2, 3), bits(1, 2, 3));
        assert_ne!(bits(1, 2, 3), bits(1, 3, 3));
        assert_ne!(bits(1, 2, 3), bits(2, 2, 3));
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut rng = Rng::new(7, 0);
        let count = 100_000;
        let mean: f64 = (0..count).map(|_| f64::from(rng.uniform())).sum::<f64>() / f64::from(count);
        assert!((mean - 0.5).abs() < 0.005, "uniform mean {mean}");
        let normal: Vec<f64> = (0..count).map(|_| f64::from(rng.normal())).collect();
        let variance = normal.iter().map(|x| x * x).sum::<f64>() / f64::from(count);
        assert!((variance - 1.0).abs() < 0.02, "normal variance {variance}");
    }

    #[test]
    fn shuffle_is_a_permutation() {
        let mut items: Vec<u32> = (0..100).collect();
        Rng::new(3, 1).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
