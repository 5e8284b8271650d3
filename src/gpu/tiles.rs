//! How the GPU families cut a product of matrices into tiles: a table by shape, and what was measured on this device.
//!
//! All tiles add up the products of an element in the same order with the same instruction, so a tile changes the speed
//! and no bit (`tests/tiles.rs`): a run need not remember which tiles it was begun with.

use std::collections::BTreeMap;

/// A product `[rows, depth] x [depth, columns]`; for a convolution pixels, `kh * kw * channels` and output channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Gemm {
    /// Rows of the result.
    pub rows: u32,
    /// Columns of the result.
    pub columns: u32,
    /// Products per element of the result.
    pub depth: u32,
    /// What it belongs to: the same sizes are read in different ways.
    pub kind: GemmKind,
}

/// What a product of matrices belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GemmKind {
    /// A convolution, or its gradient with respect to the input.
    Conv,
    /// One of them whose source pixels are its output pixels: 1x1, stride 1, no padding.
    Point,
    /// A convolution's gradient with respect to the weights: rows are its input channels and taps.
    Weights,
    /// Matching with prototypes.
    Match,
    /// The contrast over prototypes: products of its scan and its gradient.
    Contrast,
}

/// Rows and columns of the result that a workgroup computes, and those of one invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tile {
    /// 32 x 32, 64 invocations with 4 x 4 each: small results, and enough workgroups where there are few rows.
    Small,
    /// 64 x 64, 256 invocations with 4 x 4 each: GPUs with few registers per invocation (Apple, mobile, integrated).
    Wide,
    /// 64 x 64, 64 invocations with 8 x 8 each: half the workgroup memory traffic per product.
    Deep,
    /// 128 x 64, 128 invocations with 8 x 8 each: long results on large GPUs.
    Long,
}

impl Tile {
    /// Every tile, the candidates of the measurement.
    pub const ALL: [Self; 4] = [Self::Small, Self::Wide, Self::Deep, Self::Long];

    /// Rows of the result per workgroup.
    #[must_use]
    pub const fn rows(self) -> usize {
        match self {
            Self::Small => 32,
            Self::Wide | Self::Deep => 64,
            Self::Long => 128,
        }
    }

    /// Columns of the result per workgroup.
    #[must_use]
    pub const fn columns(self) -> usize {
        match self {
            Self::Small => 32,
            Self::Wide | Self::Deep | Self::Long => 64,
        }
    }

    /// Side of the square that one invocation computes: the suffix of the entry points.
    #[must_use]
    pub const fn side(self) -> usize {
        match self {
            Self::Small | Self::Wide => 4,
            Self::Deep | Self::Long => 8,
        }
    }

    /// `override` constants of the kernels.
    #[must_use]
    pub const fn constants(self) -> [(&'static str, f64); 6] {
        let (rows, columns, side) = (self.rows(), self.columns(), self.side());
        [
            ("ROWS", rows as f64),
            ("COLUMNS", columns as f64),
            ("ACROSS", (columns / side) as f64),
            ("DOWN", (rows / side) as f64),
            ("LEFT", (4 * rows + 16) as f64),
            ("RIGHT", (4 * columns) as f64),
        ]
    }
}

/// Which tile a product gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiles {
    /// What was measured.
    measured: BTreeMap<Gemm, Tile>,
    /// This one for all, while it is measured or tested.
    forced: Option<Tile>,
}

impl Tiles {
    /// Nothing measured: the table alone.
    #[must_use]
    pub const fn table() -> Self {
        Self { measured: BTreeMap::new(), forced: None }
    }

    /// One tile for everything.
    #[must_use]
    pub const fn only(tile: Tile) -> Self {
        Self { measured: BTreeMap::new(), forced: Some(tile) }
    }

    /// What was measured, with the table for the rest.
    #[must_use]
    pub const fn measured(measured: BTreeMap<Gemm, Tile>) -> Self {
        Self { measured, forced: None }
    }

    /// The tile for `gemm` on a GPU that is `discrete` or not.
    #[must_use]
    pub fn of(&self, gemm: &Gemm, discrete: bool) -> Tile {
        let measured = || self.measured.get(gemm).copied();
        self.forced.or_else(measured).unwrap_or_else(|| by_shape(gemm, discrete))
    }
}

/// The table: a tile that is filled, as many workgroups as keep a GPU busy, and then as few readings of workgroup memory as its
/// registers allow. On the one GPU that was measured (docs/performance.md) no other choice was faster by more than the noise.
fn by_shape(gemm: &Gemm, discrete: bool) -> Tile {
    /// Workgroups that fill a large GPU: about 2 on each of 128 cores.
    const ENOUGH: u32 = 256;
    let groups = |rows: u32, columns: u32| gemm.rows.div_ceil(rows) * gemm.columns.div_ceil(columns);
    // A gradient of weights is split over its depth until there are enough workgroups, whatever its size.
    let filled = gemm.kind == GemmKind::Weights || groups(64, 64) >= ENOUGH;
    if gemm.columns <= 32 || gemm.rows <= 32 || !filled {
        return Tile::Small;
    }
    match (discrete, groups(128, 64) >= 4 * ENOUGH) {
        (false, _) => Tile::Wide,
        (true, false) => Tile::Deep,
        (true, true) => Tile::Long,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fills_tiles_and_gpus() {
        let of = |rows, columns, discrete| {
            Tiles::table().of(&Gemm { rows, columns, depth: 64, kind: GemmKind::Conv }, discrete)
        };
        assert_eq!(of(43_200, 24, true), Tile::Small);
        assert_eq!(of(1000, 64, true), Tile::Small);
        assert_eq!(of(43_200, 64, true), Tile::Deep);
        assert_eq!(of(43_200, 64, false), Tile::Wide);
        assert_eq!(of(200_000, 256, true), Tile::Long);
        let weights = Gemm { rows: 576, columns: 64, depth: 43_200, kind: GemmKind::Weights };
        assert_eq!(Tiles::table().of(&weights, true), Tile::Deep);
    }

    #[test]
    fn what_was_measured_comes_before_the_table() {
        let gemm = Gemm { rows: 43_200, columns: 64, depth: 64, kind: GemmKind::Conv };
        let tiles = Tiles::measured(BTreeMap::from([(gemm, Tile::Wide)]));
        assert_eq!(tiles.of(&gemm, true), Tile::Wide);
        assert_eq!(tiles.of(&Gemm { depth: 65, ..gemm }, true), Tile::Deep);
        assert_eq!(Tiles::only(Tile::Long).of(&gemm, false), Tile::Long);
    }
}
