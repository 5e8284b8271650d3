//! How many pixels of which true class got which class: the viewer's live IoU of one image.

use super::count_labels::{MAX_BINS, PIXELS_PER_GROUP, labels};
use super::pixel_label::MAX_LABEL;
use super::proto_rule::expect;
use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::rng;
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_pixels: u32, num_bins: u32, num_classes: u32 }
}

/// Inputs `truth` and `label` `u32 [B,H,W]`; output `counts u32 [C,C]`.
#[derive(Clone, Copy, Debug)]
pub struct CountPairs {
    /// C.
    pub num_classes: usize,
}

/// Records the number of pixels per true class (row; `0xffffffff` = ignored) and predicted class (column; the low 16 bits of
/// `label`). What is out of range does not count.
///
/// # Errors
/// [`Error::Shape`] if the maps differ in size or are no `u32`, or C is 0 or `C*C` no `u32`.
pub fn count_pairs(tape: &mut Tape, truth: ValueId, label: ValueId, num_classes: usize) -> Result<ValueId> {
    tape.push1(CountPairs { num_classes }, &[truth, label])
}

impl Op for CountPairs {
    fn stem(&self) -> &'static str {
        "count_pairs"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let c = self.num_classes;
        if c == 0 || c >= MAX_LABEL {
            let problem = format!("{c} classes, 1 to {} wanted", MAX_LABEL - 1);
            return Err(Error::shape("count_pairs", problem));
        }
        expect("count_pairs", inputs[0], &inputs[0].shape, DType::U32)?;
        expect("count_pairs", inputs[1], &inputs[0].shape, DType::U32)?;
        Ok(vec![Spec::u32(&[c, c])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (pixels, bins) = (l.input(0).len(), self.num_classes * self.num_classes);
        let params =
            Params { num_pixels: pixels as u32, num_bins: bins as u32, num_classes: self.num_classes as u32 };
        let (truth, label, counts) = (("truth", l.read(0)), ("label", l.read(1)), ("counts", l.write(0)));
        l.dispatch("count_pairs", "pairs_clear", &params, &[counts], grid(bins, 64));
        let (entry, per_group) =
            if bins <= MAX_BINS { ("pairs_group", PIXELS_PER_GROUP) } else { ("pairs_direct", 64) };
        l.dispatch("count_pairs", entry, &params, &[truth, label, counts], grid(pixels, per_group));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::count_pairs::count_pairs(inputs[0], inputs[1], self.num_classes)]
    }
}

/// True classes, some ignored and some out of range.
pub(super) fn truths(shape: &[usize], c: usize) -> Input {
    let word = |i: usize| match rng::bits(0xc1, 0, (i / 5) as u32) % (c as u32 + 3) {
        beyond if beyond > c as u32 => u32::MAX,
        class => class,
    };
    Input::u32(shape, Fill::Words((0..shape.iter().product()).map(word).collect()))
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: [usize; 3], c: usize| {
        Case::new(name, vec![truths(&shape, c), labels(&shape, [c, 3])], move |t, v| {
            count_pairs(t, v[0], v[1], c)?;
            Ok(Vec::new())
        })
    };
    vec![
        case("eleven classes", [2, 13, 17], 11),
        case("one class", [1, 3, 5], 1),
        case("several workgroups, 45 classes", [1, 131, 142], 45),
        case("counts in storage", [1, 131, 142], 46),
    ]
}
