//! `plan`: bytes, operations and dispatches, before anything is allocated.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use protoseg::data::{ClassInfo, Classes, Layout, Source};
use protoseg::gpu::{Caps, Gpu, list_adapters};
use protoseg::infer::record_inference;
use protoseg::model::{ClassifierSize, ModelSpec, Phase, Provenance, StepCost, TrainStep, read_spec};
use protoseg::tape::{Keep, NodeReport, Program, Tape, ValueId, tuned_caps};
use protoseg::train::{Config, DataConfig};
use protoseg::{Error, Result, model_file};
use serde::Serialize;

use crate::args::{Cli, PlanArgs};
use crate::node_times::{self, Times};

/// The most pixels of a step, all images together, and the most classes that are planned: above, the forecast itself takes
/// seconds and gigabytes, and no kernel could count so far.
const MAX_PIXELS: u128 = 1 << 28;
const MAX_CLASSES: usize = 1_000_000;

/// The contract's JSON document.
#[derive(Serialize)]
struct Document<'a> {
    bytes: u64,
    weights_bytes: u64,
    state_bytes: u64,
    largest_buffer_bytes: u64,
    flops: u64,
    dispatches: usize,
    /// Numbers of what makes class scores of embeddings.
    classifier: ClassifierSize,
    constant_dispatches: usize,
    fits: bool,
    adapter: &'a str,
    nodes: &'a [NodeReport],
    /// Runs of those nodes in one step, and what follows them, where a step has several micro-batches.
    #[serde(skip_serializing_if = "Option::is_none")]
    micro_batches: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_nodes: Option<&'a [NodeReport]>,
    /// With --time; `null` on an adapter without timestamps.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<Option<&'a Times>>,
}

pub async fn plan(args: &PlanArgs, cli: &Cli) -> Result<()> {
    // The forecast needs no device; where there is none it is made for the floor.
    let without = !args.time && list_adapters().await.is_empty();
    let gpu = if without { None } else { Some(crate::open(cli).await?) };
    let several = args.files.len() > 1;
    let mut forecasts = Vec::new();
    for file in &args.files {
        let forecast = Forecast::of(file, args, gpu.as_ref()).await?;
        if !args.json {
            if several {
                say!("{}{}", if forecasts.is_empty() { "" } else { "\n" }, file.display());
            }
            forecast.print(several);
        }
        forecasts.push(forecast);
    }
    match &forecasts[..] {
        _ if !args.json => Ok(()),
        [one] => crate::print_json(&one.document()),
        all => crate::print_json(&all.iter().map(Forecast::document).collect::<Vec<_>>()),
    }
}

/// What a file's step or inference takes.
struct Forecast {
    adapter: String,
    recorded: Recorded,
    largest: u64,
    fits: bool,
    classifier: ClassifierSize,
    times: Option<Option<Times>>,
}

impl Forecast {
    async fn of(file: &Path, args: &PlanArgs, gpu: Option<&Arc<Gpu>>) -> Result<Self> {
        let (caps, adapter) = match gpu {
            Some(gpu) => {
                let Recorded { tape, kept, .. } = record(file, args, gpu.caps())?;
                (tuned_caps(gpu, &tape, Keep::Only(&kept)).await?, gpu.name().to_owned())
            }
            None => (Caps::floor(), "none: planned for WebGPU's default limits".to_owned()),
        };
        let recorded = record(file, args, &caps)?;
        let Recorded { program, update, spec, tape, .. } = &recorded;
        let largest =
            update.iter().map(|(_, update)| update.largest_bytes()).fold(program.largest_bytes(), u64::max);
        let fits = largest <= caps.max_binding_bytes.min(caps.max_buffer_bytes);
        let classifier = ClassifierSize::of(spec)?;
        let times = match gpu {
            Some(gpu) if args.time => Some(node_times::measure(gpu, tape, program).await?),
            _ => None,
        };
        Ok(Self { adapter, recorded, largest, fits, classifier, times })
    }

