//! Comparison of whole numbers. They must be identical, except where the reference's own decision is nearly tied: a few
//! pixels of the upsampled class map, and in a very large batch a small share of every decision.

use std::collections::BTreeSet;

use crate::oracle::corners::taps;
use crate::oracle::dot;
use crate::verify::compare::{Tolerance, compare};
use crate::verify::report::TensorReport;

use super::config::Golden;
use super::name::Name;
use super::run::Found;

/// Two scores nearer than this are a tie that f32 may decide otherwise.
const MARGIN: f64 = 1e-4;
/// Cosines nearer than this are the same to f32: its error in an embedding is about half of it.
const RESOLUTION: f64 = 5e-7;
/// Pixels of a class map at label size that may differ.
const MAP_PIXELS: usize = 3;
/// Share of the pixels that may differ in a very large batch: 0.05 %.
pub const SHARE: f64 = 5e-4;

/// The scores behind the decisions of one profile.
pub struct Ties<'a> {
    golden: &'a Golden,
    found: &'a Found,
    /// Class logits `[N,C]` that the class map at label size is made of: the reference's, or the device's if the file has
    /// none.
    seg: Option<&'a [f64]>,
    /// Name of the final soft assignment.
    q: String,
    /// Unit prototypes `[C*K,D]`.
    protos: Vec<f64>,
    noise: Option<Vec<f32>>,
}

impl<'a> Ties<'a> {
    /// `seg` are the reference's class logits `[N,C]`, if the file has all of them.
    pub fn new(
        golden: &'a Golden,
        found: &'a Found,
        seg: Option<&'a [f64]>,
        q: String,
    ) -> crate::Result<Self> {
        let c = &golden.config;
        let device = found.get(&("seg".to_owned(), false)).map(Vec::as_slice);
        let (mut protos, mut noise) = (Vec::new(), None);
        if golden.is_large() {
            let raw = golden.input("protos", c.classes * c.prototypes * c.embedding)?;
            for row in raw.chunks_exact(c.embedding) {
                let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt().max(1e-12);
                protos.extend(row.iter().map(|&x| f64::from(x) / norm));
            }
            noise = golden.steps()?.swap_remove(0).gumbel;
        }
        Ok(Self { golden, found, seg: seg.or(device), q, protos, noise })
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
        let report = compare(label, &accepted, wanted, Tolerance::Absolute(0.0));
        let note = format!(
            "{} nearly tied pixels differ, {} others; {limit} nearly tied ones may",
            pixels.len(),
            wrong.len()
        );
        (TensorReport { note: Some(note), ..report }, pixels)
    }

    /// Compares the numbers of pixels per prototype, of which `flips` went elsewhere.
    pub fn compare_counts(&self, label: &str, found: &[f64], wanted: &[f64], flips: usize) -> TensorReport {
        let plain = compare(label, found, wanted, Tolerance::Absolute(0.0));
        let moved: f64 = found.iter().zip(wanted).map(|(f, w)| (f - w).abs()).sum();
        if plain.ok || found.len() != wanted.len() || moved > 2.0 * flips as f64 {
            return plain;
        }
        let note = Some(format!("{flips} nearly tied pixels differ and may"));
        TensorReport { note, ..compare(label, wanted, wanted, Tolerance::Absolute(0.0)) }
    }

