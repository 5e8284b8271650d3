//! The predicted class of every row, over tiles of classes (spec section 4).

use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_rows: u32, quads: u32, channels: u32, first_class: u32, first: u32 }
}

/// Input `o [N,classes]` and, except for the first tile, `pred` and `best`; outputs `pred [N]` (`u32`) and `best [N]`.
#[derive(Clone, Copy, Debug)]
pub struct ArgmaxRows {
    /// First class of the tile.
    pub first: usize,
}

/// Folds a tile into the running `(pred, best)`, or starts them; returns where they are. Lowest class index on ties.
///
/// # Errors
/// [`Error::Shape`] if the state has another number of rows.
pub fn argmax_rows(
    tape: &mut Tape,
    o: ValueId,
    onto: Option<(ValueId, ValueId)>,
    first: usize,
) -> Result<(ValueId, ValueId)> {
    let op = ArgmaxRows { first };
    let Some((pred, best)) = onto else {
        let out = tape.push(op, &[o])?;
        return Ok((out[0], out[1]));
    };
    tape.push_into(op, &[o, pred, best], &[pred, best])?;
    Ok((pred, best))
}

impl Op for ArgmaxRows {
    fn stem(&self) -> &'static str {
        "argmax_rows"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let o = inputs[0];
        if o.channels() == 0 {
            return Err(Error::shape("argmax_rows", format!("no class in `{}` {:?}", o.name, o.shape)));
        }
        Ok(vec![Spec::u32(&[o.rows()]), Spec::f32(&[o.rows()])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let o = l.input(0);
        let params = Params {
            num_rows: o.rows() as u32,
            quads: o.quads() as u32,
            channels: o.channels() as u32,
            first_class: self.first as u32,
            first: u32::from(l.num_inputs() == 1),
        };
        let bindings = [("o", l.read(0)), ("pred", l.write(0)), ("best", l.write(1))];
        l.dispatch("argmax_rows", "argmax_rows", &params, &bindings, grid(o.rows(), 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let onto = (inputs.len() > 1).then(|| [inputs[1], inputs[2]]);
        oracle::argmax_rows::argmax_rows(inputs[0], onto, self.first).into()
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, rows: usize, widths: &'static [usize], fill: Fill| {
        let inputs = widths.iter().map(|&c| Input::fixed(&[rows, c], fill.clone())).collect();
        Case::new(name, inputs, |t, v| {
            let mut state = None;
            let mut first = 0;
            for &tile in v {
                state = Some(argmax_rows(t, tile, state, first)?);
                first += t.value(tile).channels();
            }
            Ok(Vec::new())
        })
    };
    let ties = Fill::Integers { count: 4, ignored: 0.3 };
    vec![
        case("one class", 5, &[1], Fill::Uniform(-1.0, 1.0)),
        case("three tiles", 70, &[32, 32, 6], Fill::Uniform(-9.0, -1.0)),
        case("ties", 500, &[8, 8, 3], ties.clone()),
        case("many rows", 40_003, &[11], ties),
    ]
}
