//! Labels of the hard pixels: online hard example mining (Shrivastava et al. 2016) by pixels.

use super::table::{Case, Fill, Input};
use super::{EmptyLoss, LogitTile, cross_entropy_loss, cross_entropy_tile};
use crate::error::{Error, Result};
use crate::gpu::{Slot, grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        num_pixels: u32,
        num_classes: u32,
        min_kept: u32,
        above: u32,
        mask: u32,
        shift: u32,
    }
}

uniform! {
    struct GpuParams { num_pixels: u32, num_classes: u32, min_kept: u32, above: u32, level: u32 }
}

/// Pixels that a workgroup counts, as in the shader.
const BLOCK: usize = 16_384;

/// Which pixels are hard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HardPixels {
    /// A pixel whose class has a probability below this is hard; above 0 and at most 1.
    pub threshold: f32,
    /// So many with the lowest probabilities are hard whatever they are, or all where fewer are labelled. Several of the same
    /// probability as the last of them are all hard.
    pub min_kept: usize,
}

/// Inputs `lse [M]`, `own [M]` of a cross-entropy and `labels` `i32` of M elements; output labels of the same shape, -1 where
/// a pixel is not hard. Without a gradient: which pixels count is no function that can be followed downhill.
#[derive(Clone, Copy, Debug)]
pub struct HardLabels {
    /// Which are hard.
    pub rule: HardPixels,
    /// Labels outside `0..num_classes` are ignored.
    pub num_classes: usize,
}

/// Records the labels of the hard pixels by `[lse, own, labels]`, those that [`cross_entropy_tile`] ends with.
///
/// # Errors
/// [`Error::Shape`] if the numbers of pixels differ.
pub fn hard_pixels(
    tape: &mut Tape,
    inputs: [ValueId; 3],
    num_classes: usize,
    rule: HardPixels,
) -> Result<ValueId> {
    tape.push1(HardLabels { rule, num_classes }, &inputs)
}

impl HardLabels {
    fn min_kept(&self) -> u32 {
        u32::try_from(self.rule.min_kept).unwrap_or(u32::MAX)
    }

    /// The bits of the loss at the threshold.
    fn above(&self) -> u32 {
        // Of 1 the logarithm is 0, whose negative has the bits of no loss.
        (f64::from(self.rule.threshold).ln().abs() as f32).to_bits()
    }

