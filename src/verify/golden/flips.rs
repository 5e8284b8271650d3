//! What follows from nearly tied decisions that the device makes otherwise than the reference, in a very large batch: such a
//! pixel moves another prototype, and its gradient comes from another one.
//!
//! A tensor is compared strictly first. Only where it fails, and such pixels are known or possible, they are taken into
//! account: prototypes may deviate further, rows of these pixels are left out of gradients per pixel, and gradients of
//! weights, which sum over all pixels, may deviate further.

use std::collections::BTreeSet;

use crate::head::{HeadOptions, ProjNorm};
use crate::verify::compare::{Tolerance, compare};
use crate::verify::report::TensorReport;

use super::config::Golden;
use super::name::Name;
use super::ties::{SHARE, Ties};

/// One pixel of tens of thousands changes a weight's gradient by up to this share of its maximum.
const WEIGHT_GRADIENT: f64 = 1e-3;
/// How far a prototype may deviate that has been moved by other pixels.
const PROTOTYPE: f64 = 2e-4;

/// Pixels whose decisions differ or may differ.
pub struct Flips<'a> {
    golden: &'a Golden,
    ties: &'a Ties<'a>,
    couples_rows: bool,
    /// Decisions that the file holds in full.
    known: BTreeSet<String>,
    /// Pixels with a decision that differs, and may.
    found: BTreeSet<usize>,
    /// Of these, pixels that move a prototype by it.
    moving: BTreeSet<usize>,
    /// All that may differ, once it was needed.
    suspects: Option<BTreeSet<usize>>,
}

impl<'a> Flips<'a> {
    pub fn new(
        golden: &'a Golden,
        ties: &'a Ties<'a>,
        options: &HeadOptions,
        names: &[(String, Name)],
    ) -> Self {
        let full = names.iter().filter(|(_, name)| name.is_decision() && !name.sampled);
        let known = full.map(|(_, name)| name.quantity.clone()).collect();
        let couples_rows = options.proj_norm == ProjNorm::Width;
        let (found, moving) = (BTreeSet::new(), BTreeSet::new());
        Self { golden, ties, couples_rows, known, found, moving, suspects: None }
    }

    /// Takes note of pixels whose decision `name` differs.
    pub fn add(&mut self, name: &Name, pixels: BTreeSet<usize>) {
        if name.quantity == "pred_full" {
            return;
        }
        if ["assign", "assign_gumbel", "pred", "correct"].contains(&name.quantity.as_str()) {
            self.moving.extend(&pixels);
        }
        self.found.extend(pixels);
    }

    /// Number of pixels that move another prototype than the reference's.
    pub fn num_moving(&self) -> usize {
        self.moving.len()
    }

    /// Compares what follows from decisions.
    pub fn compare(&mut self, label: &str, name: &Name, found: &[f64], wanted: &[f64]) -> TensorReport {
        let c = &self.golden.config;
        let strict = compare(label, found, wanted, name.tolerance(c.classes));
        if strict.ok || !self.golden.is_large() || c.runs() > 1 || found.len() != wanted.len() {
            return strict;
        }
        if name.quantity.starts_with("protos_after") {
            return self.compare_prototypes(label, found, wanted, strict);
        }
        let Some(gradient) = name.quantity.strip_prefix("g_") else { return strict };
        let suspects = self.suspects();
        if suspects.is_empty() || suspects.len() as f64 > 10.0 * SHARE * c.pixels() as f64 {
            return strict;
        }
        let per_pixel = ["x", "emb"].contains(&gradient) || gradient.starts_with("raw_");
        if !per_pixel {
            let note = format!(
                "{} pixels have a tied decision, so {WEIGHT_GRADIENT:.0e} is allowed",
                suspects.len()
            );
            let report = compare(label, found, wanted, Tolerance::Relative(WEIGHT_GRADIENT));
            return TensorReport { note: Some(note), ..report };
        }
        // The first norm of the released head runs over the image row, and so does its gradient.
        let reach = |n: usize| if self.couples_rows { n / c.width } else { n };
        let left_out: BTreeSet<_> = suspects.iter().map(|&n| reach(n)).collect();
        let rows = if name.sampled { self.golden.sample.clone() } else { (0..c.pixels()).collect() };
        let width = found.len() / rows.len().max(1);
        let mut accepted = found.to_vec();
        let mut count = 0;
        for (row, _) in rows.iter().enumerate().filter(|(_, n)| left_out.contains(&reach(**n))) {
            let at = row * width..(row + 1) * width;
            accepted[at.clone()].copy_from_slice(&wanted[at]);
            count += 1;
        }
        let note = format!("{count} of {} pixels left out, for a tied decision", rows.len());
        let report = compare(label, &accepted, wanted, name.tolerance(c.classes));
        TensorReport { note: Some(note), ..report }
    }

    fn compare_prototypes(
        &self,
        label: &str,
        found: &[f64],
        wanted: &[f64],
        strict: TensorReport,
    ) -> TensorReport {
        let known = |names: &[&str]| names.iter().any(|name| self.known.contains(*name));
        let told = known(&["assign", "assign_gumbel", "target"]) && known(&["pred", "correct"]);
        if told && self.moving.is_empty() {
            return strict;
        }
        let note = if told {
            format!("{} pixels with a tied decision differ", self.moving.len())
        } else {
            "the file does not tell which pixels with a tied decision differ".to_owned()
        };
        TensorReport { note: Some(note), ..compare(label, found, wanted, Tolerance::Absolute(PROTOTYPE)) }
    }

    /// Pixels that differ, and those that may as far as the file tells.
    fn suspects(&mut self) -> BTreeSet<usize> {
        if let Some(suspects) = &self.suspects {
            return suspects.clone();
        }
        let mut suspects = self.found.clone();
        if !self.known.contains("near_proto") {
            suspects.extend(self.ties.unclear_nearest());
        }
        if !self.known.contains("assign") && !self.known.contains("target") {
            suspects.extend(self.ties.unclear_assignment());
        }
        self.suspects.insert(suspects).clone()
    }
}