    fn document(&self) -> Document<'_> {
        let Recorded { program, cost, update, .. } = &self.recorded;
        Document {
            bytes: cost.bytes,
            weights_bytes: program.weight_bytes(),
            state_bytes: cost.state_bytes,
            largest_buffer_bytes: self.largest,
            flops: cost.flops,
            dispatches: cost.dispatches,
            classifier: self.classifier,
            constant_dispatches: program.num_constant_dispatches(),
            fits: self.fits,
            adapter: &self.adapter,
            nodes: program.nodes(),
            micro_batches: update.as_ref().map(|(times, _)| *times),
            update_nodes: update.as_ref().map(|(_, update)| update.nodes()),
            times: self.times.as_ref().map(Option::as_ref),
        }
    }

    /// In words; of several without the operations.
    fn print(&self, several: bool) {
        let Recorded { program, cost, update, .. } = &self.recorded;
        let mib = |bytes: u64| bytes as f64 / 1048576.0;
        say!("adapter    {}", self.adapter);
        say!(
            "memory     {:.1} MiB, of which weights {:.1} and other state {:.1}",
            mib(cost.bytes),
            mib(program.weight_bytes()),
            mib(cost.state_bytes)
        );
        let verdict =
            if self.fits { "fits" } else { "is above the limit: use a smaller batch, crop or image" };
        say!("largest    {:.1} MiB in one buffer, {verdict}", mib(self.largest));
        let (each, micro) = match update {
            Some((times, _)) => {
                (", what follows being of one micro-batch", format!(", {times} micro-batches and an update"))
            }
            None => ("", String::new()),
        };
        let each = if several { "" } else { each };
        say!(
            "work       {:.3} GFLOP in {} dispatches{micro}{each}",
            cost.flops as f64 / 1e9,
            cost.dispatches
        );
        say!("classifier {}", described(&self.classifier));
        if program.num_constant_dispatches() > 0 {
            say!("once       {} dispatches more, after weights changed", program.num_constant_dispatches());
        }
        match &self.times {
            Some(times) => node_times::print(times.as_ref()),
            None if several => {}
            None => by_operation(program.nodes()),
        }
    }
}

/// What is forecast.
struct Recorded {
    tape: Tape,
    program: Program,
    /// What the program keeps.
    kept: Vec<ValueId>,
    cost: StepCost,
    /// How often the program is run in a step and what is run then, where it is that of a micro-batch.
    update: Option<(usize, Program)>,
    spec: ModelSpec,
}

/// Learnable parameters of the classifier, and what stands beside them, in words.
fn described(size: &ClassifierSize) -> String {
    let ClassifierSize { kind, learnable, grows_with_classes, mask_norm, prototypes } = *size;
    let mut out = format!("{} head, {learnable} learnable parameters", kind.name());
    if learnable != grows_with_classes {
        out += &format!(", {grows_with_classes} of them grow with the classes");
    }
    if prototypes > 0 {
        out += &format!("; {prototypes} numbers of prototypes that no gradient trains");
    }
    if mask_norm > 0 {
        out += &format!("; mask norm {mask_norm} more parameters");
    }
    out
}

