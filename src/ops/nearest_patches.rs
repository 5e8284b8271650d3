//! Where an image comes nearest to every prototype: the patches that stand for it.

use super::proto_rule::on_map;
use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        height: u32,
        width: u32,
        quads: u32,
        num_protos: u32,
        first: u32,
        tile_quads: u32,
        num_patches: u32,
        radius: u32,
    }
}

/// Most places per prototype.
pub const MAX_PATCHES: usize = 8;
/// Elements of the cosines of a tile of prototypes, unless four prototypes alone need more.
const TILE: usize = 4 << 20;
/// Most prototypes in a tile: one workgroup each, along one axis.
const MAX_TILE: usize = 16_384;
/// Iterations that one invocation may do: some drivers stop at 65,535.
const MAX_ITERATIONS: usize = 65_535;

/// Inputs `emb [1,h,w,D]`, `protos [C,K,D]`; outputs `cosine [C,K,R]` and `place u32 [C,K,R]`.
#[derive(Clone, Copy, Debug)]
pub struct NearestPatches {
    /// R, 1 to [`MAX_PATCHES`].
    pub num_patches: usize,
    /// Places of one prototype are further apart than this in rows or in columns.
    pub radius: usize,
}

/// Records `(cosine, place)`: the R places of the feature map (`y * w + x`) with the highest cosine to each prototype, in order,
/// each more than `radius` rows or columns from those before. Ties go to the lower place; where none is left the cosine
/// is -3e38 and the place 0.
///
/// # Errors
/// [`Error::Shape`] if the shapes are others, R is out of range, or the map is so large that one invocation would do more
/// than 65,535 iterations (about half a million places for R = 8).
pub fn nearest_patches(
    tape: &mut Tape,
    emb: ValueId,
    protos: ValueId,
    op: NearestPatches,
) -> Result<(ValueId, ValueId)> {
    let out = tape.push(op, &[emb, protos])?;
    Ok((out[0], out[1]))
}

impl NearestPatches {
    /// Iterations of one invocation of `patch_select`: what it scans, the tree, and what it strikes out, every round.
    fn iterations(&self, [h, w]: [usize; 2]) -> usize {
        let across = |extent: usize| self.radius.saturating_mul(2).saturating_add(1).min(extent);
        self.num_patches * ((h * w).div_ceil(64) + 6 + (across(h) * across(w)).div_ceil(64))
    }
}

impl Op for NearestPatches {
    fn stem(&self) -> &'static str {
        "nearest_patches"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let [[h, w], [c, k]] = on_map("nearest_patches", inputs[0], inputs[1])?;
        let r = self.num_patches;
        if r == 0 || r > MAX_PATCHES || self.iterations([h, w]) > MAX_ITERATIONS {
            let problem = format!(
                "{r} places with radius {} on a map of {h} x {w}, 1 to {MAX_PATCHES} on fewer places wanted",
                self.radius
            );
            return Err(Error::shape("nearest_patches", problem));
        }
        Ok(vec![Spec::f32(&[c, k, r]), Spec::u32(&[c, k, r])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (emb, num_protos) = (l.input(0), l.output(0).rows());
        let [height, width] = [emb.shape[1], emb.shape[2]];
        let runs = (height * width).div_ceil(4);
        let in_tile = (TILE / (4 * runs)).min(MAX_TILE).min(num_protos).next_multiple_of(4).max(4);
        let tile = l.scratch(in_tile * 4 * runs);
        for first in (0..num_protos).step_by(in_tile) {
            let count = in_tile.min(num_protos - first);
            let params = Params {
                height: height as u32,
                width: width as u32,
                quads: emb.quads() as u32,
                num_protos: num_protos as u32,
                first: first as u32,
                tile_quads: count.div_ceil(4) as u32,
                num_patches: self.num_patches as u32,
                // Beyond the map there is nothing to strike out.
                radius: self.radius.min(height.max(width)) as u32,
            };
            let bindings = [("emb", l.read(0)), ("protos", l.read(1)), ("tile", tile)];
            let items = count.div_ceil(4) * runs;
            l.dispatch("nearest_patches", "patch_cosines", &params, &bindings, grid(items, 64));
            let bindings = [("scores", tile), ("cosine", l.write(0)), ("place", l.write(1))];
            l.dispatch("nearest_patches", "patch_select", &params, &bindings, [count as u32, 1, 1]);
        }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let nearest = oracle::nearest_patches::nearest_patches;
        nearest(inputs[0], inputs[1], self.num_patches, self.radius).into()
    }

    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        2 * (inputs[0].len() * outputs[0].rows()) as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: [usize; 3], protos: [usize; 2], emb: Fill, op: NearestPatches| {
        let inputs = vec![
            Input::fixed(&[1, shape[0], shape[1], shape[2]], emb),
            Input::fixed(&[protos[0], protos[1], shape[2]], Fill::UnitRows),
        ];
        Case::new(name, inputs, move |t, v| {
            nearest_patches(t, v[0], v[1], op)?;
            Ok(Vec::new())
        })
    };
    let of = |num_patches, radius| NearestPatches { num_patches, radius };
    // Three different embeddings over and over.
    let ties = (0..9 * 11 * 3).map(|i| f32::from(u8::from(i % 3 == i / 3 * 7 % 5 % 3))).collect();
    vec![
        case("three of each", [7, 9, 12], [4, 3], Fill::UnitRows, of(3, 1)),
        case("eight, no place twice", [5, 13, 9], [3, 5], Fill::UnitRows, of(8, 0)),
        case("radius that leaves too few", [6, 7, 8], [2, 2], Fill::UnitRows, of(8, 3)),
        case("radius beyond the map", [6, 7, 8], [1, 2], Fill::UnitRows, of(2, usize::MAX)),
        case("ties", [9, 11, 3], [2, 3], Fill::Values(ties), of(5, 1)),
        case("one place", [1, 1, 3], [2, 1], Fill::UnitRows, of(4, 0)),
        case("several tiles", [260, 250, 4], [17, 4], Fill::UnitRows, of(2, 20)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::DType;

    #[test]
    fn maps_that_take_too_many_iterations_are_refused() {
        let takes = |[h, w]: [usize; 2], num_patches, radius| {
            let mut tape = Tape::new();
            let emb = tape.input("emb", &[1, h, w, 4], DType::F32);
            let protos = tape.input("protos", &[2, 2, 4], DType::F32);
            nearest_patches(&mut tape, emb, protos, NearestPatches { num_patches, radius }).is_ok()
        };
        // 8 * (8184 + 6 + 1) = 65,528.
        assert!(takes([8184, 64], 8, 0));
        assert!(!takes([8185, 64], 8, 0));
        assert!(takes([65_528, 64], 1, 0));
        assert!(!takes([65_529, 64], 1, 0));
        // What is struck out counts as well.
        assert!(takes([4092, 64], 8, 4092));
        assert!(!takes([4094, 64], 8, 4094));
        assert!(!takes([3, 3], 0, 0) && !takes([3, 3], 9, 0));
    }
}
