//! What follows from nearly tied decisions that the device makes otherwise than the reference, in a very large batch: such a
//! pixel moves another prototype, and its gradient comes from another one.
//!
//! A tensor is compared strictly first, and these numbers are what is reported. Only where they are beyond the tolerance,
//! and the file shows that a decision behind the tensor differs, are such pixels taken into account: prototypes of their
//! classes may deviate further, their own rows are left out of gradients per pixel, and gradients of weights, which sum over
//! all pixels, may deviate further.

use std::collections::{BTreeMap, BTreeSet};

use crate::head::{HeadOptions, ProjNorm};
use crate::proto::{UpdateAssign, UpdatePixels};
use crate::verify::compare::{Tolerance, compare};
use crate::verify::report::TensorReport;

use super::config::Golden;
use super::name::Name;
use super::run::Found;

/// One pixel of tens of thousands changes a weight's gradient by up to this share of its maximum.
const WEIGHT_GRADIENT: f64 = 1e-3;
/// How far a prototype may deviate that has been moved by other pixels.
const PROTOTYPE: f64 = 2e-4;

/// Pixels whose decisions differ from the file's, and may.
pub struct Flips<'a> {
    golden: &'a Golden,
    options: &'a HeadOptions,
    /// Labels at feature resolution.
    gt: &'a [f64],
    /// By the name of the decision.
    pixels: BTreeMap<String, BTreeSet<usize>>,
}

impl<'a> Flips<'a> {
    pub fn new(golden: &'a Golden, options: &'a HeadOptions, found: &'a Found) -> Self {
        let gt = found.get(&("gt".to_owned(), false)).map_or(&[][..], Vec::as_slice);
        Self { golden, options, gt, pixels: BTreeMap::new() }
    }

    /// Takes note of pixels whose decision `quantity` differs.
    pub fn add(&mut self, quantity: &str, pixels: BTreeSet<usize>) {
        self.pixels.entry(quantity.to_owned()).or_default().extend(pixels);
    }

