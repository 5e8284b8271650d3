//! Clustering, losses and update on the device against the published head's own run, in all three profiles.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protoseg::gpu::{Gpu, Tier};
use protoseg::ops::{check, table::TABLE};
use protoseg::proto::{Noise, Profile, cluster, losses, normalise, sample_labels, update};
use protoseg::tape::{DType, Keep, Plan, Program, Store, Tape, ValueId};
use safetensors::{Dtype, SafeTensors};

fn golden() -> Option<Vec<PathBuf>> {
    let root = std::env::var_os("PROTOSEG_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let names = [
        "c2_k3_d16",
        "c11_k3_d32",
        "c19_k10_d64",
        "edge_few_pixels",
        "edge_all_ignored",
        "edge_single_class",
    ];
    let files: Vec<_> = names.iter().map(|n| root.join(format!("golden/{n}.safetensors"))).collect();
    let all = files.iter().all(|f| f.exists());
    if !all {
        println!("skipped: no golden files below `{}`; set PROTOSEG_SHARED", root.display());
    }
    all.then_some(files)
}

/// Shape and numbers of a tensor, whatever its type.
fn tensor(file: &SafeTensors<'_>, name: &str) -> (Vec<usize>, Vec<f64>) {
    let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    let bytes = view.data();
    let data = match view.dtype() {
        Dtype::F64 => bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("8"))).collect(),
        Dtype::F32 => {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("4")).into()).collect()
        }
        Dtype::I32 => {
            bytes.chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().expect("4")).into()).collect()
        }
        other => panic!("{name} is {other:?}"),
    };
    (view.shape().to_vec(), data)
}

/// A step on the prototypes, recorded for one file, and its inputs with their content.
struct Step {
    tape: Tape,
    inputs: Vec<(ValueId, Vec<f64>)>,
    protos: ValueId,
    /// Values to compare, with the reference's name and the tolerance relative to its largest magnitude.
    wanted: Vec<(ValueId, String, f64)>,
}

fn record(file: &SafeTensors<'_>, profile: Profile) -> Step {
    let (name, emb_name) = match profile {
        Profile::Off => ("off", "off64.emb"),
        Profile::Rec => ("rec", "rec64.emb"),
        // The same embedding head as `rec`, other logits.
        Profile::Pap => ("pap", "rec64.emb"),
    };
    let mut tape = Tape::new();
    let mut inputs = Vec::new();
    let mut input = |tape: &mut Tape, name: &str, dtype| {
        let (shape, data) = tensor(file, name);
        let id = tape.input(name, &shape, dtype);
        inputs.push((id, data));
        id
    };
    let emb = input(&mut tape, emb_name, DType::F32);
    let protos = input(&mut tape, "in.protos", DType::F32);
    let labels = input(&mut tape, "in.labels", DType::I32);
    let noise = input(&mut tape, "in.gumbel", DType::F32);
    let predicted = input(&mut tape, &format!("{name}.pred"), DType::I32);
    let map = tensor(file, "off64.seg").0;
    let options = profile.cluster();
    let gt = sample_labels(&mut tape, labels, [map[2], map[3]], map[1]).expect("shapes fit");
    normalise(&mut tape, protos).expect("shapes fit");
    let found = cluster(&mut tape, emb, protos, gt, &options, Some(Noise::Given(noise))).expect("shapes fit");
    let (ppc, ppd) = losses(&mut tape, emb, protos, &found, &options).expect("shapes fit");
    let counts = update(&mut tape, emb, protos, predicted, &found, &options).expect("shapes fit");
    let mut wanted = vec![
        (gt, "gt".to_owned(), 0.0),
        (found.k, format!("{name}.assign"), 0.0),
        (found.target, format!("{name}.target"), 0.0),
        (counts, format!("{name}.counts"), 0.0),
        (ppc, format!("{name}64.loss_ppc"), 1e-5),
        (ppd, format!("{name}64.loss_ppd"), 1e-5),
        (protos, format!("{name}64.protos_after"), 2e-6),
    ];
    if profile != Profile::Pap {
        wanted.push((found.q, format!("{name}64.q3"), 1e-4));
    }
    if profile == Profile::Off {
        wanted.push((found.khat, "off.assign_gumbel".to_owned(), 0.0));
    }
    Step { tape, inputs, protos, wanted }
}

fn run(step: &Step, gpu: &Arc<Gpu>) -> Plan {
    let program = Program::new(&step.tape, gpu.caps(), Keep::Everything);
    let plan = Plan::new(gpu, &step.tape, &program, &mut Store::new()).expect("a plan");
    plan.poison();
    for (id, data) in &step.inputs {
        match step.tape.value(*id).dtype {
            DType::F32 => plan.write(*id, &data.iter().map(|&x| x as f32).collect::<Vec<_>>()),
            _ => plan.write(*id, &data.iter().map(|&x| x as i32).collect::<Vec<_>>()),
        }
    }
    plan.run();
    plan
}

fn open(tier: Option<Tier>) -> Arc<Gpu> {
    let wanted = std::env::var("PROTOSEG_ADAPTER").ok();
    pollster::block_on(Gpu::open(wanted.as_deref(), tier)).expect("a WebGPU adapter")
}

/// The table's own test runs the variant that the adapter prefers; this one runs the portable one.
#[test]
fn the_portable_contrast_kernels_agree_with_the_oracle() {
    let gpu = open(Some(Tier::Floor));
    let row = TABLE.iter().find(|row| row.stem == "ppc").expect("a row");
    for case in (row.cases)() {
        for off in pollster::block_on(check::on_device(&case, &gpu)).expect("the case runs") {
            assert!(off.max_rel <= case.tolerance, "{}: {} off by {:.2e}", case.name, off.name, off.max_rel);
        }
    }
}

#[test]
fn a_step_matches_the_published_head() {
    let Some(files) = golden() else { return };
    let gpu = open(None);
    let mut failures = Vec::new();
    for path in files {
        let bytes = std::fs::read(&path).expect("readable");
        let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        for profile in [Profile::Off, Profile::Rec, Profile::Pap] {
            let step = record(&file, profile);
            let plan = run(&step, &gpu);
            assert_eq!(step.tape.value(step.protos).shape, tensor(&file, "in.protos").0);
            for (id, name, tolerance) in &step.wanted {
                let found = pollster::block_on(plan.read_f64(*id)).expect("readable");
                let off = check::difference(name, &found, &tensor(&file, name).1);
                if off.max_rel > *tolerance {
                    failures.push(format!(
                        "{}: {name} off by {:.2e} of its maximum",
                        path.display(),
                        off.max_rel
                    ));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}
