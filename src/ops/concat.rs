//! Concatenation along channels and its gradient, a slice of channels.

use super::table::{Case, Fill, Input};
use super::walk::Walk;
use crate::error::{Error, Result};
use crate::gpu::{Caps, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

/// Rows per invocation at most.
const ROWS: usize = 16;

uniform! {
    struct Params {
        rows: u32,
        quads: u32,
        channels: u32,
        team_rows: u32,
        block_rows: u32,
        num_parts: u32,
        offset: u32,
        stride: u32,
        extent: u32,
    }
}

/// Inputs of one shape but for the last axis; output with the sum of their channels, in order.
#[derive(Clone, Copy, Debug)]
pub struct Concat;

/// Input `[.., C]`; output `[.., channels]`, the channels from `offset` on.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// First channel.
    pub offset: usize,
    /// Number of channels.
    pub channels: usize,
}

/// Records the concatenation of 2 to 8 values along the last axis.
///
/// # Errors
/// [`Error::Shape`] if there are fewer or more, or they differ in another axis than the last.
pub fn concat(tape: &mut Tape, parts: &[ValueId]) -> Result<ValueId> {
    tape.push1(Concat, parts)
}

/// `narrow` against the channels of `wide` from `offset` on; `last`: nothing follows in the wide row but padding.
fn params(caps: &Caps, narrow: &Value, wide: &Value, offset: usize, last: bool) -> (Walk, Params) {
    let walk = Walk::on(caps, narrow.rows(), narrow.quads(), ROWS);
    let stride = 4 * wide.quads();
    let params = Params {
        rows: walk.rows,
        quads: walk.quads,
        channels: narrow.channels() as u32,
        team_rows: walk.team_rows,
        block_rows: walk.block_rows,
        num_parts: walk.num_parts,
        offset: offset as u32,
        stride: stride as u32,
        extent: if last { stride - offset } else { narrow.channels() } as u32,
    };
    (walk, params)
}

impl Op for Concat {
    fn stem(&self) -> &'static str {
        "concat"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let shapes: Vec<_> = inputs.iter().map(|v| &v.shape).collect();
        let rows = |v: &Value| v.shape[..v.shape.len().saturating_sub(1)].to_vec();
        let fits = |v: &&Value| v.shape.len() > 1 && !v.is_empty() && rows(v) == rows(inputs[0]);
        if !(2..=8).contains(&inputs.len()) || !inputs.iter().all(fits) {
            return Err(Error::shape("concat", format!("{shapes:?} do not go side by side")));
        }
        let mut shape = rows(inputs[0]);
        shape.push(inputs.iter().map(|v| v.channels()).sum());
        Ok(vec![Spec::f32(&shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let mut offset = 0;
        for i in 0..l.num_inputs() {
            let (walk, params) = params(l.caps, l.input(i), l.output(0), offset, i + 1 == l.num_inputs());
            let (entry, target) =
                if offset % 4 == 0 { ("concat_quads", "out") } else { ("concat_scalars", "wide_out") };
            let bindings = [("x", l.read(i)), (target, l.write(0))];
            l.dispatch("concat", entry, &params, &bindings, walk.grid());
            offset += l.input(i).channels();
        }
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::concat::concat(inputs)]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None; node.inputs.len()]) };
        let mut offset = 0;
        let mut grads = Vec::new();
        for (&input, &wanted) in std::iter::zip(node.inputs, node.wanted) {
            let channels = tape.value(input).channels();
            grads.push(wanted.then(|| tape.push1(Slice { offset, channels }, &[g])).transpose()?);
            offset += channels;
        }
        Ok(grads)
    }

    fn flops(&self, _: &[&Value], _: &[&Value]) -> u64 {
        0
    }
}

impl Op for Slice {
    fn stem(&self) -> &'static str {
        "concat"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let x = inputs[0];
        if x.shape.len() < 2 || self.channels == 0 || self.offset + self.channels > x.channels() {
            let problem = format!(
                "`{}` {:?} has no {} channels from {} on",
                x.name, x.shape, self.channels, self.offset
            );
            return Err(Error::shape("concat", problem));
        }
        let mut shape = x.shape.clone();
        shape[x.shape.len() - 1] = self.channels;
        Ok(vec![Spec::f32(&shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let (walk, params) = params(l.caps, l.output(0), l.input(0), self.offset, false);
        let (entry, source) =
            if self.offset.is_multiple_of(4) { ("slice_quads", "x") } else { ("slice_scalars", "wide") };
        l.dispatch("concat", entry, &params, &[(source, l.read(0)), ("out", l.write(0))], walk.grid());
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::concat::slice(inputs[0], self.offset, self.channels)]
    }

    fn flops(&self, _: &[&Value], _: &[&Value]) -> u64 {
        0
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, rows: &[usize], channels: &[usize]| {
        let input = |&c: &usize| Input::f32(&[rows, &[c]].concat(), Fill::Uniform(-1.0, 1.0));
        Case::new(name, channels.iter().map(input).collect(), |t, v| Ok(vec![concat(t, v)?]))
    };
    vec![
        case("multiples of 4", &[2, 3, 5], &[4, 8, 12]),
        case("odd channels", &[1, 5, 3], &[3, 5, 1, 7]),
        case("aligned end in padding", &[7], &[8, 5]),
        case("padding behind the last input", &[9], &[1, 4]),
        case("eight", &[3, 2], &[1, 1, 1, 1, 2, 3, 5, 6]),
        case("many rows", &[3, 90, 121], &[5, 16]),
        Case::new("one value twice", vec![Input::f32(&[5, 6], Fill::Uniform(-1.0, 1.0))], |t, v| {
            Ok(vec![concat(t, &[v[0], v[0]])?])
        }),
    ]
}
