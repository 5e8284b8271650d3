//! Batch normalisation over the rows of NHWC activations with a fused activation, in training and evaluation mode.

mod gpu;

use super::conv2d::{Conv, conv2d};
use super::table::{Case, Fill, Input};
use super::walk::{FAN_IN, Walk, check, merge_columns, merges};
use crate::error::Result;
use crate::gpu::{Slot, grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

/// Rows per invocation at most; measured on a software adapter, where a longer walk gains nothing.
const ROWS: usize = 64;

uniform! {
    struct Params {
        rows: u32,
        quads: u32,
        channels: u32,
        team_rows: u32,
        block_rows: u32,
        num_parts: u32,
        parts_in: u32,
        fan_in: u32,
        eps: f32,
        low: f32,
        high: f32,
        weight: f32,
    }
}

/// What follows the normalisation in the same kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    None,
    /// `max(y, 0)`.
    Relu,
    /// `min(max(y, 0), 6)`.
    Relu6,
}

impl Act {
    /// Lowest and highest value that passes; infinite where there is no bound.
    pub(super) const fn range(self) -> (f32, f32) {
        match self {
            Self::None => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
        }
    }
}

/// What [`batch_norm`] gives.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormed {
    /// `act(gamma * (x - mean) / sqrt(variance + eps) + beta)`, shape of `x`.
    pub y: ValueId,
    /// Mean per channel, `[C]`, for [`running_stats`](super::running_stats()).
    pub mean: ValueId,
    /// Biased variance per channel, `[C]`.
    pub variance: ValueId,
}

/// Training mode. Inputs `x` `[.., C]`, `gamma` `[C]`, `beta` `[C]`; outputs `y`, `mean`, `variance`. Gradients flow through `y`;
/// the statistics' own outputs are for running averages and pass none.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f32,
    /// Fused activation.
    pub act: Act,
}

/// Evaluation mode. Inputs `x`, `gamma`, `beta`, `mean`, `variance`; output `y`. No gradient flows to the statistics.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormEval {
    /// Added to the variance.
    pub eps: f32,
    /// Fused activation.
    pub act: Act,
}

/// Inputs `x`, `gamma`, `beta`, `mean`, `variance`, `dy`; outputs `dx`, `dgamma`, `dbeta`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormGrad {
    /// Added to the variance.
    pub eps: f32,
    /// Fused activation.
    pub act: Act,
    /// Whether the statistics are constants (evaluation mode).
    pub frozen: bool,
}

/// Records training-mode batch normalisation of `x` `[.., C]` with `gamma`, `beta` `[C]`.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if `gamma` or `beta` is not `[C]`, or `x` has fewer than two axes.
pub fn batch_norm(
    tape: &mut Tape,
    x: ValueId,
    gamma: ValueId,
    beta: ValueId,
    eps: f32,
    act: Act,
) -> Result<BatchNormed> {
    let out = tape.push(BatchNorm { eps, act }, &[x, gamma, beta])?;
    Ok(BatchNormed { y: out[0], mean: out[1], variance: out[2] })
}

/// Records batch normalisation of `x` `[.., C]` by given statistics `[mean, variance]` `[C]`.
///
/// # Errors
/// As [`batch_norm`].
pub fn batch_norm_eval(
    tape: &mut Tape,
    x: ValueId,
    gamma: ValueId,
    beta: ValueId,
    [mean, variance]: [ValueId; 2],
    eps: f32,
    act: Act,
) -> Result<ValueId> {
    tape.push1(BatchNormEval { eps, act }, &[x, gamma, beta, mean, variance])
}

fn params(x: &Value, eps: f32, act: Act) -> (Walk, Params) {
    let walk = Walk::new(x.rows(), x.quads(), ROWS);
    let (low, high) = act.range();
    let params = Params {
        rows: walk.rows,
        quads: walk.quads,
        channels: x.channels() as u32,
        team_rows: walk.team_rows,
        block_rows: walk.block_rows,
        num_parts: walk.num_parts,
        parts_in: walk.num_parts,
        fan_in: FAN_IN as u32,
        eps,
        low,
        high,
        weight: 1.0 / walk.rows as f32,
    };
    (walk, params)
}

fn launch_apply(l: &mut Launch<'_>, walk: &Walk, params: &Params, [mean, variance]: [Slot; 2]) {
    let bindings = [
        ("x", l.read(0)),
        ("gamma", l.read(1)),
        ("beta", l.read(2)),
        ("mean", mean),
        ("variance", variance),
        ("out", l.write(0)),
    ];
    l.dispatch("batch_norm", "batch_norm", params, &bindings, walk.grid());
    l.constants(&[super::walk::touch(l.caps)]);
}

