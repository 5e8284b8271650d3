//! Batch normalisation by given statistics, folded into the weights of the convolution before it.

use super::table::{Case, Fill, Input};
use super::walk::check;
use super::{Act, Conv, Epilogue, conv2d_fused};
use crate::error::Result;
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { rows: u32, quads: u32, channels: u32, eps: f32 }
}

/// Inputs `w` `[.., Co]`, `gamma`, `beta`, `mean`, `variance` `[Co]`; outputs the scaled weights and a bias `[Co]`. No gradient
/// flows through: it is for evaluation.
#[derive(Clone, Copy, Debug)]
pub struct BnFold {
    /// Added to the variance.
    pub eps: f32,
}

/// Records weights and bias of the convolution that does what a convolution by `w` and then a batch norm with
/// `[gamma, beta]` and the statistics `[mean, variance]` do.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if a vector is not `[Co]`.
pub fn bn_fold(
    tape: &mut Tape,
    w: ValueId,
    [gamma, beta]: [ValueId; 2],
    [mean, variance]: [ValueId; 2],
    eps: f32,
) -> Result<(ValueId, ValueId)> {
    let out = tape.push(BnFold { eps }, &[w, gamma, beta, mean, variance])?;
    Ok((out[0], out[1]))
}

impl Op for BnFold {
    fn stem(&self) -> &'static str {
        "bn_fold"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check("bn_fold", inputs[0], &inputs[1..5])?;
        Ok(vec![Spec::f32(&inputs[0].shape), Spec::f32(&[inputs[0].channels()])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let w = l.input(0);
        let (rows, quads) = (w.rows(), w.quads());
        let params =
            Params { rows: rows as u32, quads: quads as u32, channels: w.channels() as u32, eps: self.eps };
        let bindings = [
            ("w", l.read(0)),
            ("gamma", l.read(1)),
            ("beta", l.read(2)),
            ("mean", l.read(3)),
            ("variance", l.read(4)),
            ("w_out", l.write(0)),
            ("bias_out", l.write(1)),
        ];
        l.dispatch("bn_fold", "bn_fold", &params, &bindings, grid(rows * quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let (affine, statistics) = ([inputs[1], inputs[2]], [inputs[3], inputs[4]]);
        oracle::bn_fold::bn_fold(inputs[0], affine, statistics, self.eps.into())
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let inputs = |w: &[usize]| {
        let channels = [w[3]];
        vec![
            Input::fixed(w, Fill::Uniform(-1.0, 1.0)),
            Input::fixed(&channels, Fill::Uniform(-2.0, 2.0)),
            Input::fixed(&channels, Fill::Uniform(-0.5, 0.5)),
            Input::fixed(&channels, Fill::Uniform(-1.0, 1.0)),
            Input::fixed(&channels, Fill::Uniform(0.01, 2.0)),
        ]
    };
    let alone = |name: &str, w: &[usize]| {
        Case::new(name, inputs(w), |t, v| {
            bn_fold(t, v[0], [v[1], v[2]], [v[3], v[4]], 1e-5)?;
            Ok(vec![])
        })
    };
    let mut used = inputs(&[3, 3, 8, 5]);
    used.push(Input::fixed(&[1, 6, 7, 8], Fill::Uniform(-1.0, 1.0)));
    vec![
        alone("dense 3x3, 13 channels", &[3, 3, 8, 13]),
        alone("depthwise, 1 channel", &[3, 3, 1, 1]),
        alone("1x1, 70 channels", &[1, 1, 36, 70]),
        Case::new("into a convolution", used, |t, v| {
            let (w, bias) = bn_fold(t, v[0], [v[1], v[2]], [v[3], v[4]], 1e-3)?;
            let epilogue = Epilogue { bias: Some(bias), skip: None, act: Act::Relu6 };
            conv2d_fused(t, v[5], w, epilogue, Conv { padding: 1, ..Conv::default() })?;
            Ok(vec![])
        }),
    ]
}
