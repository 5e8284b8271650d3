//! How many pixels have which class and prototype: the viewer's legend.

use super::pixel_label::MAX_LABEL;
use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::rng;
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_pixels: u32, num_bins: u32, num_protos: u32 }
}

/// Counts that a workgroup keeps in its own memory (`lib/histogram.wgsl`).
pub(super) const MAX_BINS: usize = 2048;
/// Pixels that such a workgroup counts.
pub(super) const PIXELS_PER_GROUP: usize = 8192;

/// Input `label u32 [B,H,W]`; output `counts u32 [C,K]`.
#[derive(Clone, Copy, Debug)]
pub struct CountLabels {
    /// C.
    pub num_classes: usize,
    /// K, 1 or more.
    pub num_prototypes: usize,
}

/// Records the number of pixels per label `class | k << 16`, `[C, max(K,1)]`; labels out of range do not count.
///
/// # Errors
/// [`Error::Shape`] if the labels are no `u32`, or C is 0, or C or K is above [`MAX_LABEL`].
pub fn count_labels(
    tape: &mut Tape,
    label: ValueId,
    num_classes: usize,
    num_prototypes: usize,
) -> Result<ValueId> {
    tape.push1(CountLabels { num_classes, num_prototypes: num_prototypes.max(1) }, &[label])
}

impl Op for CountLabels {
    fn stem(&self) -> &'static str {
        "count_labels"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let (label, c, k) = (inputs[0], self.num_classes, self.num_prototypes);
        if label.dtype != DType::U32 || c == 0 || c.max(k) > MAX_LABEL || c * k > u32::MAX as usize {
            let problem = format!(
                "labels {:?} {:?} of {c} classes with {k} prototypes, u32 of 1 to {MAX_LABEL} wanted",
                label.shape, label.dtype
            );
            return Err(Error::shape("count_labels", problem));
        }
        Ok(vec![Spec::u32(&[c, k])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (pixels, bins) = (l.input(0).len(), self.num_classes * self.num_prototypes);
        let params = Params {
            num_pixels: pixels as u32,
            num_bins: bins as u32,
            num_protos: self.num_prototypes as u32,
        };
        let (label, counts) = (("label", l.read(0)), ("counts", l.write(0)));
        l.dispatch("count_labels", "labels_clear", &params, &[counts], grid(bins, 64));
        let (entry, per_group) =
            if bins <= MAX_BINS { ("labels_group", PIXELS_PER_GROUP) } else { ("labels_direct", 64) };
        l.dispatch("count_labels", entry, &params, &[label, counts], grid(pixels, per_group));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let count = oracle::count_labels::count_labels;
        vec![count(inputs[0], self.num_classes, self.num_prototypes)]
    }
}

/// Labels of which some are out of range, in runs as in a picture.
pub(super) fn labels(shape: &[usize], [c, k]: [usize; 2]) -> Input {
    let word = |i: usize| {
        let bits = |stream| rng::bits(0xc0, stream, (i / 7) as u32);
        (bits(0) % (c as u32 + 1)) | ((bits(1) % (k as u32 + 1)) << 16)
    };
    Input::u32(shape, Fill::Words((0..shape.iter().product()).map(word).collect()))
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: [usize; 3], [c, k]: [usize; 2]| {
        Case::new(name, vec![labels(&shape, [c, k])], move |t, v| {
            count_labels(t, v[0], c, k)?;
            Ok(Vec::new())
        })
    };
    vec![
        case("eleven times ten", [2, 13, 17], [11, 10]),
        case("no prototypes", [1, 9, 11], [5, 0]),
        case("one pixel", [1, 1, 1], [1, 1]),
        case("several workgroups, 2048 counts", [1, 131, 142], [256, 8]),
        case("counts in storage", [1, 131, 142], [300, 10]),
        case("the largest labels", [1, 9, 11], [65_536, 1]),
    ]
}