    /// The distance between the scores of two decisions; `None` where they are not of one pixel and kind.
    fn margin(&self, name: &Name, index: usize, found: f64, wanted: f64) -> Option<f64> {
        let c = &self.golden.config;
        let column = index % self.columns(name);
        let row = index / self.columns(name);
        let n = self.pixel(name, row)?;
        let (found, wanted) = (whole(found)?, whole(wanted)?);
        let q = |k: usize| self.get(&self.q, n, c.prototypes, k);
        let sim = |j: usize| self.similarity(n, j);
        let between = |score: &dyn Fn(usize) -> Option<f64>| Some((score(found)? - score(wanted)?).abs());
        match name.quantity.as_str() {
            "assign" => between(&q),
            "target" if found / c.prototypes == wanted / c.prototypes => between(&|t| q(t % c.prototypes)),
            "assign_gumbel" => {
                let noise = self.noise.as_ref()?;
                between(&|k| Some(q(k)? + f64::from(*noise.get(n * c.prototypes + k)?)))
            }
            "pred" => between(&|class| self.get("seg", n, c.classes, class)),
            "correct" => {
                let truth = whole(*self.found.get(&("gt".to_owned(), false))?.get(n)?)?;
                let score = |class| self.get("seg", n, c.classes, class);
                let others = (0..c.classes).filter(|&class| class != truth).filter_map(score);
                Some((score(truth)? - others.fold(f64::NEG_INFINITY, f64::max)).abs())
            }
            "near_proto" => between(&|k| sim(column * c.prototypes + k)),
            "win_proto" => between(&sim),
            "pred_full" => between(&|class| self.upsampled(index, class)),
            _ => None,
        }
    }

    /// Pixels for which f32 cannot tell the nearest prototype of some class.
    pub fn unclear_nearest(&self) -> BTreeSet<usize> {
        let c = &self.golden.config;
        let class = |n: usize, class: usize| {
            lead((0..c.prototypes).filter_map(|k| self.similarity(n, class * c.prototypes + k))) < RESOLUTION
        };
        (0..c.pixels()).filter(|&n| (0..c.classes).any(|j| class(n, j))).collect()
    }

    /// Pixels whose assignment is nearly tied.
    pub fn unclear_assignment(&self) -> BTreeSet<usize> {
        let k = self.golden.config.prototypes;
        let rows = self.found.get(&(self.q.clone(), false)).into_iter().flat_map(|q| q.chunks_exact(k));
        let unclear = |row: &[f64]| row.iter().any(|&q| q > 0.0) && lead(row.iter().copied()) < MARGIN;
        rows.enumerate().filter(|(_, row)| unclear(row)).map(|(n, _)| n).collect()
    }

    fn similarity(&self, n: usize, j: usize) -> Option<f64> {
        let size = self.golden.config.embedding;
        let emb = self.found.get(&("emb".to_owned(), false))?.get(n * size..(n + 1) * size)?;
        Some(dot(emb, self.protos.get(j * size..(j + 1) * size)?))
    }

    fn get(&self, quantity: &str, n: usize, width: usize, column: usize) -> Option<f64> {
        let data = self.found.get(&(quantity.to_owned(), false))?;
        (column < width).then(|| data.get(n * width + column).copied())?
    }

    /// The class's logit at label pixel `m`, interpolated in f64.
    fn upsampled(&self, m: usize, class: usize) -> Option<f64> {
        let c = &self.golden.config;
        let (x, y) = (m % c.label_width, m / c.label_width % c.label_height);
        let image = m / (c.label_width * c.label_height) * c.height;
        let (y0, y1, ty) = taps(c.height, c.label_height)[y];
        let (x0, x1, tx) = taps(c.width, c.label_width)[x];
        let at = |y: usize, x: usize| {
            let n = (image + y) * c.width + x;
            (class < c.classes).then(|| self.seg?.get(n * c.classes + class).copied())?
        };
        let (top, bottom) =
            ((1.0 - tx) * at(y0, x0)? + tx * at(y0, x1)?, (1.0 - tx) * at(y1, x0)? + tx * at(y1, x1)?);
        Some((1.0 - ty) * top + ty * bottom)
    }
}

/// The distance between the two highest scores.
fn lead(scores: impl Iterator<Item = f64>) -> f64 {
    let (best, second) = scores.fold((f64::NEG_INFINITY, f64::NEG_INFINITY), |(best, second), x| {
        if x > best { (x, best) } else { (best, second.max(x)) }
    });
    best - second
}

/// A decision as an index; `None` for -1.
fn whole(x: f64) -> Option<usize> {
    (x >= 0.0).then_some(x as usize)
}
