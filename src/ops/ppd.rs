//! Pixel-prototype distance (Eq. 12).

use super::proto_rule::{expect, sizes};
use super::table::{Case, Fill, Input};
use super::{EmptyLoss, valid_mean};
use crate::error::Result;
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_pixels: u32, num_rows: u32, quads: u32 }
}

/// Inputs `emb [N,D]`, `protos [C,K,D]`, `target i32 [N]`; outputs `(1 - S_t)^2 [N]` and `1 - S_t [N]`, 0 where ignored.
/// Only the first has a gradient, and only with respect to `emb`: prototypes are not trained by it.
#[derive(Clone, Copy, Debug)]
pub struct Ppd;

/// Inputs `protos`, `target`, `1 - S_t [N]`, the gradient of the first output `[N]`; output that of `emb [N,D]`.
#[derive(Clone, Copy, Debug)]
pub struct PpdGrad;

/// Records the distance loss `[1]`, the mean of `(1 - S_t)^2` over the pixels with a target (spec section 6).
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the shapes do not go together.
pub fn ppd(
    tape: &mut Tape,
    emb: ValueId,
    protos: ValueId,
    target: ValueId,
    empty: EmptyLoss,
) -> Result<ValueId> {
    let values = tape.push(Ppd, &[emb, protos, target])?[0];
    Ok(valid_mean(tape, values, target, empty)?.0)
}

impl Op for Ppd {
    fn stem(&self) -> &'static str {
        "ppd"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let sizes = sizes("ppd", inputs[0], inputs[1])?;
        expect("ppd", inputs[2], &[sizes.pixels], DType::I32)?;
        Ok(vec![Spec::f32(&[sizes.pixels]), Spec::f32(&[sizes.pixels])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (emb, protos) = (l.input(0), l.input(1));
        let params = Params {
            num_pixels: emb.shape[0] as u32,
            num_rows: protos.rows() as u32,
            quads: emb.quads() as u32,
        };
        let bindings = [
            ("emb", l.read(0)),
            ("protos", l.read(1)),
            ("assigned", l.read(2)),
            ("value", l.write(0)),
            ("gap", l.write(1)),
        ];
        l.dispatch("ppd", "ppd", &params, &bindings, grid(emb.shape[0], 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let (value, gap) = oracle::ppd::ppd(inputs[0], inputs[1], inputs[2]);
        vec![value, gap]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0].filter(|_| node.wanted[0]) else { return Ok(vec![None; 3]) };
        let inputs = [node.inputs[1], node.inputs[2], node.outputs[1], g];
        Ok(vec![Some(tape.push1(PpdGrad, &inputs)?), None, None])
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        2 * inputs[0].len() as u64
    }
}

impl Op for PpdGrad {
    fn stem(&self) -> &'static str {
        "ppd"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&[inputs[1].len(), inputs[0].channels()])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (protos, out) = (l.input(0), l.output(0));
        let params = Params {
            num_pixels: out.shape[0] as u32,
            num_rows: protos.rows() as u32,
            quads: out.quads() as u32,
        };
        let bindings = [
            ("protos", l.read(0)),
            ("assigned", l.read(1)),
            ("gap_in", l.read(2)),
            ("upstream", l.read(3)),
            ("out", l.write(0)),
        ];
        l.dispatch("ppd", "ppd_grad", &params, &bindings, grid(out.padded_len() / 4, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::ppd::ppd_grad(inputs[0], inputs[1], inputs[2], inputs[3])]
    }
}

pub(super) fn cases() -> Vec<Case> {
    let on = |name, [n, c, k, d]: [usize; 4], ignored| {
        let emb = Input::f32(&[n, d], Fill::UnitRows);
        let inputs = vec![
            if n > 10_000 { Input { grad: false, ..emb } } else { emb },
            Input::fixed(&[c, k, d], Fill::UnitRows),
            Input::i32(&[n], Fill::Integers { count: c * k, ignored }),
        ];
        Case::new(name, inputs, |t, v| Ok(vec![ppd(t, v[0], v[1], v[2], EmptyLoss::Zero)?]))
    };
    vec![
        on("K 3, D 5", [77, 11, 3, 5], 0.2),
        on("one prototype", [20, 1, 1, 16], 0.1),
        on("all ignored", [20, 2, 3, 16], 1.0),
        on("K 20", [70, 5, 20, 16], 0.1),
        on("K 32, D 7", [90, 3, 32, 7], 0.1),
        on("K 50", [70, 5, 50, 16], 0.1),
        on("K 64, D 7", [90, 3, 64, 7], 0.1),
        on("150 classes, D 64", [300, 150, 10, 64], 0.1),
        on("many", [40_000, 11, 10, 13], 0.1),
    ]
}