/// The tape of a training step (configuration) or of an inference (model), and what it is on a device with `caps`.
fn record(file: &Path, args: &PlanArgs, caps: &Caps) -> Result<Recorded> {
    if file.extension().is_some_and(|e| e == "toml") {
        let config = Config::load(file, &args.set)?;
        let [height, width] = args.size.unwrap_or([config.augment.crop_height, config.augment.crop_width]);
        let batch = args.batch.unwrap_or(config.train.batch);
        check_pixels(batch, [height, width])?;
        let spec = spec(&config, args.classes)?;
        let options = config.train.step_options(batch, [height, width]);
        let phase = if spec.head.warms_up(config.train.steps) { Phase::WarmUp } else { Phase::Main };
        let (step, program) = TrainStep::plan(&spec, &options, phase, caps)?;
        let kept = step.kept();
        let cost = step.cost(&program, caps);
        let update = step.update.as_ref().map(|update| (step.micro_batches, update.program(caps)));
        return Ok(Recorded { tape: step.tape, program, kept, cost, update, spec });
    }
    let [height, width] = args.size.unwrap_or([360, 480]);
    let set = (!args.set.is_empty()).then_some(("--set", "a model has no configuration to override"));
    let classes = args.classes.map(|_| ("--classes", "a model has its own"));
    let batch =
        args.batch.filter(|&batch| batch != 1).map(|_| ("--batch", "a model is planned for one image"));
    if let Some((flag, reason)) = set.or(classes).or(batch) {
        return Err(Error::config(format!("{flag} is for configurations"), reason));
    }
    check_pixels(1, [height, width])?;
    let spec = read_spec(&model_file::read(file)?)?;
    let (tape, kept) = record_inference(&spec, height, width)?;
    let program = Program::new(&tape, caps, Keep::Only(&kept));
    let cost = StepCost::of(&program);
    Ok(Recorded { tape, program, kept, cost, update: None, spec })
}

/// Refuses a step without an image and one that no device could make.
fn check_pixels(batch: usize, [height, width]: [usize; 2]) -> Result<()> {
    let pixels = [batch, height, width].map(|n| n as u128).into_iter().fold(1, u128::saturating_mul);
    if (1..=MAX_PIXELS).contains(&pixels) {
        return Ok(());
    }
    let problem = format!("a step of {batch} x {height} x {width} pixels cannot be planned");
    let remedy = format!("choose --batch (at least 1) and --size so that it has at most {MAX_PIXELS}");
    Err(Error::config(problem, remedy))
}

/// The spec of a configuration, with the data set's classes or as many as `count` nameless ones.
fn spec(config: &Config, count: Option<usize>) -> Result<ModelSpec> {
    let classes = match count {
        None => classes(config)?,
        Some(count) if !(1..=MAX_CLASSES).contains(&count) => {
            let remedy = format!("give a number from 1 to {MAX_CLASSES}");
            return Err(Error::config(format!("--classes is {count}"), remedy));
        }
        Some(count) => {
            let class = |i| ClassInfo { id: i as u16, name: format!("class {i}"), color: [0; 3] };
            Classes::new((0..count).map(class).collect())
        }
    };
    Ok(ModelSpec {
        net: config.model.clone(),
        head: config.head.resolve()?,
        classes,
        normalisation: config.normalisation,
        provenance: Provenance::default(),
    })
}

/// The classes of the data set; where that is not there, those that its layout is known for.
fn classes(config: &Config) -> Result<Classes> {
    let DataConfig { root, layout, classes, .. } = &config.data;
    let published = layout.filter(|_| classes.is_empty() && !root.exists()).and_then(Layout::published);
    match published {
        Some(classes) => Ok(classes),
        None => Ok(Source::open(root, &config.data.options())?.classes().clone()),
    }
}

/// Sums over the nodes of one operation.
fn by_operation(nodes: &[NodeReport]) {
    let mut sums: BTreeMap<&str, (u64, u64, usize)> = BTreeMap::new();
    for node in nodes {
        let stem = Path::new(&node.name).file_name().and_then(|s| s.to_str()).unwrap_or(&node.name);
        let entry = sums.entry(stem).or_default();
        *entry = (entry.0 + node.cost.flops, entry.1 + node.cost.bytes, entry.2 + node.dispatches);
    }
    say!("{:20} {:>12} {:>12} {:>12}", "operation", "GFLOP", "MiB moved", "dispatches");
    for (stem, (flops, bytes, dispatches)) in sums {
        say!("{stem:20} {:>12.3} {:>12.1} {dispatches:>12}", flops as f64 / 1e9, bytes as f64 / 1048576.0);
    }
}
