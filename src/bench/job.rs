//! Something to run and time: a tape, what it keeps, and the content of its inputs.

use std::sync::Arc;

use crate::error::Result;
use crate::gpu::Gpu;
use crate::nn::Weights;
use crate::ops::check;
use crate::ops::table::Case;
use crate::tape::{DType, Keep, Plan, Program, Store, Tape, ValueId, pack};

use super::time::{Timing, time};

/// How much of a case is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The outputs.
    Forward,
    /// The outputs and the gradients of all inputs that have one.
    Gradients,
}

/// Work with everything that it reads.
pub struct Job {
    /// The tape.
    pub tape: Tape,
    /// What must hold its content afterwards: the rest is dropped where nothing kept depends on it.
    pub kept: Vec<ValueId>,
    /// Content of inputs and state.
    pub inputs: Vec<(ValueId, Vec<f64>)>,
    /// Those of the inputs that are uploaded anew for every run, as images are.
    pub fed: Vec<ValueId>,
    /// Weights that get first values.
    pub weights: Weights,
}

/// A job on a device.
pub struct Bound {
    gpu: Arc<Gpu>,
    plan: Plan,
    program: Program,
    /// What is uploaded for every run, as it lies in memory.
    fed: Vec<(ValueId, Vec<u32>)>,
}

impl Job {
    /// A case of the op table; `None` if it has no gradient and gradients are wanted.
    ///
    /// # Errors
    /// Those of recording.
    pub fn of_case(case: &Case, direction: Direction) -> Result<Option<Self>> {
        let recorded = check::record(case)?;
        let mut kept: Vec<_> = recorded.outputs.iter().map(|output| output.0).collect();
        if direction == Direction::Gradients {
            let gradients: Vec<_> = recorded.grads.iter().filter_map(|gradient| gradient.1).collect();
            if gradients.is_empty() {
                return Ok(None);
            }
            kept.extend(gradients);
        }
        let (tape, inputs) = (recorded.tape, recorded.inputs);
        Ok(Some(Self { tape, kept, inputs, fed: Vec::new(), weights: Weights::default() }))
    }

    /// Plans the job for `gpu` and fills its inputs.
    ///
    /// # Errors
    /// Those of [`Plan::new`].
    pub fn bind(self, gpu: &Arc<Gpu>) -> Result<Bound> {
        let program = Program::new(&self.tape, gpu.caps(), Keep::Only(&self.kept));
        let mut store = Store::new();
        self.weights.init(gpu, &mut store, 1)?;
        let plan = Plan::new(gpu, &self.tape, &program, &mut store)?;
        let mut fed = Vec::new();
        for (id, data) in &self.inputs {
            let value = self.tape.value(*id);
            check::write(&plan, value, *id, data);
            if self.fed.contains(id) {
                let bits = |x: &f64| match value.dtype {
                    DType::F32 => (*x as f32).to_bits(),
                    DType::I32 => *x as i32 as u32,
                    DType::U32 => *x as u32,
                };
                let dense: Vec<u32> = data.iter().map(bits).collect();
                fed.push((*id, pack(&value.shape, value.dtype, &dense)));
            }
        }
        gpu.wait()?;
        Ok(Bound { gpu: Arc::clone(gpu), plan, program, fed })
    }
}

impl Bound {
    /// What the plan holds and costs.
    #[must_use]
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Uploads what every run is fed with and submits one run; returns without waiting.
    pub fn run(&self) {
        for (id, held) in &self.fed {
            self.plan.write_padded(*id, held);
        }
        self.plan.run();
    }

    /// Times [`Bound::run`] for about `seconds`.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the device reported trouble.
    pub fn time(&self, seconds: f64) -> Result<Timing> {
        time(&self.gpu, seconds, || self.run())
    }

    /// Time of one run on the device by its own clock, the better of two, in seconds; `None` if it has none.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if the device reported trouble.
    pub async fn device_secs(&self) -> Result<Option<f64>> {
        let mut best: Option<f64> = None;
        for _ in 0..2 {
            let Some(times) = self.plan.profile().await? else { return Ok(None) };
            let total = times.iter().map(|t| t.seconds).sum::<f64>();
            best = Some(best.map_or(total, |secs| secs.min(total)));
        }
        Ok(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{self, table::TABLE};

    #[test]
    fn every_operation_has_something_to_time() {
        for row in TABLE {
            for case in (row.bench)() {
                let forward = Job::of_case(&case, Direction::Forward).expect("shapes fit").expect("forward");
                let caps = crate::gpu::Caps::floor();
                let program = Program::new(&forward.tape, &caps, Keep::Only(&forward.kept));
                let own = format!("/{}", row.stem);
                let found = program.nodes().iter().any(|n| format!("/{}", n.name).ends_with(&own));
                assert!(found, "{}: the operation itself is dropped", row.stem);
                assert!(program.largest_bytes() <= caps.max_binding_bytes, "{} [{}]", row.stem, case.name);
            }
        }
    }

    #[test]
    fn gradients_are_recorded_where_there_are_some() {
        let of = |stem: &str| {
            let row = TABLE.iter().find(|r| r.stem == stem).expect("a row");
            let job = Job::of_case(&(row.bench)()[0], Direction::Gradients).expect("shapes fit");
            job.map(|job| job.kept.len())
        };
        // y, dx, dw.
        assert_eq!(of("conv2d"), Some(3));
        assert_eq!(of("argmax_rows"), None);
    }

    #[test]
    fn a_bound_job_computes() {
        let gpu = crate::testing::gpu();
        let case = &ops::table::TABLE.iter().find(|r| r.stem == "add").expect("a row").bench;
        let job = Job::of_case(&case()[0], Direction::Forward).expect("shapes fit").expect("forward");
        let (sum, inputs) = (job.kept[0], job.inputs.clone());
        let bound = job.bind(&gpu).expect("it fits");
        let timing = bound.time(0.0).expect("a run");
        assert!(timing.best_secs > 0.0 && timing.best_secs <= timing.median_secs && timing.samples >= 3);
        let found: Vec<f32> = pollster::block_on(bound.plan().read(sum)).expect("a read-back");
        let wanted = (inputs[0].1[5] + inputs[1].1[5]) as f32;
        assert!((found[5] - wanted).abs() < 1e-6);
    }
}
