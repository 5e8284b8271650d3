//! 2-D convolution, NHWC: dense (1x1, kxk, stride, dilation), depthwise and grouped, with optional bias, residual
//! connection and activation in the same kernel.
//!
//! Weights are `[kh, kw, ci, co]` with `ci` the input channels of one group; for one group it is rounded up to a multiple
//! of 4 (the extra rows are zero and stay so), because activations are padded that way in memory.

mod cases;
mod dense;
mod geometry;
mod gradient;

pub use geometry::Conv;
pub use gradient::{Conv2dDb, Conv2dDw, Conv2dDx};

use super::Act;
use super::relu::ReluGrad;
use crate::error::{Error, Result};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

pub(super) use cases::cases;
use dense::dense;
use geometry::{Kind, Params, Slots, group_constants};

/// Inputs `x [B,H,W,Ci]`, `w [kh,kw,ci,Co]`, then `bias [Co]` and `skip` where there are such; output `[B,OH,OW,Co]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d {
    /// Geometry.
    pub conv: Conv,
    /// Whether a bias is added.
    pub bias: bool,
    /// Whether a tensor of the output's shape is added.
    pub skip: bool,
    /// What follows.
    pub act: Act,
}

/// What a convolution's kernel does with its sums before it stores them: `act(sum + bias + skip)`.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue {
    /// `[Co]`.
    pub bias: Option<ValueId>,
    /// Of the output's shape: a residual connection.
    pub skip: Option<ValueId>,
    /// The activation.
    pub act: Act,
}

/// Records a convolution.
///
/// # Errors
/// [`Error::Shape`] if input, weight, bias and groups do not go together.
pub fn conv2d(tape: &mut Tape, x: ValueId, w: ValueId, bias: Option<ValueId>, conv: Conv) -> Result<ValueId> {
    conv2d_fused(tape, x, w, Epilogue { bias, skip: None, act: Act::None }, conv)
}

/// Records a convolution with all that its kernel can do on the way.
///
/// # Errors
/// As [`conv2d`]; [`Error::Shape`] too if `skip` has another shape than the output.
pub fn conv2d_fused(
    tape: &mut Tape,
    x: ValueId,
    w: ValueId,
    epilogue: Epilogue,
    conv: Conv,
) -> Result<ValueId> {
    let Epilogue { bias, skip, act } = epilogue;
    let inputs: Vec<_> = [x, w].into_iter().chain(bias).chain(skip).collect();
    tape.push1(Conv2d { conv, bias: bias.is_some(), skip: skip.is_some(), act }, &inputs)
}

impl Conv2d {
    /// Position of the skip connection among the inputs, where there is one.
    const fn skip_at(self) -> Option<usize> {
        if self.skip { Some(2 + self.bias as usize) } else { None }
    }
}

impl Op for Conv2d {
    fn stem(&self) -> &'static str {
        "conv2d"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let (x, w) = (inputs[0], inputs[1]);
        let wrong = |what: &str| {
            let text = format!("{what}: x {:?}, w `{}` {:?}, {:?}", x.shape, w.name, w.shape, self.conv);
            Error::shape("conv2d", text)
        };
        if x.shape.len() != 4 || w.shape.len() != 4 {
            return Err(wrong("x is [B,H,W,C] and w is [kh,kw,ci,co]"));
        }
        let groups = self.conv.groups;
        if groups == 0 || !x.shape[3].is_multiple_of(groups) || !w.shape[3].is_multiple_of(groups) {
            return Err(wrong("channels are not a multiple of the groups"));
        }
        let want = if groups == 1 { x.shape[3].next_multiple_of(4) } else { x.shape[3] / groups };
        if w.shape[2] != want {
            return Err(wrong(&format!("w needs {want} input channels")));
        }
        if self.bias && inputs[2].shape != w.shape[3..] {
            return Err(wrong("bias is not [co]"));
        }
        let size = self.conv.output_size(&x.shape, &w.shape);
        let (height, width) = size.ok_or_else(|| wrong("the kernel is larger than the padded image"))?;
        let shape = [x.shape[0], height, width, w.shape[3]];
        match self.skip_at().map(|at| inputs[at]) {
            Some(skip) if skip.shape != shape => {
                Err(wrong(&format!("skip `{}` {:?} is not {shape:?}", skip.name, skip.shape)))
            }
            _ => Ok(vec![Spec::f32(&shape)]),
        }
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (x, w, y) = (l.input(0), l.input(1), l.output(0));
        let mut params = Params::forward(self.conv, x, w, y);
        (params.low, params.high) = self.act.range();
        params.has_bias = u32::from(self.bias);
        let slots = Slots {
            x: l.read(0),
            w: l.read(1),
            bias: self.bias.then(|| l.read(2)),
            skip: self.skip_at().map(|at| l.read(at)),
            y: l.write(0),
        };
        match Kind::of(self.conv, x.shape[3], w.shape[3]) {
            Kind::Depthwise => geometry::depthwise(l, params, &slots),
            Kind::Dense => dense(l, &params, &slots),
            Kind::Grouped => geometry::grouped(l, "conv2d", params, &slots, group_constants(self.conv, x, w)),
        }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let bias = self.bias.then(|| inputs[2]);
        let mut y = oracle::conv2d::conv2d(inputs[0], inputs[1], bias, &self.conv.into());
        if let Some(at) = self.skip_at() {
            y = oracle::add::add(&y, inputs[at], 1.0);
        }
        let (low, high) = self.act.range();
        vec![y.map(|v| v.clamp(low.into(), high.into()))]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let mut out = vec![None; node.inputs.len()];
        let Some(dy) = node.grads[0] else { return Ok(out) };
        // The activation's gradient follows from the output, and is that of everything that was added up.
        let dy = match self.act {
            Act::None => dy,
            act => tape.push1(ReluGrad { ceiling: act.range().1 }, &[node.outputs[0], dy])?,
        };
        let (x, w) = (node.inputs[0], node.inputs[1]);
        let (x_shape, w_shape) = (tape.value(x).shape.clone(), tape.value(w).shape.clone());
        if node.wanted[0] {
            let op = Conv2dDx { conv: self.conv, x_shape, accumulate: false };
            out[0] = Some(tape.push1(op, &[dy, w])?);
        }
        if node.wanted[1] {
            out[1] = Some(tape.push1(Conv2dDw { conv: self.conv, w_shape }, &[x, dy])?);
        }
        if self.bias && node.wanted[2] {
            out[2] = Some(tape.push1(Conv2dDb, &[dy])?);
        }
        if let Some(at) = self.skip_at() {
            out[at] = Some(dy);
        }
        Ok(out)
    }

    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        2 * outputs[0].len() as u64 * inputs[1].shape[..3].iter().product::<usize>() as u64
    }
}
