//! Matching (spec section 4) and contrast (Eq. 11) of all classes in one pass over the prototypes, since both start from
//! the same similarities, and the gradient of both in one.

use super::ppc::{self, PpcGrad};
use super::proto_match;
use super::proto_rule::{expect, sizes};
use super::table::{Case, Fill, Input};
use super::{EmptyLoss, proto_match_emb_grad, valid_mean};
use crate::error::Result;
use crate::gpu::Variant;
use crate::oracle::{self, Array};
use crate::tape::{DType, Gradient, Launch, Op, Spec, Tape, Value, ValueId};

/// Inputs `emb [N,D]`, `protos [C,K,D]`, `target i32 [N]`; outputs those of [`ProtoMatch`](proto_match::ProtoMatch) for all classes and of
/// [`Ppc`](super::ppc::Ppc): `a [N,C]`, `kstar u32 [N,C]`, value `[N]`, log-sum-exp `[N]`.
#[derive(Clone, Copy, Debug)]
pub struct MatchContrast {
    /// Temperature of the contrast.
    pub tau: f32,
}

/// What [`match_contrast()`] records.
#[derive(Clone, Copy, Debug)]
pub struct Matched {
    /// Class similarities `[N,C]`.
    pub a: ValueId,
    /// The best prototype of each class, `u32 [N,C]`.
    pub kstar: ValueId,
    /// The contrast of every pixel, `[N]`, 0 where the target is negative.
    pub contrast: ValueId,
}

/// Records the match of `emb [N,D]` with all prototypes `[C,K,D]` and the contrast with `target i32 [N]` (rows of the
/// prototypes; negative = ignored). Gradients flow from `a` and the contrast to `emb`; prototypes are not trained by either.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if the shapes do not go together.
pub fn match_contrast(
    tape: &mut Tape,
    emb: ValueId,
    protos: ValueId,
    target: ValueId,
    tau: f32,
) -> Result<Matched> {
    let out = tape.push(MatchContrast { tau }, &[emb, protos, target])?;
    Ok(Matched { a: out[0], kstar: out[1], contrast: out[2] })
}

impl Op for MatchContrast {
    fn stem(&self) -> &'static str {
        "match_contrast"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let sizes = sizes("match_contrast", inputs[0], inputs[1])?;
        expect("match_contrast", inputs[2], &[sizes.pixels], DType::I32)?;
        let map = [sizes.pixels, inputs[1].shape[0]];
        Ok(vec![Spec::f32(&map), Spec::u32(&map), Spec::f32(&[sizes.pixels]), Spec::f32(&[sizes.pixels])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (a, kstar) = (l.write(0), l.write(1));
        let state = l.scratch(2 * l.input(0).shape[0]);
        let classes = 0..l.input(1).shape[0];
        if l.caps.variant == Variant::Software {
            proto_match::software(l, &classes, [a, kstar], Some((self.tau, state)));
        } else {
            proto_match::forward(l, &classes, [a, kstar]);
            ppc::scan(l, self.tau, state);
        }
        ppc::finish(l, self.tau, state, [l.write(2), l.write(3)]);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        oracle::match_contrast::match_contrast(inputs[0], inputs[1], inputs[2], f64::from(self.tau)).into()
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let [emb, protos, target] = node.inputs[..] else { unreachable!("three inputs are recorded") };
        let (kstar, lse) = (node.outputs[1], node.outputs[3]);
        let classes = 0..tape.value(protos).shape[0];
        let d_emb = match (node.grads[0], node.grads[2]) {
            _ if !node.wanted[0] => None,
            (None, None) => None,
            (Some(da), None) => Some(proto_match_emb_grad(tape, [da, kstar, protos], None, classes)?),
            (da, Some(g)) => {
                let mut inputs = vec![emb, protos, target, lse, g];
                inputs.extend(da.into_iter().flat_map(|da| [da, kstar]));
                Some(tape.push1(PpcGrad { tau: self.tau }, &inputs)?)
            }
        };
        Ok(vec![d_emb, None, None])
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        2 * inputs[0].len() as u64 * inputs[1].rows() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let on = |name, [n, c, k, d]: [usize; 4], ignored, tau, both: bool| {
        let inputs = vec![
            Input::f32(&[n, d], Fill::UnitRows),
            Input::fixed(&[c, k, d], Fill::UnitRows),
            Input::i32(&[n], Fill::Integers { count: c * k, ignored }),
        ];
        Case::new(name, inputs, move |t, v| {
            let found = match_contrast(t, v[0], v[1], v[2], tau)?;
            let mean = valid_mean(t, found.contrast, v[2], EmptyLoss::Zero)?.0;
            Ok(if both { vec![found.a, mean] } else { vec![found.a] })
        })
    };
    vec![
        on("K 3, D 5", [77, 11, 3, 5], 0.2, 0.1, true),
        on("gradient of the similarities alone", [35, 6, 3, 9], 0.2, 0.1, false),
        on("one class", [20, 1, 2, 16], 0.1, 0.1, true),
        on("all ignored", [21, 2, 3, 16], 1.0, 0.1, true),
        on("a class across tiles, D 13", [70, 13, 17, 13], 0.1, 1.0, true),
        on("K 20", [70, 5, 20, 16], 0.1, 0.1, true),
        on("K 31, D 7", [41, 3, 31, 7], 0.1, 0.1, true),
        on("K 32, one class", [33, 1, 32, 13], 0.1, 0.1, true),
        on("K 50", [70, 3, 50, 16], 0.1, 0.1, true),
        on("K 64, D 7", [41, 5, 64, 7], 0.1, 0.1, true),
        on("150 classes, D 64", [45, 150, 10, 64], 0.1, 0.1, true),
        on("several blocks and tiles", [1061, 60, 10, 7], 0.1, 0.1, true),
        on("several dispatches, D 1024", [9, 206, 20, 1024], 0.1, 0.1, true),
    ]
}
