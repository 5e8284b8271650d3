//! The scores behind decisions: the file's own, and the device's where the file does not hold them.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::oracle::corners::taps;
use crate::oracle::dot;

use super::config::Golden;
use super::name::Name;
use super::reference;
use super::run::{Found, Wanted};

/// The scores of one profile. Reading them is by pixel, whether the file holds a tensor in full or at sampled pixels.
pub struct Scores<'a> {
    golden: &'a Golden,
    device: &'a Found,
    file: BTreeMap<Wanted, Vec<f64>>,
    /// The row of a sampled pixel.
    row_of: BTreeMap<usize, usize>,
    /// Unit prototypes `[C*K,D]`; of a large file only.
    protos: Vec<f64>,
}

impl<'a> Scores<'a> {
    /// `names` are the tensors of the profile, `q` its final soft assignment.
    pub fn new(golden: &'a Golden, device: &'a Found, names: &[(String, Name)], q: &str) -> Result<Self> {
        let mut file = BTreeMap::new();
        for (label, name) in names.iter().filter(|(_, n)| [q, "seg", "sim", "emb"].contains(&&n.quantity[..]))
        {
            let key = (name.quantity.clone(), name.sampled);
            // A file may hold both precisions.
            if label.contains("64.") || !file.contains_key(&key) {
                file.insert(key, reference(golden, label, name)?);
            }
        }
        let c = &golden.config;
        let mut protos = Vec::new();
        if golden.is_large() {
            let raw = golden.input("protos", c.classes * c.prototypes * c.embedding)?;
            for row in raw.chunks_exact(c.embedding) {
                let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt().max(1e-12);
                protos.extend(row.iter().map(|&x| f64::from(x) / norm));
            }
        }
        let row_of = golden.sample.iter().enumerate().map(|(row, &n)| (n, row)).collect();
        Ok(Self { golden, device, file, row_of, protos })
    }

    /// The file's `width` numbers of `quantity` at pixel `n`.
    fn own(&self, quantity: &str, n: usize, width: usize) -> Option<&[f64]> {
        let full = self.file.get(&(quantity.to_owned(), false)).and_then(|data| row(data, n, width));
        full.or_else(|| row(self.file.get(&(quantity.to_owned(), true))?, *self.row_of.get(&n)?, width))
    }

    /// Number `column` of the `width` numbers of `quantity` at pixel `n`.
    pub fn get(&self, quantity: &str, n: usize, width: usize, column: usize) -> Option<f64> {
        let device = || row(self.device.get(&(quantity.to_owned(), false))?, n, width);
        self.own(quantity, n, width).or_else(device)?.get(column).copied()
    }

    /// The cosine of pixel `n` to prototype `j` of all.
    pub fn similarity(&self, n: usize, j: usize) -> Option<f64> {
        let c = &self.golden.config;
        if let Some(sims) = self.own("sim", n, c.classes * c.prototypes) {
            return sims.get(j).copied();
        }
        let size = c.embedding;
        let device = || row(self.device.get(&("emb".to_owned(), false))?, n, size);
        let emb = self.own("emb", n, size).or_else(device)?;
        Some(dot(emb, row(&self.protos, j, size)?))
    }

    /// The nearest prototype of `class` at pixel `n` by the file's similarities, if it holds them there.
    pub fn nearest(&self, n: usize, class: usize) -> Option<usize> {
        let c = &self.golden.config;
        let own = row(self.own("sim", n, c.classes * c.prototypes)?, class, c.prototypes)?;
        Some((1..c.prototypes).fold(0, |best, k| if own[k] > own[best] { k } else { best }))
    }

    /// The class's logit at label pixel `m`, interpolated in f64.
    pub fn upsampled(&self, m: usize, class: usize) -> Option<f64> {
        let c = &self.golden.config;
        let (x, y) = (m % c.label_width, m / c.label_width % c.label_height);
        let image = m / (c.label_width * c.label_height) * c.height;
        let (y0, y1, ty) = taps(c.height, c.label_height)[y];
        let (x0, x1, tx) = taps(c.width, c.label_width)[x];
        let at = |y: usize, x: usize| self.get("seg", (image + y) * c.width + x, c.classes, class);
        let (top, bottom) =
            ((1.0 - tx) * at(y0, x0)? + tx * at(y0, x1)?, (1.0 - tx) * at(y1, x0)? + tx * at(y1, x1)?);
        Some((1.0 - ty) * top + ty * bottom)
    }
}

fn row(data: &[f64], index: usize, width: usize) -> Option<&[f64]> {
    data.get(index * width..(index + 1) * width)
}
