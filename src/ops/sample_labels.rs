//! Labels at feature resolution.

use super::corner_tap;
use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        num_pixels: u32,
        height: u32,
        width: u32,
        label_height: u32,
        label_width: u32,
        num_classes: u32,
    }
}

/// Input labels `i32 [B,HL,WL]`; output `i32 [N]`, `N = B*H*W`.
#[derive(Clone, Copy, Debug)]
pub struct SampleLabels {
    /// H, rows of the feature map.
    pub height: usize,
    /// W, columns of the feature map.
    pub width: usize,
    /// C; every label outside `0..C` becomes -1.
    pub num_classes: usize,
}

/// Records the nearest (top-left) sampling of `labels` at feature resolution `height x width` (spec section 5).
///
/// # Errors
/// [`Error::Shape`] if `labels` is not `i32 [B,HL,WL]` with extents up to [`MAX_EXTENT`](super::MAX_EXTENT).
pub fn sample_labels(
    tape: &mut Tape,
    labels: ValueId,
    [height, width]: [usize; 2],
    num_classes: usize,
) -> Result<ValueId> {
    tape.push1(SampleLabels { height, width, num_classes }, &[labels])
}

impl Op for SampleLabels {
    fn stem(&self) -> &'static str {
        "sample_labels"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let labels = inputs[0];
        if labels.shape.len() != 3 || labels.dtype != DType::I32 {
            let problem = format!("labels {:?} {:?}, i32 [B,HL,WL] wanted", labels.shape, labels.dtype);
            return Err(Error::shape("sample_labels", problem));
        }
        corner_tap::check("sample_labels", [self.height, self.width], &labels.shape)?;
        Ok(vec![Spec::i32(&[labels.shape[0] * self.height * self.width])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (labels, num_pixels) = (l.input(0), l.output(0).len());
        let params = Params {
            num_pixels: num_pixels as u32,
            height: self.height as u32,
            width: self.width as u32,
            label_height: labels.shape[1] as u32,
            label_width: labels.shape[2] as u32,
            num_classes: self.num_classes as u32,
        };
        let bindings = [("labels", l.read(0)), ("out", l.write(0))];
        l.dispatch("sample_labels", "sample_labels", &params, &bindings, grid(num_pixels, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::sample_labels::sample_labels(inputs[0], [self.height, self.width], self.num_classes)]
    }

    fn flops(&self, _: &[&Value], _: &[&Value]) -> u64 {
        0
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name, shape: [usize; 3], size, num_classes| {
        let labels = Input::i32(&shape, Fill::Integers { count: 12, ignored: 0.2 });
        Case::new(name, vec![labels], move |t, v| {
            sample_labels(t, v[0], size, num_classes)?;
            Ok(vec![])
        })
    };
    vec![
        case("a quarter", [2, 32, 48], [8, 12], 12),
        case("ratios that are not whole, values above C", [3, 37, 53], [9, 14], 7),
        case("enlarged", [1, 5, 3], [11, 7], 11),
        case("one pixel, one class", [1, 1, 1], [1, 1], 1),
        case("many", [2, 400, 600], [100, 150], 11),
    ]
}
