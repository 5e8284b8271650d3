//! Mean of a value per pixel over the valid pixels, counted on the device.

use super::proto_rule::expect;
use super::table::{Case, Fill, Input};
use crate::error::Result;
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_pixels: u32, num_blocks: u32, empty: f32 }
}

/// Pixels per block of the first sum, as in the shader.
const BLOCK: usize = 1024;

/// What a mean over no pixel is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmptyLoss {
    /// 0.
    #[default]
    Zero,
    /// NaN, as 0/0 gives. The gradient is 0 all the same.
    Nan,
}

impl EmptyLoss {
    pub(super) const fn value(self) -> f32 {
        match self {
            Self::Zero => 0.0,
            Self::Nan => f32::NAN,
        }
    }
}

/// Inputs `values [N]`, `labels i32 [N]` (valid where not negative); outputs the mean `[1]` and N_V `u32 [1]`.
#[derive(Clone, Copy, Debug)]
pub struct ValidMean {
    /// The mean over no pixel.
    pub empty: EmptyLoss,
}

/// Inputs `labels i32 [N]`, N_V `u32 [1]`, the gradient of the mean `[1]`; output that of the values `[N]`.
#[derive(Clone, Copy, Debug)]
pub struct ValidMeanGrad;

/// Records the mean of `values [N]` where `labels i32 [N]` is not negative, and the number of such pixels. Returns
/// `([1], u32 [1])`.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the shapes differ.
pub fn valid_mean(
    tape: &mut Tape,
    values: ValueId,
    labels: ValueId,
    empty: EmptyLoss,
) -> Result<(ValueId, ValueId)> {
    let out = tape.push(ValidMean { empty }, &[values, labels])?;
    Ok((out[0], out[1]))
}

impl Op for ValidMean {
    fn stem(&self) -> &'static str {
        "valid_mean"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let shape = [inputs[1].len()];
        expect("valid_mean", inputs[0], &shape, DType::F32)?;
        expect("valid_mean", inputs[1], &shape, DType::I32)?;
        Ok(vec![Spec::f32(&[1]), Spec::u32(&[1])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let num_pixels = l.input(0).len();
        let num_blocks = num_pixels.div_ceil(BLOCK);
        let params = Params {
            num_pixels: num_pixels as u32,
            num_blocks: num_blocks as u32,
            empty: self.empty.value(),
        };
        let sums = ("block_sums", l.scratch(num_blocks));
        let counts = ("block_counts", l.scratch(num_blocks));
        let bindings = [("values", l.read(0)), ("labels", l.read(1)), sums, counts];
        l.dispatch("valid_mean", "valid_mean_blocks", &params, &bindings, grid(num_blocks, 1));
        let bindings = [sums, counts, ("loss", l.write(0)), ("num_valid", l.write(1))];
        l.dispatch("valid_mean", "valid_mean", &params, &bindings, [1; 3]);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let (mean, count) =
            oracle::valid_mean::valid_mean(inputs[0], inputs[1], f64::from(self.empty.value()));
        vec![mean, count]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None; 2]) };
        let inputs = [node.inputs[1], node.outputs[1], g];
        Ok(vec![Some(tape.push1(ValidMeanGrad, &inputs)?), None])
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        inputs[0].len() as u64
    }
}

impl Op for ValidMeanGrad {
    fn stem(&self) -> &'static str {
        "valid_mean"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&inputs[0].shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let num_pixels = l.input(0).len();
        let params = Params { num_pixels: num_pixels as u32, num_blocks: 0, empty: 0.0 };
        let bindings =
            [("labels", l.read(0)), ("valid_in", l.read(1)), ("upstream", l.read(2)), ("out", l.write(0))];
        l.dispatch("valid_mean", "valid_mean_grad", &params, &bindings, grid(num_pixels, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::valid_mean::valid_mean_grad(inputs[0], inputs[1], inputs[2])]
    }
}

pub(super) fn cases() -> Vec<Case> {
    let on = |name, n: usize, ignored, empty| {
        let values = Input::f32(&[n], Fill::Uniform(0.5, 3.0));
        let inputs = vec![
            // Among many pixels one's share is too small for a finite difference.
            if n > 10_000 { Input { grad: false, ..values } } else { values },
            Input::i32(&[n], Fill::Integers { count: 9, ignored }),
        ];
        Case::new(name, inputs, move |t, v| Ok(vec![valid_mean(t, v[0], v[1], empty)?.0]))
    };
    let nan = Case::new(
        "none valid, NaN",
        vec![Input::fixed(&[70], Fill::Uniform(0.5, 3.0)), Input::i32(&[70], Fill::Values(vec![-1.0; 70]))],
        |t, v| {
            valid_mean(t, v[0], v[1], EmptyLoss::Nan)?;
            Ok(vec![])
        },
    );
    vec![
        on("some ignored", 77, 0.3, EmptyLoss::Nan),
        on("one pixel", 1, 0.0, EmptyLoss::Zero),
        on("none valid, zero", 70, 1.0, EmptyLoss::Zero),
        nan,
        on("many", 200_001, 0.1, EmptyLoss::Zero),
    ]
}
