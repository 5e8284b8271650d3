//! Class logits by class vectors that every image has of its own, for a range of classes (spec section 2, b).

use std::ops::Range;

use super::fill;
use super::strips::Strips;
use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params {
        images: u32,
        pixels: u32,
        quads: u32,
        columns: u32,
        num_classes: u32,
        first_class: u32,
        classes: u32,
        accumulate: u32,
        first_pixel: u32,
        rows: u32,
        blocks: u32,
    }
}

uniform! {
    struct GpuParams {
        rows: u32,
        quads: u32,
        wide: u32,
        block_rows: u32,
        pixels: u32,
        block: u32,
        num_parts: u32,
        depth: u32,
        columns: u32,
        num_classes: u32,
        first_class: u32,
        classes: u32,
        first_pixel: u32,
    }
}

/// Floats that the sums of blocks may take: 64 MiB.
const SCRATCH_FLOATS: usize = 16 << 20;

/// Inputs `emb [N,D]`, N = B times the pixels of an image, and `vectors [B,C,D]`; output `[N,classes]`.
#[derive(Clone, Debug)]
pub struct QueryLogit {
    /// The classes, a range of `0..C`.
    pub classes: Range<usize>,
}

/// Inputs `d_out [N,classes]`, `vectors` and, to be added to, `d_emb`; output `d_emb [N,D]`.
#[derive(Clone, Debug)]
pub struct QueryLogitEmbGrad {
    /// As in [`QueryLogit`].
    pub classes: Range<usize>,
}

/// Inputs `d_out`, `emb` and the `d_vectors [B,C,D]` to add to, which is the output too.
#[derive(Clone, Debug)]
pub struct QueryLogitVectorsGrad {
    /// As in [`QueryLogit`].
    pub classes: Range<usize>,
}

/// Records the inner products of `emb [N,D]` with the `vectors [B,C,D]` of `classes`: `[N,classes]`.
///
/// # Errors
/// [`Error::Shape`] if the lengths differ, N is no multiple of B, or the range leaves `0..C`.
pub fn query_logit(
    tape: &mut Tape,
    emb: ValueId,
    vectors: ValueId,
    classes: Range<usize>,
) -> Result<ValueId> {
    tape.push1(QueryLogit { classes }, &[emb, vectors])
}

/// Records the gradient to the embeddings, added in place to `onto` if given; returns where it is.
///
/// # Errors
/// [`Error::Shape`] as for [`query_logit`].
pub fn query_logit_emb_grad(
    tape: &mut Tape,
    [d_out, vectors]: [ValueId; 2],
    onto: Option<ValueId>,
    classes: Range<usize>,
) -> Result<ValueId> {
    let op = QueryLogitEmbGrad { classes };
    let Some(onto) = onto else { return tape.push1(op, &[d_out, vectors]) };
    tape.push_into(op, &[d_out, vectors, onto], &[onto])?;
    Ok(onto)
}

/// Records the gradient to the class vectors, added in place to `onto [B,C,D]`.
///
/// # Errors
/// [`Error::Shape`] as for [`query_logit`].
pub fn query_logit_vectors_grad(
    tape: &mut Tape,
    [d_out, emb]: [ValueId; 2],
    onto: ValueId,
    classes: Range<usize>,
) -> Result<()> {
    tape.push_into(QueryLogitVectorsGrad { classes }, &[d_out, emb, onto], &[onto])
}

/// Checks `vectors` and the range against `rows` pixels of `channels` numbers.
fn check(classes: &Range<usize>, rows: usize, channels: usize, vectors: &Value) -> Result<()> {
    let (shape, Range { start, end }) = (&vectors.shape, classes);
    let fits = shape.len() == 3 && !shape.contains(&0) && shape[2] == channels;
    if !fits || !rows.is_multiple_of(shape[0]) || rows == 0 {
        let problem =
            format!("{rows} embeddings of length {channels} against class vectors {shape:?} [B,C,D]");
        return Err(Error::shape("query_logit", problem));
    }
    if start >= end || *end > shape[1] {
        let problem = format!("classes {start}..{end} of class vectors {shape:?}");
        return Err(Error::shape("query_logit", problem));
    }
    Ok(())
}

