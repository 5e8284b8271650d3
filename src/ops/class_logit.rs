//! Mask norm: class logits from class similarities by a layer norm over the classes, in tiles (spec sections 4, 9.2).
//!
//! Forward: [`class_stats`] folds every tile into `stats [N,4]`, then [`class_logit`] gives each tile's logits. Backward:
//! [`class_logit_sums`] folds every tile into `sums [N,4]`, then [`class_logit_grad`] gives each tile's `da`, and
//! [`class_logit_affine`] adds its part to the gradients of `gamma` and `beta`.

use super::strips::Strips;
use super::table::{Case, Fill, Input};
use super::{add, fill};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct GpuParams { rows: u32, quads: u32, wide: u32, block_rows: u32, first_class: u32, eps: f32 }
}

uniform! {
    struct Params {
        num_rows: u32,
        quads: u32,
        channels: u32,
        first_class: u32,
        first: u32,
        block_rows: u32,
        num_blocks: u32,
        eps: f32,
    }
}

/// Where a tile begins, and the norm's constant.
#[derive(Clone, Copy, Debug)]
pub struct MaskNorm {
    /// First class of the tile, a multiple of 4.
    pub first: usize,
    /// Added to the variance.
    pub eps: f32,
}

/// Input `a [N,classes]` and, except for the first tile, the state to go on from; output `(count, mean, M2, 0) [N,4]`.
#[derive(Clone, Copy, Debug)]
pub struct ClassStats;

/// Inputs `a`, `stats`, `gamma [C]`, `beta [C]`; output `o [N,classes]`.
#[derive(Clone, Copy, Debug)]
pub struct ClassLogit(pub MaskNorm);

/// Inputs `do`, `a`, `stats`, `gamma` and, except for the first tile, the sums; output `(sum gh, sum gh*hhat, 0, 0) [N,4]`.
#[derive(Clone, Copy, Debug)]
pub struct ClassLogitSums(pub MaskNorm);

/// Inputs `do`, `a`, `stats`, `sums`, `gamma`; output `da [N,classes]`.
#[derive(Clone, Copy, Debug)]
pub struct ClassLogitGrad(pub MaskNorm);

/// Inputs `do`, `a`, `stats`, and `dgamma [C]`, `dbeta [C]` to add to, which are the outputs too.
#[derive(Clone, Copy, Debug)]
pub struct ClassLogitAffine(pub MaskNorm);

/// Folds a tile into the running statistics `onto`, or starts them; returns where they are.
///
/// # Errors
/// [`Error::Shape`] if `onto` has other rows.
pub fn class_stats(tape: &mut Tape, a: ValueId, onto: Option<ValueId>) -> Result<ValueId> {
    start_or_add(tape, ClassStats, &[a], onto)
}

/// Records the logits of a tile.
///
/// # Errors
/// [`Error::Shape`] if the shapes do not go together.
pub fn class_logit(
    tape: &mut Tape,
    [a, stats, gamma, beta]: [ValueId; 4],
    norm: MaskNorm,
) -> Result<ValueId> {
    tape.push1(ClassLogit(norm), &[a, stats, gamma, beta])
}

/// Folds a tile into the sums of the backward pass, or starts them; returns where they are.
///
/// # Errors
/// As [`class_logit`].
pub fn class_logit_sums(
    tape: &mut Tape,
    [d, a, stats, gamma]: [ValueId; 4],
    onto: Option<ValueId>,
    norm: MaskNorm,
) -> Result<ValueId> {
    start_or_add(tape, ClassLogitSums(norm), &[d, a, stats, gamma], onto)
}

/// Records the gradient of a tile's similarities; inputs `do`, `a`, `stats`, `sums`, `gamma`.
///
/// # Errors
/// As [`class_logit`].
pub fn class_logit_grad(tape: &mut Tape, inputs: [ValueId; 5], norm: MaskNorm) -> Result<ValueId> {
    tape.push1(ClassLogitGrad(norm), &inputs)
}

