//! Gumbel noise for the random assignment of the published head.

use super::proto_rule::expect;
use super::table::{Case, Fill, Input};
use crate::error::Result;
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_quads: u32, quads: u32, num_protos: u32, seed: u32 }
}

/// Input the step `u32 [1]`; output `[N,K]`.
#[derive(Clone, Copy, Debug)]
pub struct Gumbel {
    /// N, pixels.
    pub pixels: usize,
    /// K, prototypes per class.
    pub protos: usize,
    /// Seed of the run.
    pub seed: u32,
}

/// Records i.i.d. standard Gumbel noise `[N,K]`, a pure function of (`seed`, the content of `step`, position).
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) if `step` is not `u32 [1]`.
pub fn gumbel(tape: &mut Tape, step: ValueId, [pixels, protos]: [usize; 2], seed: u32) -> Result<ValueId> {
    tape.push1(Gumbel { pixels, protos, seed }, &[step])
}

impl Op for Gumbel {
    fn stem(&self) -> &'static str {
        "gumbel"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        expect("gumbel", inputs[0], &[1], DType::U32)?;
        Ok(vec![Spec::f32(&[self.pixels, self.protos])])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let out = l.output(0);
        let num_quads = out.padded_len() / 4;
        let params = Params {
            num_quads: num_quads as u32,
            quads: out.quads() as u32,
            num_protos: self.protos as u32,
            seed: self.seed,
        };
        let bindings = [("counter", l.read(0)), ("out", l.write(0))];
        l.dispatch("gumbel", "gumbel", &params, &bindings, grid(num_quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let step = inputs[0].data[0] as u32;
        vec![oracle::gumbel::gumbel([self.pixels, self.protos], |i| crate::rng::bits(self.seed, step, i))]
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name, shape, step| {
        let inputs = vec![Input::u32(&[1], Fill::Values(vec![step]))];
        Case::new(name, inputs, move |t, v| {
            gumbel(t, v[0], shape, 77)?;
            Ok(vec![])
        })
    };
    vec![
        case("K 10", [300, 10], 0.0),
        case("K 3", [7, 3], 12_345.0),
        case("K 17", [41, 17], 2.0),
        case("K 20", [300, 20], 3.0),
        case("K 31", [7, 31], 4.0),
        case("K 32", [90, 32], 5.0),
        case("K 50", [90, 50], 6.0),
        case("K 64", [33, 64], 7.0),
        // Wide enough to meet both ends of the uniform numbers.
        case("many", [60_000, 16], 1.0),
    ]
}