fn params(rows: usize, vectors: &Value, classes: &Range<usize>) -> Params {
    Params {
        images: vectors.shape[0] as u32,
        pixels: (rows / vectors.shape[0]) as u32,
        quads: vectors.quads() as u32,
        columns: classes.len().div_ceil(4) as u32,
        num_classes: vectors.shape[1] as u32,
        first_class: classes.start as u32,
        classes: classes.len() as u32,
        accumulate: 0,
        first_pixel: 0,
        rows: 0,
        blocks: 0,
    }
}

/// Invocations for 4 pixels of one image each and `across` columns of them.
fn items(params: &Params, across: u32) -> usize {
    params.images as usize * params.pixels.div_ceil(4) as usize * across as usize
}

impl Op for QueryLogit {
    fn stem(&self) -> &'static str {
        "query_logit"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(&self.classes, inputs[0].rows(), inputs[0].channels(), inputs[1])?;
        Ok(vec![Spec::f32(&[inputs[0].rows(), self.classes.len()])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = params(l.input(0).rows(), l.input(1), &self.classes);
        let bindings = [("emb", l.read(0)), ("vectors", l.read(1)), ("out", l.write(0))];
        let groups = grid(items(&params, params.columns), 64);
        l.dispatch("query_logit", "query_logit", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let (first, count) = (self.classes.start, self.classes.len());
        vec![oracle::query_logit::query_logit(inputs[0], inputs[1], first, count)]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(d_out) = node.grads[0] else { return Ok(vec![None; 2]) };
        let (emb, vectors) = (node.inputs[0], node.inputs[1]);
        let mut found = vec![None; 2];
        if node.wanted[0] {
            found[0] = Some(query_logit_emb_grad(tape, [d_out, vectors], None, self.classes.clone())?);
        }
        if node.wanted[1] {
            let shape = tape.value(vectors).shape.clone();
            let sum = fill(tape, &shape, 0.0)?;
            query_logit_vectors_grad(tape, [d_out, emb], sum, self.classes.clone())?;
            found[1] = Some(sum);
        }
        Ok(found)
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        2 * (inputs[0].len() * self.classes.len()) as u64
    }
}

impl Op for QueryLogitEmbGrad {
    fn stem(&self) -> &'static str {
        "query_logit"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(&self.classes, inputs[0].rows(), inputs[1].channels(), inputs[1])?;
        Ok(vec![Spec::f32(&[inputs[0].rows(), inputs[1].channels()])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let accumulate = u32::from(l.num_inputs() > 2);
        let params = Params { accumulate, ..params(l.input(0).rows(), l.input(1), &self.classes) };
        let bindings = [("d_out", l.read(0)), ("vectors", l.read(1)), ("out", l.write(0))];
        let groups = grid(items(&params, params.quads), 64);
        l.dispatch("query_logit", "query_logit_emb_grad", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let onto = inputs.get(2).copied();
        vec![oracle::query_logit::emb_grad(inputs[0], inputs[1], onto, self.classes.start)]
    }

    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        2 * (outputs[0].len() * inputs[0].channels()) as u64
    }
}

impl QueryLogitVectorsGrad {
    /// As [`Op::launch`], in shorter blocks that workgroups add up (`shaders/nn/query_logit.gpu.wgsl`).
    fn launch_gpu(&self, l: &mut Launch<'_>) {
        const ROWS: usize = 32;
        let base = params(l.input(0).rows(), l.output(0), &self.classes);
        let [images, pixels, quads] = [base.images, base.pixels, base.quads].map(|n| n as usize);
        let width = base.columns as usize * quads;
        let most = (SCRATCH_FLOATS / (16 * images * width)).clamp(1, 32_768);
        let blocks = pixels.div_ceil(ROWS).min(most);
        let parts = l.scratch(16 * images * blocks * width);
        for first_pixel in (0..pixels).step_by(blocks * ROWS) {
            let blocks = (pixels - first_pixel).div_ceil(ROWS).min(blocks);
            let strips = Strips::over_parts(blocks as u32, 4 * width as u32);
            let params = GpuParams {
                rows: strips.rows,
                quads: strips.quads,
                wide: strips.wide,
                block_rows: strips.block_rows,
                pixels: base.pixels,
                block: ROWS as u32,
                num_parts: (images * blocks) as u32,
                depth: base.quads,
                columns: base.columns,
                num_classes: base.num_classes,
                first_class: base.first_class,
                classes: base.classes,
                first_pixel: first_pixel as u32,
            };
            let bindings = [("d_out", l.read(0)), ("emb", l.read(1)), ("parts_out", parts)];
            let groups = grid(images * blocks * width, 64);
            l.dispatch("query_logit.gpu", "query_logit_vectors_partial", &params, &bindings, groups);
            let bindings = [("parts", parts), ("out", l.write(0))];
            let [across, down, _] = strips.grid();
            let groups = [across, down, images as u32];
            l.dispatch("query_logit.gpu", "query_logit_vectors_grad", &params, &bindings, groups);
        }
    }
}

impl Op for QueryLogitVectorsGrad {
    fn stem(&self) -> &'static str {
        "query_logit"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(&self.classes, inputs[0].rows(), inputs[1].channels(), inputs[2])?;
        Ok(vec![Spec::f32(&inputs[2].shape)])
    }

    /// Pairs of dispatches (sums of blocks of rows, their sum), as many as keep the sums of blocks within 64 MiB.
    fn launch(&self, l: &mut Launch<'_>) {
        const ROWS: usize = 512;
        if l.caps.variant.is_parallel() {
            return self.launch_gpu(l);
        }
        let base = params(l.input(0).rows(), l.output(0), &self.classes);
        let [images, pixels, quads] = [base.images, base.pixels, base.quads].map(|n| n as usize);
        let width = base.columns as usize * quads;
        let most = (SCRATCH_FLOATS / (16 * images * width)).clamp(1, 32_768);
        let blocks = pixels.div_ceil(ROWS).min(most);
        let partial = l.scratch(16 * images * blocks * width);
        for first_pixel in (0..pixels).step_by(blocks * ROWS) {
            let blocks = (pixels - first_pixel).div_ceil(ROWS).min(blocks);
            let params =
                Params { first_pixel: first_pixel as u32, rows: ROWS as u32, blocks: blocks as u32, ..base };
            let bindings = [("d_out", l.read(0)), ("emb", l.read(1)), ("out", partial)];
            let groups = grid(images * blocks * width, 64);
            l.dispatch("query_logit", "query_logit_vectors_partial", &params, &bindings, groups);
            let bindings = [("partial", partial), ("out", l.write(0))];
            let groups = grid(images * self.classes.len() * quads, 64);
            l.dispatch("query_logit", "query_logit_vectors_grad", &params, &bindings, groups);
        }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::query_logit::vectors_grad(inputs[0], inputs[1], inputs[2], self.classes.start)]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        2 * (inputs[1].len() * self.classes.len()) as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, [b, n, c, d]: [usize; 4], classes: Range<usize>| {
        let rows = |shape: &[usize]| Input::f32(shape, Fill::Uniform(-1.0, 1.0));
        Case::new(name, vec![rows(&[b * n, d]), rows(&[b, c, d])], move |t, v| {
            Ok(vec![query_logit(t, v[0], v[1], classes.clone())?])
        })
    };
    vec![
        case("one of everything", [1, 1, 1, 1], 0..1),
        case("three images", [3, 7, 5, 6], 0..5),
        case("a tile in the middle", [2, 13, 70, 9], 32..64),
        case("the last tile", [2, 6, 70, 12], 64..70),
        case("several blocks of rows", [2, 1027, 11, 17], 0..11),
    ]
}
