//! From patches to the tokens of a vision transformer and back (Dosovitskiy et al. 2021, eq. 1).

use super::table::{Case, Fill, Input};
use std::ops::Range;

use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { images: u32, patches: u32, length: u32, extra: u32, placed: u32, quads: u32 }
}

/// Inputs `patches [B,N,D]`, `prefix [P,D]`, `pos [Q + N, D]`; output `[B, P + N, D]`.
#[derive(Clone, Copy, Debug)]
pub struct Tokens;

/// Inputs those of [`Tokens`] and the gradient of its output; outputs the gradients of its inputs.
#[derive(Clone, Copy, Debug)]
pub struct TokensGrad;

/// Input `[B,M,D]`; output `[B,count,D]`.
#[derive(Clone, Copy, Debug)]
pub struct TakeTokens {
    /// The first token that is kept of every image.
    pub first: usize,
    /// How many are kept.
    pub count: usize,
}

/// Input `[B,count,D]`; output `[B,length,D]`, the transpose of [`TakeTokens`].
#[derive(Clone, Copy, Debug)]
pub struct TakeTokensGrad {
    /// What was taken.
    pub take: TakeTokens,
    /// Tokens of an image.
    pub length: usize,
}

/// Records the tokens of `patches [B,N,D]`: in front of each image's the P rows of `prefix`, and to the first Q of those (the
/// class token) and to the patches their row of `pos [Q + N, D]` is added.
///
/// # Errors
/// [`Error::Shape`] if the shapes do not go together, or Q is above P.
pub fn tokens(tape: &mut Tape, patches: ValueId, prefix: ValueId, pos: ValueId) -> Result<ValueId> {
    tape.push1(Tokens, &[patches, prefix, pos])
}

/// Records the tokens `kept` of every image of `x [B,M,D]`. All of them give `x` itself.
///
/// # Errors
/// [`Error::Shape`] if `x` is not of rank 3 or has no such tokens.
pub fn take_tokens(tape: &mut Tape, x: ValueId, kept: Range<usize>) -> Result<ValueId> {
    let shape = &tape.value(x).shape;
    if shape.len() == 3 && kept == (0..shape[1]) {
        return Ok(x);
    }
    tape.push1(TakeTokens { first: kept.start, count: kept.len() }, &[x])
}

fn params(patches: &[usize], extra: usize, pos: usize, quads: usize) -> Params {
    Params {
        images: patches[0] as u32,
        patches: patches[1] as u32,
        length: (extra + patches[1]) as u32,
        extra: extra as u32,
        placed: (pos - patches[1]) as u32,
        quads: quads as u32,
    }
}

