//! Runs a recorded step on the device with a file's inputs and reads what is wanted of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::model::PROTOTYPES;
use crate::ops;
use crate::tape::{DType, Keep, Plan, Program, Store, Tape, tuned_caps};

use super::config::{Golden, StepInputs};
use super::record::{Recorded, Source, WEIGHTS};

/// A quantity, and whether it is wanted at the sampled pixels only.
pub type Wanted = (String, bool);

/// What was read, with one leading axis for the runs. Rows are pixels or whatever the device's first axes are.
pub type Found = BTreeMap<Wanted, Vec<f64>>;

/// Runs the step as often as the file asks for: once, consecutively on the same prototypes, or on replicas whose prototypes
/// are averaged afterwards.
pub async fn run(
    gpu: &Arc<Gpu>,
    golden: &Golden,
    recorded: &Recorded,
    wanted: &BTreeSet<Wanted>,
) -> Result<Found> {
    let sources: Vec<_> =
        wanted.iter().filter_map(|w| recorded.quantities.get(&w.0).map(|source| (w, source))).collect();
    let kept: Vec<_> = sources.iter().flat_map(|(_, source)| source.values()).collect();
    let caps = tuned_caps(gpu, &recorded.tape, Keep::Only(&kept)).await?;
    let program = Program::new(&recorded.tape, &caps, Keep::Only(&kept));
    let mut found = Found::new();
    let mut plan = None;
    for inputs in golden.steps()? {
        let current = match plan.take() {
            Some(plan) if golden.config.ranks.is_none() => plan,
            _ => {
                let mut store = first_weights(gpu, golden, recorded)?;
                Plan::new(gpu, &recorded.tape, &program, &mut store)?
            }
        };
        write(&current, golden, recorded, &inputs)?;
        current.run();
        for &(name, source) in &sources {
            let rows = if name.1 { Some((&golden.sample[..], golden.config.pixels())) } else { None };
            found.entry(name.clone()).or_default().extend(read(&current, recorded, source, rows).await?);
        }
        plan = Some(current);
    }
    if let (Some(ranks), Some(protos)) = (golden.config.ranks, found.get_mut(&("protos_after".into(), false)))
    {
        *protos = mean(gpu, golden, ranks, protos).await?;
    }
    Ok(found)
}

/// The file's weights and prototypes on the device.
fn first_weights(gpu: &Gpu, golden: &Golden, recorded: &Recorded) -> Result<Store> {
    let mut store = Store::new();
    for entry in &recorded.weights.0 {
        let name = WEIGHTS.iter().find(|(_, ours)| *ours == entry.name).map(|(golden, _)| *golden);
        let name = name.unwrap_or(if entry.name == PROTOTYPES { "protos" } else { &entry.name });
        let data = golden.input(name, entry.disk_shape().iter().product())?;
        if let Some(id) = recorded.tape.find(&entry.name) {
            store.set(gpu, recorded.tape.value(id), &entry.to_device(&data))?;
        }
    }
    Ok(store)
}

fn write(plan: &Plan, golden: &Golden, recorded: &Recorded, inputs: &StepInputs) -> Result<()> {
    plan.write(recorded.features, &inputs.features);
    plan.write(recorded.labels, &inputs.labels);
    plan.write(recorded.class_weights, &golden.class_weights()?);
    if let Some(noise) = &inputs.gumbel {
        plan.write(recorded.noise, noise);
    }
    Ok(())
}

/// The numbers of a source, all of them or the given rows of so many.
async fn read(
    plan: &Plan,
    recorded: &Recorded,
    source: &Source,
    rows: Option<(&[usize], usize)>,
) -> Result<Vec<f64>> {
    let pick = |data: Vec<f64>| match rows {
        Some((rows, of)) => {
            let width = data.len() / of;
            rows.iter().flat_map(|&n| data[n * width..(n + 1) * width].iter().copied()).collect()
        }
        None => data,
    };
    match source {
        Source::Value(id) => Ok(pick(plan.read_f64(*id).await?)),
        Source::Weight(id, entry) => {
            let data: Vec<f32> = plan.read(*id).await?;
            Ok(recorded.weights.0[*entry].to_disk(&data).into_iter().map(f64::from).collect())
        }
        Source::Same(a, b) => {
            let (a, b) = (plan.read_f64(*a).await?, plan.read_f64(*b).await?);
            Ok(pick(a.iter().zip(&b).map(|(a, b)| f64::from(u8::from(a == b))).collect()))
        }
        Source::Tiles(ids) => {
            let widths = ids.iter().map(|&id| recorded.tape.value(id).channels());
            let width: usize = widths.sum();
            let (mut out, mut first) = (Vec::new(), 0);
            for &id in ids {
                let part = pick(plan.read_f64(id).await?);
                let columns = recorded.tape.value(id).channels();
                out.resize(part.len() / columns * width, 0.0);
                for (to, from) in out.chunks_exact_mut(width).zip(part.chunks_exact(columns)) {
                    to[first..first + columns].copy_from_slice(from);
                }
                first += columns;
            }
            Ok(out)
        }
    }
}

/// The plain mean of the replicas' prototypes, on the device (spec section 7, step 5).
async fn mean(gpu: &Arc<Gpu>, golden: &Golden, ranks: usize, protos: &[f64]) -> Result<Vec<f64>> {
    let c = &golden.config;
    let shape = [c.classes, c.prototypes, c.embedding];
    let mut tape = Tape::new();
    let replicas: Vec<_> = (0..ranks).map(|_| tape.input("replica", &shape, DType::F32)).collect();
    let mut sum = *replicas.first().ok_or_else(|| Error::shape("replicas", "there is none"))?;
    for &replica in &replicas[1..] {
        sum = ops::add(&mut tape, sum, replica, 1.0)?;
    }
    let mean = ops::scale(&mut tape, sum, 1.0 / ranks as f32)?;
    let caps = tuned_caps(gpu, &tape, Keep::Only(&[mean])).await?;
    let program = Program::new(&tape, &caps, Keep::Only(&[mean]));
    let plan = Plan::new(gpu, &tape, &program, &mut Store::new())?;
    for (&id, data) in replicas.iter().zip(protos.chunks_exact(protos.len() / ranks)) {
        plan.write(id, &data.iter().map(|&x| x as f32).collect::<Vec<_>>());
    }
    plan.run();
    plan.read_f64(mean).await
}