    /// The decisions that the tensor `quantity` follows from.
    fn deciding(&self, quantity: &str) -> Vec<&'static str> {
        const CLUSTERING: [&str; 2] = ["assign", "target"];
        match quantity {
            "counts" | "protos_after" | "protos_after_argmax" => {
                let noisy = self.options.update_assign == UpdateAssign::Gumbel;
                let noisy = noisy && quantity != "protos_after_argmax";
                let mut names = if noisy { vec!["assign_gumbel"] } else { CLUSTERING.to_vec() };
                if self.options.update_pixels == UpdatePixels::Correct {
                    names.extend(["pred", "correct"]);
                }
                names
            }
            "g_raw_ce" => vec!["near_proto"],
            "g_raw_ppc" | "g_raw_ppd" => CLUSTERING.to_vec(),
            gradient if gradient.starts_with("g_") => [&CLUSTERING[..], &["near_proto"]].concat(),
            _ => Vec::new(),
        }
    }

    /// Pixels with another decision behind the tensor `quantity`.
    fn behind(&self, quantity: &str) -> BTreeSet<usize> {
        let names = self.deciding(quantity);
        names.iter().filter_map(|&name| self.pixels.get(name)).flatten().copied().collect()
    }

    /// Compares what follows from decisions.
    pub fn compare(&self, label: &str, name: &Name, found: &[f64], wanted: &[f64]) -> TensorReport {
        let c = &self.golden.config;
        let tolerance = name.tolerance(c.classes);
        let strict = compare(label, found, wanted, tolerance);
        if strict.ok || !self.golden.is_large() || c.runs() > 1 || found.len() != wanted.len() {
            return strict;
        }
        let flipped = self.behind(&name.quantity);
        if flipped.is_empty() {
            return strict;
        }
        let of_pixel = ["x", "emb"].map(|x| format!("g_{x}")).contains(&name.quantity);
        let (accepted, tolerance, note) = if name.quantity == "counts" {
            self.counts(found, wanted, &flipped)
        } else if name.quantity.starts_with("protos_after") {
            self.prototypes(found, wanted, &flipped, tolerance)
        } else if of_pixel || name.quantity.starts_with("g_raw_") {
            self.pixel_gradients(name, found, wanted, &flipped)
        } else {
            let note = format!("{WEIGHT_GRADIENT:.0e} allowed");
            (found.to_vec(), Tolerance::Relative(WEIGHT_GRADIENT), note)
        };
        let rest = compare(label, &accepted, wanted, tolerance);
        let left = rest.deviation();
        let note = format!("{} pixels with a tied decision differ: {note}, {left:.1e} remain", flipped.len());
        strict.excused(&rest, note)
    }

    /// The classes of pixels, whose prototypes they move.
    fn classes(&self, pixels: &BTreeSet<usize>) -> BTreeSet<usize> {
        let labels = pixels.iter().filter_map(|&n| self.gt.get(n));
        labels.filter(|&&label| label >= 0.0).map(|&label| label as usize).collect()
    }

    /// Takes the reference's numbers where those found belong to a class of `pixels` and `may(found, wanted)`.
    fn accept(
        &self,
        found: &[f64],
        wanted: &[f64],
        pixels: &BTreeSet<usize>,
        may: impl Fn(f64, f64) -> bool,
    ) -> Vec<f64> {
        let (classes, width) = (self.classes(pixels), found.len() / self.golden.config.classes);
        let pairs = found.iter().zip(wanted).enumerate();
        pairs.map(|(i, (&f, &w))| if classes.contains(&(i / width)) && may(f, w) { w } else { f }).collect()
    }

    fn counts(
        &self,
        found: &[f64],
        wanted: &[f64],
        flipped: &BTreeSet<usize>,
    ) -> (Vec<f64>, Tolerance, String) {
        // A pixel leaves one prototype and joins another.
        let moved: f64 = found.iter().zip(wanted).map(|(f, w)| (f - w).abs()).sum();
        let few = moved <= 2.0 * flipped.len() as f64;
        let note = "the counts of their classes are left out".to_owned();
        (self.accept(found, wanted, flipped, |_, _| few), Tolerance::Absolute(0.0), note)
    }

    fn prototypes(
        &self,
        found: &[f64],
        wanted: &[f64],
        flipped: &BTreeSet<usize>,
        tolerance: Tolerance,
    ) -> (Vec<f64>, Tolerance, String) {
        let accepted = self.accept(found, wanted, flipped, |f, w| (f - w).abs() <= PROTOTYPE);
        (accepted, tolerance, format!("{PROTOTYPE:.0e} allowed in their classes"))
    }

    fn pixel_gradients(
        &self,
        name: &Name,
        found: &[f64],
        wanted: &[f64],
        flipped: &BTreeSet<usize>,
    ) -> (Vec<f64>, Tolerance, String) {
        let c = &self.golden.config;
        // The first norm of the released head runs over the image row, and so does its gradient.
        let couples_rows = self.options.proj_norm == ProjNorm::Width;
        let reach = |n: usize| if couples_rows { n / c.width } else { n };
        let left_out: BTreeSet<_> = flipped.iter().map(|&n| reach(n)).collect();
        let rows = if name.sampled { self.golden.sample.clone() } else { (0..c.pixels()).collect() };
        let width = found.len() / rows.len().max(1);
        let mut accepted = found.to_vec();
        let mut count = 0;
        for (row, _) in rows.iter().enumerate().filter(|(_, n)| left_out.contains(&reach(**n))) {
            let at = row * width..(row + 1) * width;
            accepted[at.clone()].copy_from_slice(&wanted[at]);
            count += 1;
        }
        (accepted, name.tolerance(c.classes), format!("{count} of {} rows left out", rows.len()))
    }
}
