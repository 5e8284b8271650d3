//! 2-D convolution, NHWC: dense (1x1, kxk, stride, dilation), depthwise and grouped, with optional bias.
//!
//! Weights are `[kh, kw, ci, co]` with `ci` the input channels of one group; for one group it is rounded up to a multiple
//! of 4 (the extra rows are zero and stay so), because activations are padded that way in memory.

mod cases;
mod dense;
mod geometry;
mod gradient;

pub use geometry::Conv;
pub use gradient::{Conv2dDb, Conv2dDw, Conv2dDx};

use crate::error::{Error, Result};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

pub(super) use cases::cases;
use dense::dense;
use geometry::{Kind, Params};

/// Inputs `x [B,H,W,Ci]`, `w [kh,kw,ci,Co]` and optionally `bias [Co]`; output `[B,OH,OW,Co]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d(pub Conv);

/// Records a convolution.
///
/// # Errors
/// [`Error::Shape`] if input, weight, bias and groups do not go together.
pub fn conv2d(tape: &mut Tape, x: ValueId, w: ValueId, bias: Option<ValueId>, conv: Conv) -> Result<ValueId> {
    let inputs: Vec<_> = [x, w].into_iter().chain(bias).collect();
    tape.push1(Conv2d(conv), &inputs)
}

impl Op for Conv2d {
    fn stem(&self) -> &'static str {
        "conv2d"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let (x, w) = (inputs[0], inputs[1]);
        let wrong = |what: &str| {
            let text = format!("{what}: x {:?}, w `{}` {:?}, {:?}", x.shape, w.name, w.shape, self.0);
            Error::shape("conv2d", text)
        };
        if x.shape.len() != 4 || w.shape.len() != 4 {
            return Err(wrong("x is [B,H,W,C] and w is [kh,kw,ci,co]"));
        }
        let groups = self.0.groups;
        if groups == 0 || !x.shape[3].is_multiple_of(groups) || !w.shape[3].is_multiple_of(groups) {
            return Err(wrong("channels are not a multiple of the groups"));
        }
        let want = if groups == 1 { x.shape[3].next_multiple_of(4) } else { x.shape[3] / groups };
        if w.shape[2] != want {
            return Err(wrong(&format!("w needs {want} input channels")));
        }
        if inputs.len() > 2 && inputs[2].shape != w.shape[3..] {
            return Err(wrong("bias is not [co]"));
        }
        let size = self.0.output_size(&x.shape, &w.shape);
        let (height, width) = size.ok_or_else(|| wrong("the kernel is larger than the padded image"))?;
        Ok(vec![Spec::f32(&[x.shape[0], height, width, w.shape[3]])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (x, w, y) = (l.input(0), l.input(1), l.output(0));
        let mut params = Params::forward(self.0, x, w, y);
        params.has_bias = u32::from(l.num_inputs() > 2);
        // Without a bias the binding still needs a buffer; the kernel does not read it.
        let bias = if l.num_inputs() > 2 { l.read(2) } else { l.read(1) };
        let (x_slot, w_slot, y_slot) = (l.read(0), l.read(1), l.write(0));
        match Kind::of(self.0, x.shape[3], w.shape[3]) {
            Kind::Depthwise if params.has_bias == 0 => {
                geometry::depthwise(l, params, x_slot, w_slot, y_slot);
            }
            Kind::Dense => {
                dense(l, &params, &[("x", x_slot), ("w", w_slot), ("bias", bias), ("y", y_slot)]);
            }
            _ => {
                let bindings = [("x", x_slot), ("w", w_slot), ("bias", bias), ("y", y_slot)];
                let groups = crate::gpu::grid(params.num_pixels as usize * y.quads() * 4, 64);
                l.dispatch("conv2d.grouped", "conv2d", &params, &bindings, groups);
                l.constants(&geometry::group_constants(self.0, x, w));
            }
        }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::conv2d::conv2d(inputs[0], inputs[1], inputs.get(2).copied(), &self.0.into())]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(dy) = node.grads[0] else { return Ok(vec![None; node.inputs.len()]) };
        let (x, w) = (node.inputs[0], node.inputs[1]);
        let (x_shape, w_shape) = (tape.value(x).shape.clone(), tape.value(w).shape.clone());
        let mut out = vec![None; node.inputs.len()];
        if node.wanted[0] {
            out[0] = Some(tape.push1(Conv2dDx { conv: self.0, x_shape: x_shape.clone() }, &[dy, w])?);
        }
        if node.wanted[1] {
            out[1] = Some(tape.push1(Conv2dDw { conv: self.0, w_shape }, &[x, dy])?);
        }
        if node.inputs.len() > 2 && node.wanted[2] {
            out[2] = Some(tape.push1(Conv2dDb, &[dy])?);
        }
        Ok(out)
    }

    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        2 * outputs[0].len() as u64 * inputs[1].shape[..3].iter().product::<usize>() as u64
    }
}