/// Adds a tile's part to `onto`, the gradients of `gamma` and `beta`.
///
/// # Errors
/// As [`class_logit`].
pub fn class_logit_affine(
    tape: &mut Tape,
    [d, a, stats]: [ValueId; 3],
    onto: [ValueId; 2],
    norm: MaskNorm,
) -> Result<()> {
    tape.push_into(ClassLogitAffine(norm), &[d, a, stats, onto[0], onto[1]], &onto)
}

fn start_or_add(tape: &mut Tape, op: impl Op, inputs: &[ValueId], onto: Option<ValueId>) -> Result<ValueId> {
    let Some(onto) = onto else { return tape.push1(op, inputs) };
    tape.push_into(op, &[inputs, &[onto]].concat(), &[onto])?;
    Ok(onto)
}

fn check(norm: MaskNorm, a: &Value, stats: &Value, per_class: &Value) -> Result<()> {
    let num_classes = per_class.len();
    let fits = norm.first.is_multiple_of(4) && norm.first + a.channels() <= num_classes;
    if !fits || stats.shape != [a.rows(), 4] {
        let problem = format!(
            "a tile {:?} from class {} of {num_classes} with statistics {:?}",
            a.shape, norm.first, stats.shape
        );
        return Err(Error::shape("class_logit", problem));
    }
    Ok(())
}

fn params(a: &Value, norm: MaskNorm, first: bool) -> Params {
    Params {
        num_rows: a.rows() as u32,
        quads: a.quads() as u32,
        channels: a.channels() as u32,
        first_class: norm.first as u32,
        first: u32::from(first),
        block_rows: 0,
        num_blocks: 0,
        eps: norm.eps,
    }
}

/// Two dispatches, whatever the size (`shaders/proto/class_logit.gpu.wgsl`).
fn affine_on_gpu(l: &mut Launch<'_>, norm: MaskNorm) {
    let a = l.input(1);
    let strips = Strips::new(a.rows(), a.quads());
    let params = |s: &Strips| {
        let Strips { rows, quads, wide, block_rows, .. } = *s;
        GpuParams { rows, quads, wide, block_rows, first_class: norm.first as u32, eps: norm.eps }
    };
    let parts = l.scratch(strips.parts_len(2));
    let bindings = [("d_logit", l.read(0)), ("a", l.read(1)), ("stats", l.read(2)), ("parts_out", parts)];
    l.dispatch("class_logit.gpu", "class_logit_partial", &params(&strips), &bindings, strips.grid());
    let finish = strips.finish();
    let bindings = [("parts", parts), ("d_gamma", l.write(0)), ("d_beta", l.write(1))];
    l.dispatch("class_logit.gpu", "class_logit_affine", &params(&finish), &bindings, finish.grid());
}

impl Op for ClassStats {
    fn stem(&self) -> &'static str {
        "class_logit"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::f32(&[inputs[0].rows(), 4])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = params(l.input(0), MaskNorm { first: 0, eps: 0.0 }, l.num_inputs() == 1);
        let bindings = [("a", l.read(0)), ("state", l.write(0))];
        let groups = grid(l.input(0).rows(), 64);
        l.dispatch("class_logit", "class_logit_stats", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::class_logit::stats(inputs[0], inputs.get(1).copied())]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        4 * inputs[0].len() as u64
    }
}

