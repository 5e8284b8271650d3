//! How kernels that keep one channel quad per invocation share out the rows (`shaders/lib/walk.wgsl`). Those of GPUs that sum
//! over rows do it by [`super::strips`].

use std::ops::RangeInclusive;

use crate::error::{Error, Result};
use crate::gpu::{Caps, Slot, grid, uniform};
use crate::tape::{Launch, Value};

/// Partial results that one invocation of a merging kernel takes in.
pub(super) const FAN_IN: usize = 32;

/// Checks that `x` has rows of channels and that all of `vectors` hold one number per channel.
pub(super) fn check(op: &'static str, x: &Value, vectors: &[&Value]) -> Result<()> {
    if x.shape.len() < 2 || x.is_empty() {
        return Err(Error::shape(op, format!("`{}` {:?} has no rows of channels", x.name, x.shape)));
    }
    match vectors.iter().find(|v| v.shape != [x.channels()]) {
        None => Ok(()),
        Some(v) => {
            let problem = format!("`{}` {:?} does not fit `{}` {:?}", v.name, v.shape, x.name, x.shape);
            Err(Error::shape(op, problem))
        }
    }
}

/// Rows and channel quads shared out over invocations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    pub rows: u32,
    pub quads: u32,
    /// Rows that a team takes at once.
    pub team_rows: u32,
    /// Rows that a team takes in all.
    pub block_rows: u32,
    /// Partial results per quad if every invocation leaves one.
    pub num_parts: u32,
}

impl Walk {
    /// At most `most` rows per invocation; fewer when that would leave too few invocations to fill a software adapter.
    pub fn new(rows: usize, quads: usize, most: usize) -> Self {
        Self::filling(4096, rows, quads, 4..=most)
    }

    /// The same for a device that the adapter's kernels are made for: a GPU waits half a microsecond for every row.
    pub fn on(caps: &Caps, rows: usize, quads: usize, most: usize) -> Self {
        if caps.variant.is_parallel() {
            Self::filling(200_000, rows, quads, 1..=most)
        } else {
            Self::new(rows, quads, most)
        }
    }

    fn filling(invocations: usize, rows: usize, quads: usize, limits: RangeInclusive<usize>) -> Self {
        let team_rows = (64 / quads.max(1)).max(1);
        let steps = (rows * quads / invocations).clamp(*limits.start(), *limits.end());
        let block_rows = team_rows * steps;
        let num_parts = rows.div_ceil(block_rows).max(1) * team_rows;
        Self {
            rows: rows as u32,
            quads: quads as u32,
            team_rows: team_rows as u32,
            block_rows: block_rows as u32,
            num_parts: num_parts as u32,
        }
    }

    /// Workgroups of 64 invocations.
    pub fn grid(&self) -> [u32; 3] {
        grid(self.num_parts as usize * self.quads as usize, 64)
    }
}

/// The numbers of partial results after each merging dispatch, until few enough are left for the finishing one.
pub(super) fn merges(num_parts: u32) -> impl Iterator<Item = (u32, u32)> {
    let mut left = num_parts as usize;
    std::iter::from_fn(move || {
        let before = left;
        (before > 4 * FAN_IN).then(|| {
            left = before.div_ceil(FAN_IN);
            (before as u32, left as u32)
        })
    })
}

/// The constant of `lib/touch.wgsl`.
pub(super) fn touch(caps: &Caps) -> (&'static str, f64) {
    ("TOUCH", if caps.software { 1.0 } else { 0.0 })
}

uniform! {
    struct Columns { width: u32, parts_in: u32, parts_out: u32, fan_in: u32 }
}

/// Appends the stages that add up `num_parts` parts of `width` vec4s until a finishing kernel can do the rest
/// (`shaders/lib/columns.wgsl`, which shader `stem` must include); returns the buffer and the number of parts in it.
pub(super) fn merge_columns(
    l: &mut Launch<'_>,
    stem: &'static str,
    parts: Slot,
    num_parts: u32,
    width: usize,
) -> (Slot, u32) {
    let mut found = (parts, num_parts);
    for (parts_in, parts_out) in merges(num_parts) {
        let to = l.scratch(parts_out as usize * 4 * width);
        let columns = Columns { width: width as u32, parts_in, parts_out, fan_in: FAN_IN as u32 };
        let bindings = [("parts", found.0), ("parts_out", to)];
        l.dispatch(stem, "columns_merge", &columns, &bindings, grid(parts_out as usize * width, 64));
        found = (to, parts_out);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_all_rows_and_merging_ends() {
        for (rows, quads) in [(1, 1), (3, 700), (640, 240), (4_000_000, 4), (5, 64), (65_537, 3)] {
            let walk = Walk::new(rows, quads, 64);
            let blocks = walk.num_parts / walk.team_rows;
            assert!(blocks as usize * walk.block_rows as usize >= rows, "{walk:?}");
            assert!((blocks as usize - 1) * (walk.block_rows as usize) < rows.max(1), "{walk:?}");
            let last = merges(walk.num_parts).last().map_or(walk.num_parts, |m| m.1);
            assert!(last as usize <= 4 * FAN_IN);
        }
    }
}
