//! Bicubic resampling of a grid of position embeddings, as vision transformers need it for images of another size.

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { prefix: u32, height_in: u32, width_in: u32, height_out: u32, width_out: u32, quads: u32 }
}

uniform! {
    struct Axis { num_quads: u32, x_at: u32, length_in: u32, length_out: u32, inner: u32 }
}

/// Largest side of a grid: positions are computed in 32-bit integers, and the gradient looks at all outputs of an axis.
const MAX_SIDE: usize = 32_767;

/// The grids before and after, and the rows in front of both that stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resample {
    /// Rows in front.
    pub prefix: usize,
    /// Height and width before.
    pub from: [usize; 2],
    /// Height and width after.
    pub to: [usize; 2],
}

/// Input `[prefix + from, D]`; output `[prefix + to, D]`.
#[derive(Clone, Copy, Debug)]
pub struct ResamplePositions(pub Resample);

/// Input `dy`; output `dx`, the exact transpose of [`ResamplePositions`].
#[derive(Clone, Copy, Debug)]
pub struct ResamplePositionsGrad(pub Resample);

/// Records the embeddings `x [prefix + from[0] from[1], D]` for a grid of `to[0]` rows and `to[1]` columns, as PyTorch's `interpolate`
/// gives it in the mode `bicubic` with `align_corners = False` and no `antialias`. The same grid gives `x` itself.
///
/// # Errors
/// [`Error::Shape`] if `x` does not have that many rows, or a side is 0 or above 32,767.
pub fn resample_positions(tape: &mut Tape, x: ValueId, resample: Resample) -> Result<ValueId> {
    check(tape.value(x), resample, resample.from)?;
    if resample.from == resample.to {
        return Ok(x);
    }
    tape.push1(ResamplePositions(resample), &[x])
}

/// What [`resample_positions`] gives for `values` `[prefix + from[0] from[1], D]`, computed on the processor: for weights of another
/// grid than a network's.
#[must_use]
pub fn resampled(values: &[f32], width: usize, r: Resample) -> Vec<f32> {
    let rows = r.prefix + r.from[0] * r.from[1];
    let x = Array::new(&[rows, width], values.iter().map(|&x| f64::from(x)).collect());
    oracle::resample_positions::resample(&x, r.prefix, r.from, r.to)
        .data
        .into_iter()
        .map(|x| x as f32)
        .collect()
}

/// The shape of `x` with `side` instead of its own grid, which must be `side` too.
fn check(x: &Value, r: Resample, side: [usize; 2]) -> Result<()> {
    let sides = [r.from, r.to].concat();
    let fits = x.shape.len() == 2
        && x.shape[0] == r.prefix + side[0] * side[1]
        && sides.iter().all(|n| (1..=MAX_SIDE).contains(n));
    if fits {
        return Ok(());
    }
    Err(Error::shape("resample_positions", format!("`{}` {:?} for {r:?}", x.name, x.shape)))
}

impl Op for ResamplePositions {
    fn stem(&self) -> &'static str {
        "resample_positions"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let Self(r) = *self;
        check(inputs[0], r, r.from)?;
        Ok(vec![Spec::f32(&[r.prefix + r.to[0] * r.to[1], inputs[0].channels()])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let Self(r) = *self;
        let quads = l.input(0).quads();
        let params = Params {
            prefix: (r.prefix * quads) as u32,
            height_in: r.from[0] as u32,
            width_in: r.from[1] as u32,
            height_out: r.to[0] as u32,
            width_out: r.to[1] as u32,
            quads: quads as u32,
        };
        let groups = grid(l.output(0).padded_len() / 4, 64);
        let bindings = [("x", l.read(0)), ("out", l.write(0))];
        l.dispatch("resample_positions", "resample_positions", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let Self(r) = *self;
        vec![oracle::resample_positions::resample(inputs[0], r.prefix, r.from, r.to)]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None]) };
        Ok(vec![Some(tape.push1(ResamplePositionsGrad(self.0), &[g])?)])
    }

    fn flops(&self, _: &[&Value], outputs: &[&Value]) -> u64 {
        40 * outputs[0].len() as u64
    }
}

impl Op for ResamplePositionsGrad {
    fn stem(&self) -> &'static str {
        "resample_positions"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let Self(r) = *self;
        check(inputs[0], r, r.to)?;
        Ok(vec![Spec::f32(&[r.prefix + r.from[0] * r.from[1], inputs[0].channels()])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let Resample { prefix, from, to } = self.0;
        let quads = l.input(0).quads();
        let front = (prefix * quads) as u32;
        // Along the columns: every row of the output grid by itself.
        let narrow = to[0] * from[1] * quads;
        let half = l.scratch(4 * narrow);
        let columns = Axis {
            num_quads: narrow as u32,
            x_at: front,
            length_in: from[1] as u32,
            length_out: to[1] as u32,
            inner: quads as u32,
        };
        let bindings = [("x", l.read(0)), ("out", half)];
        l.dispatch("resample_positions", "resample_positions_grad", &columns, &bindings, grid(narrow, 64));
        let all = from[0] * from[1] * quads;
        let rows = Axis {
            num_quads: all as u32,
            x_at: 0,
            length_in: from[0] as u32,
            length_out: to[0] as u32,
            inner: (from[1] * quads) as u32,
        };
        let whole = l.scratch(4 * all);
        let bindings = [("x", half), ("out", whole)];
        l.dispatch("resample_positions", "resample_positions_grad", &rows, &bindings, grid(all, 64));
        let params = Params {
            prefix: front,
            height_in: from[0] as u32,
            width_in: from[1] as u32,
            height_out: 0,
            width_out: 0,
            quads: quads as u32,
        };
        let bindings = [("x", l.read(0)), ("summed", whole), ("out", l.write(0))];
        let groups = grid(front as usize + all, 64);
        l.dispatch("resample_positions", "resample_positions_join", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let Self(r) = *self;
        vec![oracle::resample_positions::grad(inputs[0], r.prefix, r.from, r.to)]
    }

    fn flops(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        20 * (inputs[0].len() + outputs[0].len()) as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, channels: usize, r: Resample| {
        let x = Input::f32(&[r.prefix + r.from[0] * r.from[1], channels], Fill::Uniform(-1.0, 1.0));
        Case::new(name, vec![x], move |t, v| Ok(vec![resample_positions(t, v[0], r)?]))
    };
    let to = |prefix, from, to| Resample { prefix, from, to };
    vec![
        case("larger", 5, to(1, [4, 4], [5, 9])),
        case("smaller", 7, to(0, [9, 7], [4, 3])),
        case("larger and smaller", 4, to(3, [6, 3], [2, 13])),
        case("one position", 3, to(1, [1, 1], [3, 2])),
        case("to one position", 8, to(2, [5, 4], [1, 1])),
        case("one axis", 3, to(1, [4, 5], [4, 8])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::DType;

    #[test]
    fn the_same_grid_costs_nothing_and_another_number_of_rows_is_refused() {
        let mut tape = Tape::new();
        let x = tape.input("x", &[17, 8], DType::F32);
        let same = Resample { prefix: 1, from: [4, 4], to: [4, 4] };
        assert_eq!(resample_positions(&mut tape, x, same).expect("the same"), x);
        for wrong in [
            Resample { prefix: 0, ..same },
            Resample { to: [0, 3], ..same },
            Resample { to: [1, 40_000], ..same },
        ] {
            assert!(resample_positions(&mut tape, x, wrong).is_err(), "{wrong:?}");
        }
    }
}
