//! The high-resolution networks: names and numbers of the authors' code as timm has them, maps at every stride, gradients of
//! PyTorch. Every node of a small one's training is compared with the oracle in src/nn/hrnet.rs.

use std::collections::BTreeMap;

use crate::support::{gpu, reference};
use protoseg::data::{Classes, Normalisation};
use protoseg::head::HeadOptions;
use protoseg::model::{
    Extras, ModelSpec, NetOptions, Optimiser, Phase, Provenance, Recompute, TrainOptions, TrainStep,
};
use protoseg::nn::{Arch, Builder, Extent, Mode, Neck, Upsampling, Weights};
use protoseg::proto::Profile;
use protoseg::tape::{DType, Plan, Store, Tape};

/// Width, and the parameters of the network without its classifier as timm counts them.
const NETWORKS: [(Arch, usize, usize); 2] =
    [(Arch::HrnetW18, 18, 9_562_260), (Arch::HrnetW48, 48, 65_325_120)];

const WHOLE: Extent = Extent { output_stride: 32, deepest: 32 };

fn recorded(arch: Arch, extent: Extent, [height, width]: [usize; 2]) -> (Vec<(usize, Vec<usize>)>, Weights) {
    let mut tape = Tape::new();
    let image = tape.input("image", &[2, height, width, 3], DType::F32);
    let mut b = Builder::new(&mut tape, Mode::Train);
    let taps = arch.record(&mut b, image, extent).expect("recorded");
    let weights = b.weights;
    (taps.iter().map(|t| (t.stride, tape.value(t.map).shape.clone())).collect(), weights)
}

/// Name and shape of every weight and statistic, by the structure.
fn names(width: usize) -> BTreeMap<String, Vec<usize>> {
    let mut all = BTreeMap::new();
    let mut layer = |conv: String, norm: String, [outputs, inputs, kernel]: [usize; 3]| {
        all.insert(format!("{conv}.weight"), vec![outputs, inputs, kernel, kernel]);
        for part in ["weight", "bias", "running_mean", "running_var"] {
            all.insert(format!("{norm}.{part}"), vec![outputs]);
        }
    };
    layer("conv1".into(), "bn1".into(), [64, 3, 3]);
    layer("conv2".into(), "bn2".into(), [64, 64, 3]);
    for block in 0..4 {
        let at = format!("layer1.{block}");
        let inputs = if block == 0 { 64 } else { 256 };
        for (number, sizes) in std::iter::zip(1.., [[64, inputs, 1], [64, 64, 3], [256, 64, 1]]) {
            layer(format!("{at}.conv{number}"), format!("{at}.bn{number}"), sizes);
        }
        if block == 0 {
            layer(format!("{at}.downsample.0"), format!("{at}.downsample.1"), [256, 64, 1]);
        }
    }
    let mut pair = |at: String, sizes| layer(format!("{at}.0"), format!("{at}.1"), sizes);
    pair("transition1.0".into(), [width, 256, 3]);
    pair("transition1.1.0".into(), [2 * width, 256, 3]);
    pair("transition2.2.0".into(), [4 * width, 2 * width, 3]);
    pair("transition3.3.0".into(), [8 * width, 4 * width, 3]);
    for (stage, modules) in [(2, 1), (3, 4), (4, 3)] {
        let (stage, branches): (usize, usize) = (stage, stage);
        for module in 0..modules {
            let at = format!("stage{stage}.{module}.fuse_layers");
            for (i, j) in (0..branches).flat_map(|i| (0..branches).map(move |j| (i, j))) {
                let (to, from) = (width << i, width << j);
                if j > i {
                    pair(format!("{at}.{i}.{j}"), [to, from, 1]);
                }
                for k in 0..i.saturating_sub(j) {
                    pair(format!("{at}.{i}.{j}.{k}"), [if k + 1 == i - j { to } else { from }, from, 3]);
                }
            }
        }
    }
    for (stage, modules) in [(2, 1), (3, 4), (4, 3)] {
        for (module, branch, block) in
            (0..modules).flat_map(|m| (0..stage).flat_map(move |b| (0..4).map(move |block| (m, b, block))))
        {
            let at = format!("stage{stage}.{module}.branches.{branch}.{block}");
            for number in [1, 2] {
                let channels = width << branch;
                layer(format!("{at}.conv{number}"), format!("{at}.bn{number}"), [channels, channels, 3]);
            }
        }
    }
    all
}

#[test]
fn names_shapes_and_counts_are_those_of_timm() {
    for (arch, width, count) in NETWORKS {
        let (_, weights) = recorded(arch, WHOLE, [64, 64]);
        let found = weights.0.iter().map(|entry| (entry.name.clone(), entry.disk_shape()));
        assert_eq!(found.collect::<BTreeMap<_, _>>(), names(width), "{arch:?}");
        let sizes = weights.0.iter().filter(|e| e.trained).map(|e| e.disk_shape().iter().product::<usize>());
        assert_eq!(sizes.sum::<usize>(), count, "{arch:?}");
        assert!(
            weights.0.iter().all(|entry| arch.owns(&entry.name)) && !arch.owns("head.convs.0.conv.weight")
        );
        assert_eq!(arch.strides(|name| names(width).contains_key(name)), [4, 8, 16, 32]);
    }
}

