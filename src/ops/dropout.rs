//! Dropout with counter-based draws.

use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Gradient, Launch, Op, Spec, Tape, Value, ValueId};

use super::table::{Case, Fill, Input};

uniform! {
    struct Params { num_quads: u32, quads: u32, draws_per_row: u32, lanes: u32, rows_per_draw: u32, seed: u32, p: f32 }
}

/// What one draw decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropMode {
    /// One element.
    Element,
    /// One channel of one image (Dropout2d); `x` is `[B, .., C]`.
    Channel,
    /// One image, all of it (stochastic depth); `x` is `[B, .., C]`.
    Image,
}

/// Inputs `x` and `step [1]` u32; output of the shape of `x`. Its gradient is itself.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// Probability of dropping.
    pub p: f32,
    /// What one draw decides.
    pub mode: DropMode,
    /// Seed; two dropouts of one network need two.
    pub seed: u32,
}

/// Records dropout of `x`; draws are a function of (`seed`, content of `step`, place).
///
/// # Errors
/// [`Error::Shape`] if `p` is not in `[0, 1)` or `step` is not one number.
pub fn dropout(
    tape: &mut Tape,
    x: ValueId,
    step: ValueId,
    p: f32,
    mode: DropMode,
    seed: u32,
) -> Result<ValueId> {
    tape.push1(Dropout { p, mode, seed }, &[x, step])
}

impl Dropout {
    /// Draws that one row takes.
    fn draws_per_row(&self, channels: usize) -> usize {
        if self.mode == DropMode::Image { 1 } else { channels }
    }

    fn rows_per_draw(&self, shape: &[usize]) -> usize {
        match self.mode {
            DropMode::Element => 1,
            DropMode::Channel | DropMode::Image => shape[1..shape.len() - 1].iter().product(),
        }
    }
}

impl Op for Dropout {
    fn stem(&self) -> &'static str {
        "dropout"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        if !(0.0..1.0).contains(&self.p) || inputs[1].len() != 1 || inputs[0].shape.len() < 2 {
            let problem = format!("p {} on x {:?}, step {:?}", self.p, inputs[0].shape, inputs[1].shape);
            return Err(Error::shape("dropout", problem));
        }
        Ok(vec![Spec::f32(&inputs[0].shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let x = l.input(0);
        let num_quads = x.padded_len() / 4;
        let params = Params {
            num_quads: num_quads as u32,
            quads: x.quads() as u32,
            draws_per_row: self.draws_per_row(x.channels()) as u32,
            lanes: u32::from(self.mode != DropMode::Image),
            rows_per_draw: self.rows_per_draw(&x.shape) as u32,
            seed: self.seed,
            p: self.p,
        };
        let bindings = [("x", l.read(0)), ("step", l.read(1)), ("out", l.write(0))];
        l.dispatch("dropout", "dropout", &params, &bindings, grid(num_quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let rows = self.rows_per_draw(&inputs[0].shape);
        let counts = [rows, self.draws_per_row(inputs[0].channels())];
        vec![oracle::dropout::dropout(inputs[0], inputs[1].data[0] as u32, self.p, counts, self.seed)]
    }

    fn gradient(&self, tape: &mut Tape, node: &Gradient<'_>) -> Result<Vec<Option<ValueId>>> {
        let Some(g) = node.grads[0] else { return Ok(vec![None; 2]) };
        Ok(vec![Some(tape.push1(*self, &[g, node.inputs[1]])?), None])
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, shape: [usize; 4], p: f32, mode: DropMode| {
        let x = Input::f32(&shape, Fill::Uniform(-1.0, 1.0));
        let step = Input::u32(&[1], Fill::Values(vec![41.0]));
        Case::new(name, vec![x, step], move |t, v| Ok(vec![dropout(t, v[0], v[1], p, mode, 9)?]))
    };
    vec![
        case("elements", [2, 3, 5, 7], 0.3, DropMode::Element),
        case("channels", [3, 4, 5, 13], 0.5, DropMode::Channel),
        case("images", [7, 2, 3, 5], 0.5, DropMode::Image),
        case("nothing dropped", [1, 2, 2, 3], 0.0, DropMode::Element),
    ]
}
