//! How kernels of GPUs share out rows and vec4 columns (`shaders/lib/strips.wgsl`); [`super::walk`] is for software adapters.

use crate::gpu::grid;

/// Invocations of a workgroup.
const GROUP: usize = 256;
/// Rows that an invocation loads before it uses any.
const UNROLL: usize = 4;
/// Columns of a strip at most: 128 bytes of a row.
const WIDEST: usize = 8;

/// Rows and columns shared out over workgroups.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strips {
    /// Rows, or parts in a finishing kernel.
    pub rows: u32,
    /// vec4 columns.
    pub quads: u32,
    /// Columns of a strip.
    pub wide: u32,
    /// Rows that a workgroup takes.
    pub block_rows: u32,
    /// Blocks of rows: workgroups per strip, and the parts that a sum leaves.
    pub num_blocks: u32,
}

impl Strips {
    /// Enough invocations to fill a device, each with as many rows as that leaves.
    pub fn new(rows: usize, quads: usize) -> Self {
        // Loads that hide each other's latency; more rows than the second gain nothing.
        const ENOUGH_INVOCATIONS: usize = 200_000;
        const MOST_STEPS: usize = 16;
        // Parts that a finishing kernel reads: at most 32 turns of a few loads per invocation.
        const MOST_BLOCKS: usize = 1024;
        let wide = quads.next_power_of_two().min(WIDEST);
        let lanes = GROUP / wide;
        let steps = (rows * quads / ENOUGH_INVOCATIONS).min(MOST_STEPS);
        let steps = steps.max(rows.div_ceil(lanes * MOST_BLOCKS)).next_multiple_of(UNROLL).max(UNROLL);
        Self {
            rows: rows as u32,
            quads: quads as u32,
            wide: wide as u32,
            block_rows: (lanes * steps) as u32,
            num_blocks: rows.div_ceil(lanes * steps).max(1) as u32,
        }
    }

    /// The finishing kernel's: `parts` rows of `quads` columns, one workgroup per strip. The more parts there are the fewer
    /// columns it takes, until every invocation has few of them.
    pub fn over_parts(parts: u32, quads: u32) -> Self {
        let most = (quads as usize).next_power_of_two().min(WIDEST);
        let fits = |wide: &usize| GROUP / wide * UNROLL >= parts as usize;
        // Two columns are 32 bytes, what a memory gives at once.
        let wide = [8, 4, 2].into_iter().filter(|w| *w <= most).find(fits).unwrap_or(most.min(2));
        Self { rows: parts, quads, wide: wide as u32, block_rows: parts, num_blocks: 1 }
    }

    /// The finishing kernel's for the parts that this one leaves.
    pub fn finish(&self) -> Self {
        Self::over_parts(self.num_blocks, self.quads)
    }

    /// Floats of the parts if each is `sums` numbers per channel.
    pub const fn parts_len(&self, sums: usize) -> usize {
        4 * sums * self.num_blocks as usize * self.quads as usize
    }

    /// Workgroups.
    pub fn grid(&self) -> [u32; 3] {
        grid(self.quads.div_ceil(self.wide) as usize * self.num_blocks as usize, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_all_rows_and_stay_few() {
        for (rows, quads) in
            [(1, 1), (3, 700), (640, 240), (4_000_000, 4), (5, 64), (65_537, 3), (16_000_000, 1)]
        {
            let strips = Strips::new(rows, quads);
            assert!(strips.num_blocks as usize * strips.block_rows as usize >= rows, "{strips:?}");
            assert!((strips.num_blocks as usize - 1) * (strips.block_rows as usize) < rows, "{strips:?}");
            assert!(strips.num_blocks <= 1024, "{strips:?}");
            let finish = strips.finish();
            let turns = strips.num_blocks.div_ceil(4 * 256 / finish.wide);
            assert!(finish.wide.is_power_of_two() && turns <= 2, "{finish:?}");
        }
    }
}