impl Op for ClassLogit {
    fn stem(&self) -> &'static str {
        "class_logit"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(self.0, inputs[0], inputs[1], inputs[2])?;
        check(self.0, inputs[0], inputs[1], inputs[3])?;
        Ok(vec![Spec::f32(&[inputs[0].rows(), inputs[0].channels()])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let a = l.input(0);
        let bindings = [
            ("a", l.read(0)),
            ("stats", l.read(1)),
            ("gamma", l.read(2)),
            ("beta", l.read(3)),
            ("out", l.write(0)),
        ];
        let groups = grid(a.rows() * a.quads(), 64);
        l.dispatch("class_logit", "class_logit", &params(a, self.0, false), &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let MaskNorm { first, eps } = self.0;
        let [a, stats, gamma, beta] = [inputs[0], inputs[1], inputs[2], inputs[3]];
        vec![oracle::class_logit::class_logit(a, stats, gamma, beta, first, f64::from(eps))]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        4 * inputs[0].len() as u64
    }
}

impl Op for ClassLogitSums {
    fn stem(&self) -> &'static str {
        "class_logit"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(self.0, inputs[1], inputs[2], inputs[3])?;
        Ok(vec![Spec::f32(&[inputs[1].rows(), 4])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = params(l.input(1), self.0, l.num_inputs() == 4);
        let bindings = [
            ("d_logit", l.read(0)),
            ("a", l.read(1)),
            ("stats", l.read(2)),
            ("gamma", l.read(3)),
            ("state", l.write(0)),
        ];
        let groups = grid(l.input(1).rows(), 64);
        l.dispatch("class_logit", "class_logit_sums", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let MaskNorm { first, eps } = self.0;
        let read = [inputs[0], inputs[1], inputs[2], inputs[3]];
        vec![oracle::class_logit::sums(read, inputs.get(4).copied(), first, f64::from(eps))]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        6 * inputs[0].len() as u64
    }
}

impl Op for ClassLogitGrad {
    fn stem(&self) -> &'static str {
        "class_logit"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(self.0, inputs[1], inputs[2], inputs[4])?;
        check(self.0, inputs[1], inputs[3], inputs[4])?;
        Ok(vec![Spec::f32(&[inputs[1].rows(), inputs[1].channels()])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let a = l.input(1);
        let bindings = [
            ("d_logit", l.read(0)),
            ("a", l.read(1)),
            ("stats", l.read(2)),
            ("sums", l.read(3)),
            ("gamma", l.read(4)),
            ("out", l.write(0)),
        ];
        let groups = grid(a.rows() * a.quads(), 64);
        l.dispatch("class_logit", "class_logit_grad", &params(a, self.0, false), &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let MaskNorm { first, eps } = self.0;
        let read = [inputs[0], inputs[1], inputs[2], inputs[3], inputs[4]];
        vec![oracle::class_logit::grad(read, first, f64::from(eps))]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        7 * inputs[0].len() as u64
    }
}

impl Op for ClassLogitAffine {
    fn stem(&self) -> &'static str {
        "class_logit"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(self.0, inputs[1], inputs[2], inputs[3])?;
        Ok(vec![Spec::f32(&inputs[3].shape), Spec::f32(&inputs[4].shape)])
    }

    /// Blocks of about the square root of N rows, so that both sums are short.
    fn launch(&self, l: &mut Launch<'_>) {
        if l.caps.variant.is_parallel() {
            return affine_on_gpu(l, self.0);
        }
        let a = l.input(1);
        let block_rows = a.rows().isqrt().next_power_of_two().clamp(64, 2048);
        let num_blocks = a.rows().div_ceil(block_rows);
        let partial = l.scratch(num_blocks * a.quads() * 8);
        let params = Params {
            block_rows: block_rows as u32,
            num_blocks: num_blocks as u32,
            ..params(a, self.0, false)
        };
        let bindings = [("d_logit", l.read(0)), ("a", l.read(1)), ("stats", l.read(2)), ("partial", partial)];
        let groups = grid(num_blocks * a.quads(), 64);
        l.dispatch("class_logit", "class_logit_partial", &params, &bindings, groups);
        let bindings = [("partial", partial), ("d_gamma", l.write(0)), ("d_beta", l.write(1))];
        l.dispatch("class_logit", "class_logit_affine", &params, &bindings, grid(a.quads(), 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let MaskNorm { first, eps } = self.0;
        let read = [inputs[0], inputs[1], inputs[2]];
        oracle::class_logit::affine(read, [inputs[3], inputs[4]], first, f64::from(eps)).into()
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        5 * inputs[0].len() as u64
    }
}

/// Records the whole norm over tiles of `width` classes given as separate inputs, as one block with its gradient.
pub(super) fn over_tiles(tape: &mut Tape, v: &[ValueId], width: usize) -> Result<Vec<ValueId>> {
    let (tiles, gamma, beta) = (v[..v.len() - 2].to_vec(), v[v.len() - 2], v[v.len() - 1]);
    let norm = move |tile: usize| MaskNorm { first: tile * width, eps: 1e-5 };
    let all_stats = |tape: &mut Tape, tiles: &[ValueId]| {
        tiles.iter().try_fold(None, |stats, &a| class_stats(tape, a, stats).map(Some))
    };
    let inputs = tiles.clone();
    let rule = move |tape: &mut Tape, grads: &[Option<ValueId>]| {
        let stats = all_stats(tape, &inputs)?.expect("at least one tile");
        let pairs = || std::iter::zip(grads, &inputs).enumerate();
        let shape = tape.value(gamma).shape.clone();
        let affine = [fill(tape, &shape, 0.0)?, fill(tape, &shape, 0.0)?];
        let mut sums = None;
        for (tile, (d, &a)) in pairs() {
            let d = d.expect("every tile has a seed");
            sums = Some(class_logit_sums(tape, [d, a, stats, gamma], sums, norm(tile))?);
            class_logit_affine(tape, [d, a, stats], affine, norm(tile))?;
        }
        let sums = sums.expect("at least one tile");
        let mut found = Vec::new();
        for (tile, (d, &a)) in pairs() {
            let d = d.expect("every tile has a seed");
            found.push(Some(class_logit_grad(tape, [d, a, stats, sums, gamma], norm(tile))?));
        }
        found.extend(affine.map(Some));
        Ok(found)
    };
    let body = |tape: &mut Tape| {
        let stats = all_stats(tape, &tiles)?.expect("at least one tile");
        let logit = |(tile, &a): (usize, &ValueId)| class_logit(tape, [a, stats, gamma, beta], norm(tile));
        tiles.iter().enumerate().map(logit).collect()
    };
    tape.block(v, body, rule)
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, rows: usize, widths: &[usize]| {
        let num_classes = widths.iter().sum();
        let tile = |&c: &usize| Input::f32(&[rows, c], Fill::Uniform(-1.0, 1.0));
        let mut inputs: Vec<_> = widths.iter().map(tile).collect();
        inputs.push(Input::f32(&[num_classes], Fill::Uniform(0.5, 1.5)));
        inputs.push(Input::f32(&[num_classes], Fill::Uniform(-0.5, 0.5)));
        let width = widths[0];
        Case::new(name, inputs, move |t, v| over_tiles(t, v, width))
    };
    vec![
        case("one tile of 5", 7, &[5]),
        case("one class: the logit is beta", 3, &[1]),
        case("two classes", 9, &[2]),
        case("three tiles", 11, &[32, 32, 6]),
        case("tiles of 4, one class in the last", 13, &[4, 4, 1]),
        case("many rows", 30_001, &[8, 3]),
        // The mean is 60 times the spread, as with the similarities of an untrained head: squares must not cancel.
        // The result is a difference of numbers near 1, each rounded to 6e-8, over a spread of 0.01.
        Case::new(
            "far from zero",
            {
                let near_one = Input::f32(&[50, 7], Fill::Uniform(-0.01, 0.01));
                let one = Input::fixed(&[50, 7], Fill::Values(vec![0.6; 350]));
                let affine = Input::f32(&[7], Fill::Uniform(0.5, 1.5));
                vec![near_one, one, affine.clone(), affine]
            },
            |t, v| {
                let shifted = add(t, v[0], v[1], 1.0)?;
                over_tiles(t, &[shifted, v[2], v[3]], 8)
            },
        )
        .tolerance(3e-5),
    ]
}