impl Op for BatchNorm {
    fn stem(&self) -> &'static str {
        "batch_norm"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check("batch_norm", inputs[0], &inputs[1..3])?;
        let channels = [inputs[0].channels()];
        Ok(vec![Spec::f32(&inputs[0].shape), Spec::f32(&channels), Spec::f32(&channels)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let statistics = [l.write(1), l.write(2)];
        if l.caps.variant.is_parallel() {
            gpu::statistics(l, self.eps, self.act);
            return gpu::apply(l, self.eps, self.act, statistics);
        }
        let (walk, mut params) = params(l.input(0), self.eps, self.act);
        let quads = walk.quads as usize;
        let mut parts = l.scratch(walk.num_parts as usize * 12 * quads);
        let bindings = [("x", l.read(0)), ("parts_out", parts)];
        l.dispatch("batch_norm", "batch_norm_stats", &params, &bindings, walk.grid());
        l.constants(&[super::walk::touch(l.caps)]);
        for (parts_in, num_parts) in merges(walk.num_parts) {
            (params.parts_in, params.num_parts) = (parts_in, num_parts);
            let merged = l.scratch(num_parts as usize * 12 * quads);
            let bindings = [("parts", parts), ("parts_out", merged)];
            let groups = grid(num_parts as usize * quads, 64);
            l.dispatch("batch_norm", "batch_norm_merge", &params, &bindings, groups);
            (parts, params.parts_in) = (merged, num_parts);
        }
        params.fan_in = params.parts_in;
        let bindings = [("parts", parts), ("mean_out", l.write(1)), ("variance_out", l.write(2))];
        l.dispatch("batch_norm", "batch_norm_finish", &params, &bindings, grid(quads, 64));
        launch_apply(l, &walk, &params, statistics);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let [x, gamma, beta] = [inputs[0], inputs[1], inputs[2]];
        let (mean, variance) = oracle::batch_norm::moments(x);
        let (low, high) = self.act.range();
        let norm = oracle::batch_norm::Norm { eps: self.eps.into(), low: low.into(), high: high.into() };
        vec![norm.apply(x, gamma, beta, &mean, &variance), mean, variance]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None; 3]) };
        let [x, gamma, beta] = [node.inputs[0], node.inputs[1], node.inputs[2]];
        let op = BatchNormGrad { eps: self.eps, act: self.act, frozen: false };
        let out = tape.push(op, &[x, gamma, beta, node.outputs[1], node.outputs[2], g])?;
        Ok(out.into_iter().map(Some).collect())
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        7 * inputs[0].len() as u64
    }
}

impl Op for BatchNormEval {
    fn stem(&self) -> &'static str {
        "batch_norm"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check("batch_norm", inputs[0], &inputs[1..5])?;
        Ok(vec![Spec::f32(&inputs[0].shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let statistics = [l.read(3), l.read(4)];
        if l.caps.variant.is_parallel() {
            return gpu::apply(l, self.eps, self.act, statistics);
        }
        let (walk, params) = params(l.input(0), self.eps, self.act);
        launch_apply(l, &walk, &params, statistics);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let (low, high) = self.act.range();
        let norm = oracle::batch_norm::Norm { eps: self.eps.into(), low: low.into(), high: high.into() };
        vec![norm.apply(inputs[0], inputs[1], inputs[2], inputs[3], inputs[4])]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None; 5]) };
        let op = BatchNormGrad { eps: self.eps, act: self.act, frozen: true };
        let inputs: Vec<_> = node.inputs.iter().copied().chain([g]).collect();
        let out = tape.push(op, &inputs)?;
        Ok(vec![Some(out[0]), Some(out[1]), Some(out[2]), None, None])
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        3 * inputs[0].len() as u64
    }
}