fn check(inputs: &[&Value]) -> Result<()> {
    let [patches, prefix, pos] = [&inputs[0].shape[..], &inputs[1].shape, &inputs[2].shape];
    let fits = match (patches, prefix, pos) {
        (&[b, n, d], &[p, d1], &[q, d2]) => {
            b * n * d > 0 && d1 == d && d2 == d && p > 0 && (n..=n + p).contains(&q)
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let problem =
        format!("patches {patches:?} [B,N,D], prefix {prefix:?} [P,D] and pos {pos:?} [Q + N, D], Q <= P");
    Err(Error::shape("tokens", problem))
}

impl Op for Tokens {
    fn stem(&self) -> &'static str {
        "tokens"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(inputs)?;
        let shape = &inputs[0].shape;
        Ok(vec![Spec::f32(&[shape[0], inputs[1].shape[0] + shape[1], shape[2]])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let [patches, prefix, pos] = [l.input(0), l.input(1), l.input(2)];
        let params = params(&patches.shape, prefix.shape[0], pos.shape[0], patches.quads());
        let bindings = [("x", l.read(0)), ("prefix", l.read(1)), ("pos", l.read(2)), ("out", l.write(0))];
        l.dispatch("tokens", "tokens", &params, &bindings, grid(l.output(0).padded_len() / 4, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::tokens::tokens(inputs[0], inputs[1], inputs[2])]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None; 3]) };
        let found = tape.push(TokensGrad, &[node.inputs, &[g]].concat())?;
        Ok(found.into_iter().map(Some).collect())
    }
}

impl Op for TokensGrad {
    fn stem(&self) -> &'static str {
        "tokens"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(inputs)?;
        Ok(inputs[..3].iter().map(|x| Spec::f32(&x.shape)).collect())
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let [patches, prefix, pos] = [l.input(0), l.input(1), l.input(2)];
        let params = params(&patches.shape, prefix.shape[0], pos.shape[0], patches.quads());
        let bindings = [("x", l.read(3)), ("out", l.write(0))];
        l.dispatch("tokens", "take_tokens", &params, &bindings, grid(l.output(0).padded_len() / 4, 64));
        let bindings = [("x", l.read(3)), ("dprefix", l.write(1)), ("dpos", l.write(2))];
        let items = (params.extra + params.patches) as usize * patches.quads();
        l.dispatch("tokens", "tokens_grad", &params, &bindings, grid(items, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        oracle::tokens::gradient(inputs[0], inputs[1], inputs[2], inputs[3]).into()
    }
}

impl TakeTokens {
    fn params(self, x: &Value, length: usize) -> Params {
        Params {
            images: x.shape[0] as u32,
            patches: self.count as u32,
            length: length as u32,
            extra: self.first as u32,
            placed: 0,
            quads: x.quads() as u32,
        }
    }
}

impl Op for TakeTokens {
    fn stem(&self) -> &'static str {
        "tokens"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        match inputs[0].shape[..] {
            [b, m, d] if self.count > 0 && self.first + self.count <= m => {
                Ok(vec![Spec::f32(&[b, self.count, d])])
            }
            ref other => Err(Error::shape("tokens", format!("{self:?} of {other:?}, which must be [B,M,D]"))),
        }
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = self.params(l.input(0), l.input(0).shape[1]);
        let bindings = [("x", l.read(0)), ("out", l.write(0))];
        l.dispatch("tokens", "take_tokens", &params, &bindings, grid(l.output(0).padded_len() / 4, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::tokens::take(inputs[0], self.first, self.count)]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None]) };
        let length = tape.value(node.inputs[0]).shape[1];
        Ok(vec![Some(tape.push1(TakeTokensGrad { take: *self, length }, &[g])?)])
    }
}

impl Op for TakeTokensGrad {
    fn stem(&self) -> &'static str {
        "tokens"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let shape = &inputs[0].shape;
        Ok(vec![Spec::f32(&[shape[0], self.length, shape[2]])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = self.take.params(l.input(0), self.length);
        let bindings = [("x", l.read(0)), ("out", l.write(0))];
        l.dispatch("tokens", "take_tokens_grad", &params, &bindings, grid(l.output(0).padded_len() / 4, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::tokens::take_grad(inputs[0], self.take.first, self.length)]
    }
}

pub(super) fn cases() -> Vec<Case> {
    let x = |shape: &[usize]| Input::f32(shape, Fill::Uniform(-1.0, 1.0));
    let forth = |name: &str, [b, n, d]: [usize; 3], [extra, placed]: [usize; 2]| {
        let inputs = vec![x(&[b, n, d]), x(&[extra, d]), x(&[placed + n, d])];
        Case::new(name, inputs, |t, v| Ok(vec![tokens(t, v[0], v[1], v[2])?]))
    };
    let take = |name: &str, shape: [usize; 3], kept: Range<usize>| {
        Case::new(name, vec![x(&shape)], move |t, v| Ok(vec![take_tokens(t, v[0], kept.clone())?]))
    };
    vec![
        forth("a class token", [2, 5, 7], [1, 1]),
        forth("a class token and registers", [3, 6, 8], [5, 1]),
        forth("no positions in front", [1, 4, 3], [2, 0]),
        take("the patches", [3, 7, 5], 2..7),
        take("the class tokens", [3, 5, 6], 0..1),
        take("the middle", [2, 9, 4], 3..6),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::DType;

    #[test]
    fn parts_that_do_not_go_together_are_refused() {
        let mut tape = Tape::new();
        let mut x = |shape: &[usize]| tape.input("x", shape, DType::F32);
        let [patches, prefix, pos] = [x(&[2, 5, 8]), x(&[1, 8]), x(&[6, 8])];
        let wrong = [
            [patches, prefix, x(&[7, 8])],
            [patches, prefix, x(&[4, 8])],
            [patches, x(&[1, 4]), pos],
            [prefix; 3],
        ];
        for [a, b, c] in wrong {
            assert!(tokens(&mut tape, a, b, c).is_err_and(|e| e.to_string().contains("prefix")));
        }
        assert!(tokens(&mut tape, patches, prefix, pos).is_ok());
        assert!(take_tokens(&mut tape, patches, 2..6).is_err());
        assert_eq!(take_tokens(&mut tape, patches, 0..5).expect("all"), patches);
    }
}
