//! Running mean and variance of batch normalisation.

use super::table::{Case, Fill, Input};
use super::{Act, batch_norm};
use crate::error::{Error, Result};
use crate::gpu::{grid, uniform};
use crate::oracle::{self, Array};
use crate::tape::{Launch, Op, Spec, Tape, Value, ValueId};

uniform! {
    struct Params { quads: u32, keep: f32, momentum: f32, correction: f32 }
}

/// Inputs batch `mean`, biased batch `variance`, running mean, running variance, all `[C]`; outputs the latter two.
#[derive(Clone, Copy, Debug)]
pub struct RunningStats {
    /// Share of the new batch.
    pub momentum: f32,
    /// Rows per channel that the batch statistics were taken over.
    pub num_rows: usize,
}

/// Records the update of `running` = `[mean, variance]` in place by the statistics `batch` = `[mean, variance]` of `num_rows`
/// rows per channel: `running = (1 - momentum) * running + momentum * batch`, the variance made unbiased by `n / (n - 1)`.
///
/// # Errors
/// [`Error::Shape`] if the four are not of one shape `[C]`.
pub fn running_stats(
    tape: &mut Tape,
    batch: [ValueId; 2],
    running: [ValueId; 2],
    num_rows: usize,
    momentum: f32,
) -> Result<()> {
    let inputs = [batch[0], batch[1], running[0], running[1]];
    tape.push_into(RunningStats { momentum, num_rows }, &inputs, &running)
}

impl RunningStats {
    /// One row has no spread to correct.
    fn correction(&self) -> f64 {
        self.num_rows as f64 / self.num_rows.saturating_sub(1).max(1) as f64
    }
}

impl Op for RunningStats {
    fn stem(&self) -> &'static str {
        "running_stats"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Spec>> {
        match inputs.iter().find(|v| v.shape.len() != 1 || v.shape != inputs[0].shape) {
            None => Ok(vec![Spec::f32(&inputs[2].shape), Spec::f32(&inputs[3].shape)]),
            Some(v) => {
                let problem = format!("`{}` {:?} against {:?}", v.name, v.shape, inputs[0].shape);
                Err(Error::shape("running_stats", problem))
            }
        }
    }

    fn launch(&self, l: &mut Launch<'_>) {
        let quads = l.output(0).quads();
        let params = Params {
            quads: quads as u32,
            keep: 1.0 - self.momentum,
            momentum: self.momentum,
            correction: self.correction() as f32,
        };
        let bindings = [
            ("mean", l.read(0)),
            ("variance", l.read(1)),
            ("running_mean", l.write(0)),
            ("running_variance", l.write(1)),
        ];
        l.dispatch("running_stats", "running_stats", &params, &bindings, grid(quads, 64));
    }

    fn oracle(&self, inputs: &[&Array]) -> Vec<Array> {
        let momentum = f64::from(self.momentum);
        let unbiased = inputs[1].map(|v| v * self.correction());
        vec![
            oracle::running_stats::blend(inputs[2], inputs[0], momentum),
            oracle::running_stats::blend(inputs[3], &unbiased, momentum),
        ]
    }
}

pub(super) fn cases() -> Vec<Case> {
    let vector = || Input::fixed(&[7], Fill::Uniform(0.5, 1.0));
    vec![
        Case::new("given", vec![vector(), vector(), vector(), vector()], |t, v| {
            running_stats(t, [v[0], v[1]], [v[2], v[3]], 2, 0.1)?;
            Ok(vec![])
        }),
        Case::new("one row", vec![vector(), vector(), vector(), vector()], |t, v| {
            running_stats(t, [v[0], v[1]], [v[2], v[3]], 1, 1.0)?;
            Ok(vec![])
        }),
        Case::new(
            "of a batch",
            vec![
                Input::fixed(&[3, 2, 5, 7], Fill::Uniform(-1.0, 1.0)),
                vector(),
                vector(),
                vector(),
                vector(),
            ],
            |t, v| {
                let normed = batch_norm(t, v[0], v[1], v[2], 1e-5, Act::None)?;
                running_stats(t, [normed.mean, normed.variance], [v[3], v[4]], 30, 0.03)?;
                Ok(vec![])
            },
        ),
    ]
}