impl Op for BatchNormGrad {
    fn stem(&self) -> &'static str {
        "batch_norm"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check("batch_norm", inputs[0], &inputs[1..5])?;
        Ok(inputs[..3].iter().map(|v| Spec::f32(&v.shape)).collect())
    }

    fn launch(&self, l: &mut Launch<'_>) {
        if l.caps.variant.is_parallel() {
            return gpu::gradient(l, self.eps, self.act, self.frozen);
        }
        let (walk, mut params) = params(l.input(0), self.eps, self.act);
        if self.frozen {
            params.weight = 0.0;
        }
        let quads = walk.quads as usize;
        let [x, gamma, beta] = [l.read(0), l.read(1), l.read(2)];
        let [mean, variance, dy] = [l.read(3), l.read(4), l.read(5)];
        let parts = l.scratch(walk.num_parts as usize * 8 * quads);
        let vectors = [("gamma", gamma), ("beta", beta), ("mean", mean), ("variance", variance)];
        let bindings = [&vectors[..], &[("x", x), ("dy", dy), ("parts_out", parts)]].concat();
        l.dispatch("batch_norm", "batch_norm_grad_sums", &params, &bindings, walk.grid());
        l.constants(&[super::walk::touch(l.caps)]);
        let (parts, left) = merge_columns(l, "batch_norm", parts, walk.num_parts, 2 * quads);
        params.parts_in = left;
        let constants = l.scratch(20 * quads);
        let outputs =
            [("parts", parts), ("dgamma", l.write(1)), ("dbeta", l.write(2)), ("constants_out", constants)];
        let bindings = [&vectors[..], &outputs].concat();
        l.dispatch("batch_norm", "batch_norm_grad_finish", &params, &bindings, grid(quads, 64));
        let bindings = [("x", x), ("dy", dy), ("constants", constants), ("out", l.write(0))];
        l.dispatch("batch_norm", "batch_norm_grad", &params, &bindings, walk.grid());
        l.constants(&[super::walk::touch(l.caps)]);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let (low, high) = self.act.range();
        let norm = oracle::batch_norm::Norm { eps: self.eps.into(), low: low.into(), high: high.into() };
        let [x, gamma, beta, mean, variance, dy] = std::array::from_fn(|i| inputs[i]);
        norm.gradient([x, dy], [gamma, beta], [mean, variance], self.frozen)
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        15 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let train = |name: &str, shape: &[usize], range: (f32, f32), act: Act| {
        let channels = [shape[shape.len() - 1]];
        let inputs = vec![
            Input::f32(shape, Fill::Uniform(range.0, range.1)),
            Input::f32(&channels, Fill::Away(&[])),
            Input::f32(&channels, Fill::Uniform(-0.5, 0.5)),
        ];
        Case::new(name, inputs, move |t, v| Ok(vec![batch_norm(t, v[0], v[1], v[2], 1e-5, act)?.y]))
    };
    let eval = |name: &str, shape: &[usize], act: Act| {
        let channels = [shape[shape.len() - 1]];
        let inputs = vec![
            Input::f32(shape, Fill::Uniform(-3.0, 3.0)),
            Input::f32(&channels, Fill::Uniform(2.0, 9.0)),
            Input::f32(&channels, Fill::Uniform(-0.5, 0.5)),
            Input::fixed(&channels, Fill::Uniform(-1.0, 1.0)),
            Input::fixed(&channels, Fill::Uniform(0.5, 2.0)),
        ];
        Case::new(name, inputs, move |t, v| {
            Ok(vec![batch_norm_eval(t, v[0], v[1], v[2], [v[3], v[4]], 1e-3, act)?])
        })
    };
    // NaN must reach the output: a network whose weights are lost may not train on with a finite loss.
    let one_nan = |mut case: Case| {
        let count = case.inputs[0].shape.iter().product();
        let value = |i| if i == count / 2 { f32::NAN } else { (i % 7) as f32 / 2.0 - 1.5 };
        case.inputs[0].fill = Fill::Values((0..count).map(value).collect());
        case.inputs.iter_mut().for_each(|i| i.grad = false);
        case
    };
    let nan_weight = {
        // The row behind the 3 channels is zero by the convolution's contract.
        let mut values = [vec![0.25; 3 * 6], vec![0.0; 6]].concat();
        values[6 + 2] = f32::NAN;
        let inputs = vec![
            Input::fixed(&[2, 5, 7, 3], Fill::Uniform(-1.0, 1.0)),
            Input::fixed(&[1, 1, 4, 6], Fill::Values(values)),
            Input::fixed(&[6], Fill::Uniform(0.5, 1.5)),
            Input::fixed(&[6], Fill::Uniform(-0.5, 0.5)),
        ];
        Case::new("NaN in a weight before it", inputs, |t, v| {
            let y = conv2d(t, v[0], v[1], None, Conv::default())?;
            Ok(vec![batch_norm(t, y, v[2], v[3], 1e-5, Act::Relu6)?.y])
        })
    };
    vec![
        train("plain, 5 channels", &[2, 3, 7, 5], (-1.0, 2.0), Act::None),
        train("relu, 13 channels", &[1, 5, 3, 13], (-1.0, 1.0), Act::Relu),
        train("relu6, 1 channel", &[3, 3, 5, 1], (-1.0, 1.0), Act::Relu6),
        train("few rows, many channels", &[2, 2, 3, 963], (-1.0, 1.0), Act::Relu),
        // A step in gamma or beta would carry some of so many numbers over a kink: the gradient of x is checked alone.
        {
            let mut case = train("many rows, 7 channels", &[2, 129, 171, 7], (-1.0, 3.0), Act::Relu6);
            case.inputs[1..].iter_mut().for_each(|i| i.grad = false);
            case
        },
        one_nan(train("NaN, relu6", &[2, 3, 5, 6], (-1.0, 1.0), Act::Relu6)),
        one_nan(eval("NaN, evaluation, plain", &[2, 3, 5, 6], Act::None)),
        one_nan(eval("NaN, evaluation, relu6", &[2, 3, 5, 6], Act::Relu6)),
        nan_weight,
        // The mean is 60 deviations away: f32 rounding of the inputs' distance from it is 1e-5 of the deviation.
        train("far mean", &[1, 41, 53, 3], (99.0, 103.0), Act::None).tolerance(4e-5),
        eval("evaluation, plain", &[2, 3, 5, 3], Act::None),
        eval("evaluation, relu6", &[2, 5, 7, 6], Act::Relu6),
        eval("evaluation, relu, many rows", &[1, 65, 33, 17], Act::Relu),
    ]
}
