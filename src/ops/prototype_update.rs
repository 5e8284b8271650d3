//! Prototypes in place: running mean on the sphere, unit rows.

use super::proto_rule::expect;
use super::prototype_sums;
use super::table::{Case, Fill, Input};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{DType, Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { num_rows: u32, quads: u32, momentum: f32, rest: f32 }
}

/// Inputs `protos [C,K,D]`, `sums [C,K,D]`, `counts u32 [C,K]`; output the new `protos`.
#[derive(Clone, Copy, Debug)]
pub struct PrototypeUpdate {
    /// mu, the share of the old prototype that stays.
    pub momentum: f64,
}

/// Input `protos [C,K,D]`; output the same with rows of unit length.
#[derive(Clone, Copy, Debug)]
pub struct PrototypeNormalise;

/// Records the update of `protos` in place (spec section 7, steps 3 and 4): where `counts > 0`,
/// `p = mu*p + (1-mu) * m/max(|m|, 1e-12)`; then every row to unit length.
///
/// # Errors
/// [`Error::Shape`] if the shapes do not go together.
pub fn prototype_update(
    tape: &mut Tape,
    protos: ValueId,
    (sums, counts): (ValueId, ValueId),
    momentum: f64,
) -> Result<()> {
    tape.push_into(PrototypeUpdate { momentum }, &[protos, sums, counts], &[protos])
}

/// Records the normalisation of `protos` in place: `p / max(|p|, 1e-12)` (spec section 4).
///
/// # Errors
/// [`Error::Shape`] if `protos` is not `[C,K,D]`.
pub fn prototype_normalise(tape: &mut Tape, protos: ValueId) -> Result<()> {
    tape.push_into(PrototypeNormalise, &[protos], &[protos])
}

fn check(protos: &Value) -> Result<[usize; 2]> {
    match protos.shape[..] {
        [classes, num_protos, _] if protos.dtype == DType::F32 => Ok([classes, num_protos]),
        _ => Err(Error::shape("prototype_update", format!("prototypes {:?}, [C,K,D] wanted", protos.shape))),
    }
}

fn params(protos: &Value, momentum: f64) -> Params {
    Params {
        num_rows: protos.rows() as u32,
        quads: protos.quads() as u32,
        momentum: momentum as f32,
        rest: (1.0 - momentum) as f32,
    }
}

impl Op for PrototypeUpdate {
    fn stem(&self) -> &'static str {
        "prototype_update"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        let counts = check(inputs[0])?;
        expect("prototype_update", inputs[1], &inputs[0].shape, DType::F32)?;
        expect("prototype_update", inputs[2], &counts, DType::U32)?;
        Ok(vec![Spec::f32(&inputs[0].shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = params(l.input(0), self.momentum);
        let bindings = [("protos", l.write(0)), ("sums", l.read(1)), ("counts", l.read(2))];
        let groups = grid(params.num_rows as usize, 8);
        l.dispatch("prototype_update", "prototype_update", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::prototype_update::prototype_update(inputs[0], inputs[1], inputs[2], self.momentum)]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        9 * inputs[0].len() as u64
    }
}

impl Op for PrototypeNormalise {
    fn stem(&self) -> &'static str {
        "prototype_update"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        check(inputs[0])?;
        Ok(vec![Spec::f32(&inputs[0].shape)])
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let params = params(l.input(0), 1.0);
        let groups = grid(params.num_rows as usize, 8);
        let bindings = [("protos", l.write(0))];
        l.dispatch("prototype_update", "prototype_normalise", &params, &bindings, groups);
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        vec![oracle::prototype_update::prototype_normalise(inputs[0])]
    }

    fn flops(&self, inputs: &[&Value], _: &[&Value]) -> u64 {
        3 * inputs[0].len() as u64
    }
}

pub(super) fn cases() -> Vec<Case> {
    let on = |name, [n, c, k, d]: [usize; 4], momentum: Option<f64>| {
        let inputs = vec![
            // As after initialisation: not of unit length.
            Input::fixed(&[c, k, d], Fill::Uniform(-0.02, 0.02)),
            Input::fixed(&[n, d], Fill::UnitRows),
            Input::i32(&[n], Fill::Integers { count: c, ignored: 0.2 }),
            Input::i32(&[n], Fill::Integers { count: k, ignored: 0.0 }),
        ];
        // The tightest bound in the book: with mu = 0.999 a wrong rule moves the result by 5e-4 only.
        Case::new(name, inputs, move |t, v| {
            let Some(momentum) = momentum else {
                prototype_normalise(t, v[0])?;
                return Ok(vec![]);
            };
            let found = prototype_sums(t, v[1], v[2], v[3], None, [c, k])?;
            prototype_update(t, v[0], found, momentum)?;
            Ok(vec![])
        })
        .tolerance(2e-6)
    };
    vec![
        on("mu 0.999", [200, 11, 10, 64], Some(0.999)),
        on("some prototypes get nothing", [20, 5, 3, 5], Some(0.9)),
        on("mu 0, D 16, K 1", [50, 2, 1, 16], Some(0.0)),
        on("mu 1, one row", [5, 1, 1, 13], Some(1.0)),
        on("normalise only", [1, 150, 16, 7], None),
        on("K 17", [300, 3, 17, 16], Some(0.9)),
        on("K 20", [900, 11, 20, 64], Some(0.999)),
        on("K 31, D 5", [500, 2, 31, 5], Some(0.5)),
        on("K 50", [900, 3, 50, 16], Some(0.9)),
        on("K 64", [700, 2, 64, 8], Some(0.99)),
        on("normalise only, K 32", [1, 11, 32, 7], None),
        on("long rows", [3000, 19, 10, 720], Some(0.99)),
    ]
}
