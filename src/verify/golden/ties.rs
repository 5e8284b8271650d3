//! Comparison of whole numbers. They must be identical, except where the decision is nearly tied: a few pixels of the
//! upsampled class map, and in a very large batch a small share of every decision. How near a tie is, the file's own scores
//! tell; the device's stand in for those that it does not hold.

use std::collections::BTreeSet;

use crate::verify::compare::{Tolerance, compare};
use crate::verify::report::TensorReport;

use super::config::Golden;
use super::name::Name;
use super::run::Found;
use super::scores::Scores;

/// Two scores nearer than this are a tie that f32 may decide otherwise.
const MARGIN: f64 = 1e-4;
/// Pixels of a class map at label size that may differ.
const MAP_PIXELS: usize = 3;
/// Share of the pixels that may differ in a very large batch: 0.05 %.
const SHARE: f64 = 5e-4;

/// Tells ties from mistakes in the decisions of one profile.
pub struct Ties<'a> {
    golden: &'a Golden,
    found: &'a Found,
    scores: Scores<'a>,
    /// Name of the final soft assignment.
    q: String,
    noise: Option<Vec<f32>>,
}

impl<'a> Ties<'a> {
    /// `names` are the tensors of the profile, `q` its final soft assignment.
    pub fn new(
        golden: &'a Golden,
        found: &'a Found,
        names: &[(String, Name)],
        q: String,
    ) -> crate::Result<Self> {
        let noise = if golden.is_large() { golden.steps()?.swap_remove(0).gumbel } else { None };
        Ok(Self { golden, found, scores: Scores::new(golden, found, names, &q)?, q, noise })
    }

    /// How many pixels of `name` may differ.
    fn limit(&self, name: &Name, count: usize) -> usize {
        let large = self.golden.is_large() && name.quantity != "gt";
        let share = if large { (SHARE * self.pixels(name, count) as f64) as usize } else { 0 };
        if name.quantity == "pred_full" { share.max(MAP_PIXELS) } else { share }
    }

    /// Pixels among `count` numbers: `near_proto` has one number per class and pixel.
    fn pixels(&self, name: &Name, count: usize) -> usize {
        count / self.columns(name)
    }

    /// The pixel of a row.
    fn pixel(&self, name: &Name, row: usize) -> Option<usize> {
        if name.sampled { self.golden.sample.get(row).copied() } else { Some(row) }
    }

    fn columns(&self, name: &Name) -> usize {
        if name.quantity == "near_proto" { self.golden.config.classes } else { 1 }
    }

    /// Compares decisions; returns the pixels that differ and may.
    pub fn compare(
        &self,
        label: &str,
        name: &Name,
        found: &[f64],
        wanted: &[f64],
    ) -> (TensorReport, BTreeSet<usize>) {
        let plain = compare(label, found, wanted, Tolerance::Absolute(0.0));
        let limit = self.limit(name, wanted.len());
        if plain.ok || limit == 0 || found.len() != wanted.len() || self.golden.config.runs() > 1 {
            return (plain, BTreeSet::new());
        }
        let tied = |&i: &usize| self.margin(name, i, found[i], wanted[i]).is_some_and(|m| m < MARGIN);
        let (tied, wrong): (Vec<usize>, Vec<usize>) =
            (0..found.len()).filter(|&i| found[i] != wanted[i]).partition(tied);
        let pixels: BTreeSet<_> =
            tied.iter().filter_map(|i| self.pixel(name, i / self.columns(name))).collect();
        if pixels.len() > limit {
            let note = format!("{} pixels are nearly tied, at most {limit} may differ", pixels.len());
            return (TensorReport { note: Some(note), ..plain }, BTreeSet::new());
        }
        let mut accepted = found.to_vec();
        tied.iter().for_each(|&i| accepted[i] = wanted[i]);
        let others = compare(label, &accepted, wanted, Tolerance::Absolute(0.0));
        let note = format!(
            "{} nearly tied pixels differ, {} others; {limit} nearly tied ones may",
            pixels.len(),
            wrong.len()
        );
        (plain.excused(&others, note), pixels)
    }

    /// The distance between the scores of two decisions; `None` where they are not of one pixel and kind.
    fn margin(&self, name: &Name, index: usize, found: f64, wanted: f64) -> Option<f64> {
        let c = &self.golden.config;
        let column = index % self.columns(name);
        let row = index / self.columns(name);
        let n = self.pixel(name, row)?;
        let (found, wanted) = (whole(found)?, whole(wanted)?);
        let q = |k: usize| self.scores.get(&self.q, n, c.prototypes, k);
        let seg = |class: usize| self.scores.get("seg", n, c.classes, class);
        let sim = |j: usize| self.scores.similarity(n, j);
        let between = |score: &dyn Fn(usize) -> Option<f64>| Some((score(found)? - score(wanted)?).abs());
        match name.quantity.as_str() {
            "assign" => between(&q),
            "target" if found / c.prototypes == wanted / c.prototypes => between(&|t| q(t % c.prototypes)),
            "assign_gumbel" => {
                let noise = self.noise.as_ref()?;
                between(&|k| Some(q(k)? + f64::from(*noise.get(n * c.prototypes + k)?)))
            }
            "pred" => between(&seg),
            "correct" => {
                let truth = whole(*self.found.get(&("gt".to_owned(), false))?.get(n)?)?;
                let others = (0..c.classes).filter(|&class| class != truth).filter_map(seg);
                Some((seg(truth)? - others.fold(f64::NEG_INFINITY, f64::max)).abs())
            }
            "near_proto" => between(&|k| sim(column * c.prototypes + k)),
            "win_proto" => between(&sim),
            "pred_full" => between(&|class| self.scores.upsampled(index, class)),
            _ => None,
        }
    }

    /// Sampled pixels at which the device's nearest prototype of some class is not that of the file's similarities, and
    /// nearly tied with it: of a file without `near_proto`, which would tell.
    pub fn nearest_in_sample(&self) -> BTreeSet<usize> {
        let c = &self.golden.config;
        let Some(found) = self.found.get(&("near_proto".to_owned(), false)) else { return BTreeSet::new() };
        let name = Name::of_all("near_proto");
        let flips = |n: usize, class: usize| {
            let (index, wanted) = (n * c.classes + class, self.scores.nearest(n, class)? as f64);
            let margin = self.margin(&name, index, found[index], wanted)?;
            Some(found[index] != wanted && margin < MARGIN)
        };
        let sample = self.golden.sample.iter().copied();
        let pixels: BTreeSet<_> =
            sample.filter(|&n| (0..c.classes).any(|j| flips(n, j) == Some(true))).collect();
        if pixels.len() > self.limit(&name, found.len()) { BTreeSet::new() } else { pixels }
    }
}

/// A decision as an index; `None` for -1.
fn whole(x: f64) -> Option<usize> {
    (x >= 0.0).then_some(x as usize)
}