    /// Four passes with nothing between them (`shaders/proto/hard_pixels.gpu.wgsl`).
    fn launch_gpu(&self, l: &mut Launch<'_>) {
        // Pixels that a workgroup counts, as in the shader.
        const BLOCK: usize = 2048;
        let num_pixels = l.input(2).len();
        let params = |level| GpuParams {
            num_pixels: num_pixels as u32,
            num_classes: self.num_classes as u32,
            min_kept: self.min_kept(),
            above: self.above(),
            level,
        };
        let (counts, state) = (("counts", l.scratch(4 * 256)), ("state", l.scratch(10)));
        let read = [("lse", l.read(0)), ("own", l.read(1)), ("labels", l.read(2)), counts, state];
        let hard = [&read[..], &[("hard", l.write(0))]].concat();
        let mut run = |entry, level, bindings: &[(&'static str, Slot)], groups| {
            l.dispatch("hard_pixels.gpu", entry, &params(level), bindings, groups);
        };
        run("hard_pixels_start", 0, &[counts], [1; 3]);
        for level in 0..4 {
            run("hard_pixels_count", level, &read, grid(num_pixels, BLOCK));
        }
        run("hard_pixels", 4, &hard, grid(num_pixels, 256));
    }
}

impl Op for HardLabels {
    fn stem(&self) -> &'static str {
        "hard_pixels"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let [lse, own, labels] = [inputs[0], inputs[1], inputs[2]];
        if lse.len() != labels.len() || own.len() != labels.len() || labels.dtype != DType::I32 {
            let problem = format!(
                "{:?} and {:?} against labels {:?} {:?}",
                lse.shape, own.shape, labels.dtype, labels.shape
            );
            return Err(Error::shape("hard_pixels", problem));
        }
        Ok(vec![Spec::i32(&labels.shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        if l.caps.variant.is_parallel() {
            return self.launch_gpu(l);
        }
        let num_pixels = l.input(2).len();
        let params = |mask: u32, shift: u32| Params {
            num_pixels: num_pixels as u32,
            num_classes: self.num_classes as u32,
            min_kept: self.min_kept(),
            above: self.above(),
            mask,
            shift,
        };
        let (counts, state) = (("counts", l.scratch(256)), ("state", l.scratch(2)));
        let read = [("lse", l.read(0)), ("own", l.read(1)), ("labels", l.read(2))];
        l.dispatch("hard_pixels", "hard_pixels_start", &params(0, 0), &[counts, state], [1; 3]);
        for shift in [24_u32, 16, 8, 0] {
            let params = params(u32::MAX.checked_shl(shift + 8).unwrap_or(0), shift);
            let bindings = [&read[..], &[counts, state]].concat();
            l.dispatch("hard_pixels", "hard_pixels_count", &params, &bindings, grid(num_pixels, BLOCK));
            l.dispatch("hard_pixels", "hard_pixels_select", &params, &[counts, state], [1; 3]);
        }
        let bindings = [&read[..], &[state, ("hard", l.write(0))]].concat();
        l.dispatch("hard_pixels", "hard_pixels", &params(0, 0), &bindings, grid(num_pixels, 256));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let HardPixels { threshold, min_kept } = self.rule;
        let read = [inputs[0], inputs[1], inputs[2]];
        vec![oracle::hard_pixels::hard_pixels(read, self.num_classes, f64::from(threshold), min_kept)]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        5 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let rule = |threshold: f32, min_kept: usize| HardPixels { threshold, min_kept };
    // Losses from 1 to 9, of labels with two too many.
    let case = |name: &str, labels: [usize; 3], ignored: f32, rule: HardPixels| {
        let pixels = labels.iter().product();
        let inputs = vec![
            Input::fixed(&[pixels], Fill::Uniform(5.0, 10.0)),
            Input::fixed(&[pixels], Fill::Uniform(1.0, 4.0)),
            Input::i32(&labels, Fill::Integers { count: 7, ignored }),
        ];
        Case::new(name, inputs, move |t, v| {
            hard_pixels(t, [v[0], v[1], v[2]], 5, rule)?;
            Ok(vec![])
        })
    };
    let ties = |name: &str, rule: HardPixels| {
        let lse = (0..60).map(|i| [3.0, 1.0, 2.0][i % 3]).collect();
        let inputs = vec![
            Input::fixed(&[60], Fill::Values(lse)),
            Input::fixed(&[60], Fill::Values(vec![1.0; 60])),
            Input::i32(&[1, 6, 10], Fill::Integers { count: 5, ignored: 0.2 }),
        ];
        Case::new(name, inputs, move |t, v| {
            hard_pixels(t, [v[0], v[1], v[2]], 5, rule)?;
            Ok(vec![])
        })
    };
    let logits = Input::fixed(&[2 * 3 * 5, 6], Fill::Uniform(-3.0, 3.0));
    let labels = Input::i32(&[2, 9, 13], Fill::Integers { count: 7, ignored: 0.1 });
    let weights = Input::fixed(&[6], Fill::Uniform(0.5, 1.5));
    vec![
        case("by the threshold alone", [2, 9, 13], 0.1, rule(0.01, 0)),
        case("more than are below it", [2, 9, 13], 0.1, rule(1e-4, 50)),
        case("fewer than are below it", [2, 9, 13], 0.1, rule(0.05, 7)),
        case("one", [2, 9, 13], 0.1, rule(1e-7, 1)),
        case("more than are labelled", [1, 5, 7], 0.5, rule(1e-7, 1000)),
        case("none labelled", [1, 5, 7], 1.0, rule(0.5, 3)),
        case("every one that is not certain", [1, 5, 7], 0.1, rule(1.0, 0)),
        case("many workgroups", [3, 96, 122], 0.1, rule(1e-3, 20_011)),
        ties("all that are as hard as the last", rule(1e-3, 3)),
        ties("ties at a loss of 0", rule(0.5, 45)),
        Case::new("of a cross-entropy", vec![logits, labels, weights], move |t, v| {
            let tile = LogitTile { size: [3, 5], first: 0, num_classes: 6 };
            let (lse, own) = cross_entropy_tile(t, v[0], v[1], None, tile)?;
            let hard = hard_pixels(t, [lse, own, v[1]], 6, rule(0.1, 90))?;
            cross_entropy_loss(t, [lse, own, hard, v[2]], EmptyLoss::Zero)?;
            Ok(vec![])
        }),
    ]
}
