//! Losses of the first training steps of every family of backbones against PyTorch's, on crops of CamVid and with the same
//! first weights.

use crate::support::{gpu, reference};
use protoseg::data::{Classes, Normalisation};
use protoseg::head::{HeadKind, HeadOptions};
use protoseg::model::{
    Extras, ModelSpec, NetOptions, Optimiser, Phase, Provenance, Recompute, TrainOptions, TrainStep,
};
use protoseg::model_file;
use protoseg::nn::{Arch, Freeze, FreezeNorms, Neck};
use protoseg::proto::Profile;
use protoseg::tape::{Plan, Store};

/// As in `tests/reference/two_steps.py`.
const CLASSES: usize = 11;
const WIDTH: usize = 24;
const MOMENTUM: f32 = 0.9;

fn spec(arch: Arch) -> ModelSpec {
    let names: Vec<_> = (0..CLASSES).map(|id| format!(r#"{{"id": {id}, "name": "{id}"}}"#)).collect();
    let classes = format!(r#"{{"classes": [{}]}}"#, names.join(","));
    let taps = match arch {
        // The weights that there are end with layer3.
        Arch::Resnet18 => vec![4, 8, 16],
        arch if arch.is_plain() => vec![16],
        _ => vec![4, 8, 16, 32],
    };
    let net =
        NetOptions { arch, taps, neck: Neck::Linear, width: WIDTH, dropout: 0.0, ..NetOptions::default() };
    let head =
        HeadOptions { kind: HeadKind::Softmax, projection: false, ..HeadOptions::profile(Profile::Rec) };
    ModelSpec {
        net,
        head,
        classes: Classes::parse(&classes).expect("valid classes"),
        normalisation: Normalisation::default(),
        provenance: Provenance::default(),
    }
}

/// What is left of the batch norms as it is: those of deep networks with random weights keep their statistics.
fn norms(arch: Arch) -> FreezeNorms {
    let pretrained = matches!(arch, Arch::MobilenetV2 | Arch::Resnet18);
    if pretrained { FreezeNorms::None } else { FreezeNorms::Statistics }
}

/// Files of `tests/reference/two_steps.py` in the folder `PROTOSEG_REFERENCE`: the loss before the first step within
/// 1e-4 of PyTorch's, and what the steps change of it within 1 %.
#[test]
#[ignore = "needs the files of tests/reference in the folder PROTOSEG_REFERENCE"]
fn losses_of_the_first_steps_are_pytorchs() {
    let folder = reference::folder();
    let gpu = gpu();
    for arch in Arch::all() {
        let path = folder.join(format!("{}.steps.safetensors", arch.name()));
        if !path.exists() {
            println!("not compared: `{}` is absent", path.display());
            continue;
        }
        let file = model_file::read(&path).expect("a reference file");
        let [batch, _, height, width] = *file.shape("image").expect("images") else { panic!("rank") };
        let options = TrainOptions {
            batch,
            height,
            width,
            optimiser: Optimiser::Sgd { momentum: MOMENTUM },
            weight_decay: 0.0,
            decay_norms: false,
            backbone_lr: 1.0,
            extras: Extras { freeze: Freeze { backbone: false, norms: norms(arch) }, ..Extras::default() },
            seed: 0,
            recompute: Recompute::Never,
            max_bytes: None,
        };
        let (step, program) =
            TrainStep::plan(&spec(arch), &options, Phase::Main, gpu.caps()).expect("a step");
        let mut store = Store::new();
        step.weights.init(&gpu, &mut store, 0).expect("weights");
        step.weights.load(&gpu, &mut store, &file, |_| true).expect("the same weights");
        let plan = Plan::new(&gpu, &step.tape, &program, &mut store).expect("a plan");
        plan.write(step.image, &reference::rows(&file, "image"));
        let labels: Vec<i32> =
            file.i64("labels").expect("labels").into_iter().map(|label| label as i32).collect();
        plan.write(step.labels, &labels);
        plan.write(step.class_weights, &[1.0_f32; CLASSES]);
        plan.write(step.lr, &file.f32("rate").expect("a rate"));
        let wanted = file.f64("losses").expect("losses");
        let found: Vec<f64> = (0..wanted.len() as u32)
            .map(|number| {
                plan.write(step.step, &[number]);
                plan.run();
                f64::from(pollster::block_on(step.losses.read(&plan)).expect("losses")[0])
            })
            .collect();
        println!("{}: {found:.6?}, PyTorch {wanted:.6?}", arch.name());
        let first = (found[0] / wanted[0] - 1.0).abs();
        assert!(first < 1e-4, "{}: off by {first:.1e}", arch.name());
        let change = |losses: &[f64]| losses[losses.len() - 1] - losses[0];
        let off = (change(&found) - change(&wanted)).abs() / change(&wanted).abs();
        assert!(off < 1e-2, "{}: the change of the loss is off by {off:.1e}", arch.name());
    }
}