#[test]
fn maps_of_all_strides_stand_side_by_side() {
    let (height, width) = (97, 131);
    for (arch, channels, _) in NETWORKS {
        let (found, whole) = recorded(arch, WHOLE, [height, width]);
        let shape = |i: usize| {
            let stride = 4 << i;
            (stride, vec![2, height.div_ceil(stride), width.div_ceil(stride), channels << i])
        };
        assert_eq!(found, (0..4).map(shape).collect::<Vec<_>>(), "{arch:?}");
        // The exchange into branches that nobody reads is left out, and nothing else.
        let (found, cut) = recorded(arch, Extent { deepest: 8, ..WHOLE }, [height, width]);
        assert_eq!(found, (0..2).map(shape).collect::<Vec<_>>(), "{arch:?}");
        let kept: Vec<_> = cut.0.iter().map(|entry| &entry.name).collect();
        let unread = |name: &str| {
            name.starts_with("stage4.2.fuse_layers.2") || name.starts_with("stage4.2.fuse_layers.3")
        };
        let wanted: Vec<_> = whole.0.iter().map(|entry| &entry.name).filter(|name| !unread(name)).collect();
        assert_eq!(kept, wanted, "{arch:?}");
    }
}

#[test]
fn what_has_no_meaning_is_refused_in_a_sentence() {
    let refused = |options: NetOptions| options.check().expect_err("refused").to_string();
    for output_stride in [8, 16] {
        let taps = vec![4, 8];
        let net = NetOptions { arch: Arch::HrnetW48, output_stride, taps, ..NetOptions::default() };
        let error = refused(net);
        assert!(error.contains("hrnet_w48 has fixed strides") && error.contains("leave it at 32"), "{error}");
        let mut tape = Tape::new();
        let image = tape.input("image", &[1, 64, 64, 3], DType::F32);
        let mut b = Builder::new(&mut tape, Mode::Eval);
        let extent = Extent { output_stride, deepest: 8 };
        assert!(Arch::HrnetW48.record(&mut b, image, extent).is_err());
    }
    let error = refused(NetOptions {
        hrnet_upsampling: Upsampling::Half,
        arch: Arch::Resnet18,
        ..NetOptions::default()
    });
    assert!(error.contains("hrnet_upsampling") && error.contains("resnet18"), "{error}");
    let hrnet =
        NetOptions { arch: Arch::HrnetW18, hrnet_upsampling: Upsampling::Nearest, ..NetOptions::default() };
    hrnet.check().expect("valid");
    assert!(Upsampling::parse("bicubic").is_err());
}

/// Files of `tests/reference/hrnet.py` in the folder `PROTOSEG_REFERENCE`.
#[test]
#[ignore = "needs the files of tests/reference in the folder PROTOSEG_REFERENCE"]
fn gradients_agree_with_pytorch() {
    let gpu = gpu();
    for (arch, ..) in NETWORKS {
        for kind in ["align", "half", "nearest"] {
            let upsampling = Upsampling::parse(kind).expect("known");
            let name = format!("{}.{kind}", arch.name());
            reference::gradients(&gpu, arch, &name, |b| b.upsampling = upsampling);
        }
    }
}

/// Branches that are computed again come out the same: the losses and all weights of two steps, to the bit.
#[test]
fn layers_computed_again_change_no_bit() {
    let gpu = gpu();
    let names = r#"{"classes": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]}"#;
    let spec = ModelSpec {
        net: NetOptions {
            arch: Arch::HrnetW18,
            neck: Neck::Hrnet,
            width: 30,
            embedding: 8,
            prototypes: 2,
            ..NetOptions::default()
        },
        head: HeadOptions::profile(Profile::Rec),
        classes: Classes::parse(names).expect("valid classes"),
        normalisation: Normalisation::default(),
        provenance: Provenance { crop: [64, 64], ..Provenance::default() },
    };
    let run = |recompute| {
        let options = TrainOptions {
            batch: 2,
            height: 64,
            width: 64,
            optimiser: Optimiser::Sgd { momentum: 0.9 },
            weight_decay: 1e-4,
            decay_norms: true,
            backbone_lr: 1.0,
            extras: Extras::default(),
            seed: 5,
            recompute,
            max_bytes: None,
        };
        let (step, program) = TrainStep::plan(&spec, &options, Phase::Main, gpu.caps()).expect("a step");
        let mut store = Store::new();
        step.weights.init(&gpu, &mut store, 3).expect("weights");
        let plan = Plan::new(&gpu, &step.tape, &program, &mut store).expect("a plan");
        let wave = |i: usize| (i * 37 % 101) as f32 / 50.0 - 1.0;
        plan.write(step.image, &(0..2 * 64 * 64 * 3).map(wave).collect::<Vec<_>>());
        plan.write(step.labels, &(0..2 * 64 * 64).map(|i| i / 32 % 2).collect::<Vec<i32>>());
        plan.write(step.class_weights, &[1.0_f32; 2]);
        plan.write(step.lr, &[0.01_f32]);
        let mut bits = Vec::new();
        for number in 0..2_u32 {
            plan.write(step.step, &[number]);
            plan.run();
            let losses = pollster::block_on(step.losses.read(&plan)).expect("losses");
            assert!(losses.iter().all(|x| x.is_finite()), "{losses:?}");
            bits.extend(losses.iter().map(|x| x.to_bits()));
        }
        for name in store.names() {
            bits.extend(
                pollster::block_on(store.read(&gpu, name)).expect("stored").1.iter().map(|x| x.to_bits()),
            );
        }
        (bits, program.bytes())
    };
    let (kept, again) = (run(Recompute::Never), run(Recompute::Always));
    assert!(kept.0 == again.0, "bits differ");
    assert!(again.1 < kept.1, "{} against {} bytes", again.1, kept.1);
}
