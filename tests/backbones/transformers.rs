//! The transformer backbones: numbers of timm's and Hugging Face's, maps of every stride, parity with PyTorch, training.

use std::collections::BTreeMap;

use crate::support::{TempDir, gpu, gpu_of, reference, shared, shared_files};
use protoseg::gpu::Variant;
use protoseg::model::{NetOptions, load_backbone};
use protoseg::model_file::{self, Tensor, Tensors};
use protoseg::nn::{Arch, Builder, Extent, Mode, StochasticDepth, Weights};
use protoseg::ops::check;
use protoseg::ops::table::{Case, Fill, Input};
use protoseg::tape::{DType, Store, Tape};
use protoseg::verify::verify;

/// Parameters and tensors of the networks without a classifier, as timm 1.0 and transformers 5 count them, and the channels of
/// the first and the last map. Swin's have a norm for every stage instead of one, which is taken off.
const NETWORKS: [(Arch, usize, usize, [usize; 2]); 18] = [
    (Arch::VitTiny, 5_524_416, 150, [192, 192]),
    (Arch::VitSmall, 21_665_664, 150, [384, 384]),
    (Arch::VitBase, 85_798_656, 150, [768, 768]),
    (Arch::Dinov2Small, 22_056_192, 174, [384, 384]),
    (Arch::Dinov2Base, 86_579_712, 174, [768, 768]),
    (Arch::Dinov2SmallReg4, 22_057_344, 175, [384, 384]),
    (Arch::Dinov2BaseReg4, 86_582_016, 175, [768, 768]),
    (Arch::Dinov2Giant, 1_136_479_232, 566, [1536, 1536]),
    (Arch::SwinTiny, 27_519_354, 171, [96, 768]),
    (Arch::SwinSmall, 48_837_258, 327, [96, 768]),
    (Arch::SwinBase, 86_743_224, 327, [128, 1024]),
    (Arch::SwinBase384, 86_878_584, 327, [128, 1024]),
    (Arch::MitB0, 3_319_392, 192, [32, 256]),
    (Arch::MitB1, 13_151_424, 192, [64, 512]),
    (Arch::MitB2, 24_196_288, 364, [64, 512]),
    (Arch::MitB3, 44_072_128, 628, [64, 512]),
    (Arch::MitB4, 60_842_688, 914, [64, 512]),
    (Arch::MitB5, 81_443_008, 1156, [64, 512]),
];

const WHOLE: Extent = Extent { output_stride: 32, deepest: 32 };

/// The maps for the strides `wanted` on images of `size`, and the catalogue.
fn recorded(arch: Arch, wanted: &[usize], size: [usize; 2]) -> (Vec<(usize, Vec<usize>)>, Weights) {
    let mut tape = Tape::new();
    let image = tape.input("image", &[2, size[0], size[1], 3], DType::F32);
    let mut b = Builder::new(&mut tape, Mode::Train);
    let taps = arch.record(&mut b, image, WHOLE).expect("recorded");
    let taps = arch.choose(&mut b, taps, wanted, size).expect("chosen");
    let weights = b.weights;
    (taps.iter().map(|t| (t.stride, tape.value(t.map).shape.clone())).collect(), weights)
}

#[test]
fn numbers_of_parameters_are_those_of_the_libraries() {
    for (arch, count, tensors, _) in NETWORKS {
        let (_, weights) = recorded(arch, &[4, 8, 16, 32], [70, 101]);
        let stage_norm =
            |name: &str| ["norm0.", "norm1.", "norm2."].iter().any(|norm| name.starts_with(norm));
        let of_library: Vec<_> = weights.0.iter().filter(|e| !stage_norm(&e.name)).collect();
        let sizes = of_library.iter().map(|e| e.disk_shape().iter().product::<usize>());
        assert_eq!((sizes.sum::<usize>(), of_library.len()), (count, tensors), "{arch:?}");
        assert!(weights.0.iter().all(|e| arch.owns(&e.name) || arch.may_own(&e.name)), "{arch:?}");
        assert!(weights.0.iter().all(|e| e.trained) && !arch.owns("head.lateral.0.0.weight"));
    }
    // The norm behind the last stage is the classifier's.
    let norms = ["norm0.weight", "norm3.bias", "norm4.bias", "norm.bias"];
    assert_eq!(norms.map(|norm| Arch::SwinTiny.may_own(norm)), [true, true, false, false]);
    assert!(!Arch::VitTiny.may_own("norm2.bias"));
}

#[test]
fn maps_of_odd_images_have_the_sizes_of_their_strides() {
    let size = [70, 101];
    for (arch, _, _, [first, last]) in NETWORKS {
        let strides = [4, 8, 16, 32];
        let (maps, _) = recorded(arch, &strides, size);
        for (stride, (found, shape)) in std::iter::zip(strides, &maps) {
            let sides = size.map(|side: usize| side.div_ceil(stride));
            assert_eq!((*found, &shape[..3]), (stride, &[2, sides[0], sides[1]][..]), "{arch:?}");
        }
        assert_eq!([maps[0].1[3], maps[3].1[3]], [first, last], "{arch:?}");
    }
    // A single map of a plain transformer stays at the resolution of its patches.
    assert_eq!(recorded(Arch::VitTiny, &[16], size).0, [(16, vec![2, 5, 7, 192])]);
    assert_eq!(recorded(Arch::Dinov2Small, &[16], size).0, [(14, vec![2, 5, 8, 384])]);
}

#[test]
fn options_without_a_meaning_are_refused() {
    let refused = |options: NetOptions| options.check().expect_err("refused").to_string();
    let taps = vec![4, 8];
    let error = refused(NetOptions { arch: Arch::MitB0, output_stride: 8, taps, ..NetOptions::default() });
    assert!(error.contains("output_stride is 8 and mit_b0") && error.contains("model.taps"), "{error}");
    let error = refused(NetOptions { drop_path: 0.1, ..NetOptions::default() });
    assert!(error.contains("drop_path") && error.contains("mobilenet_v2 is no transformer"), "{error}");
    let error = refused(NetOptions { arch: Arch::MitB0, drop_path: 1.0, ..NetOptions::default() });
    assert!(error.contains("below 1"), "{error}");
}

/// Every node of `arch` on a random image, forward and back, against the oracle, with branches left out.
fn agrees_node_by_node(arch: Arch, size: [usize; 2], variant: Option<Variant>) {
    let image = Input::fixed(&[2, size[0], size[1], 3], Fill::Uniform(-2.0, 2.0));
    let step = Input::u32(&[1], Fill::Values(vec![3.0]));
    let case = Case::new("transformer", vec![image, step], move |tape, v| {
        let mut b = Builder::new(tape, Mode::Train);
        b.stochastic_depth = Some(StochasticDepth { rate: 0.6, step: v[1], seed: 7 });
        let taps = arch.record(&mut b, v[0], WHOLE)?;
        Ok(taps.iter().map(|tap| tap.map).collect())
    });
    let all = pollster::block_on(check::on_device(&case, &gpu_of(variant))).expect("it runs");
    // A key's bias moves all scores of a query alike, and all keys of an untrained network have nearly the same weight: sums of
    // terms of about 1 come out as 0 and as hundredths. What is left of the terms' rounding is not small against those.
    let cancels = |name: &str| name.ends_with("grad/conv2d") || name.ends_with("grad/attention");
    let is_rounding = |d: &check::Difference| cancels(&d.name) && d.max_abs < 1e-6;
    let bad: Vec<_> = all.iter().filter(|d| d.max_rel > 1e-5 && !is_rounding(d)).collect();
    assert!(all.len() > 300 && bad.is_empty(), "{arch:?}, {variant:?}: {bad:#?}");
}

#[test]
fn training_a_vit_agrees_with_the_oracle_node_by_node() {
    for variant in [None, Some(Variant::Gpu)] {
        agrees_node_by_node(Arch::VitTiny, [37, 50], variant);
    }
    agrees_node_by_node(Arch::Dinov2SmallReg4, [30, 29], None);
}

#[test]
fn training_a_swin_agrees_with_the_oracle_node_by_node() {
    agrees_node_by_node(Arch::SwinTiny, [35, 46], None);
}

#[test]
fn training_a_mit_agrees_with_the_oracle_node_by_node() {
    agrees_node_by_node(Arch::MitB0, [97, 101], None);
}

#[test]
fn vit_tiny_agrees_with_pytorch() {
    let Some(weights) = shared("weights/vit_tiny_patch16_224.safetensors") else { return };
    let mut files = shared_files("parity");
    files.retain(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("vit_tiny")));
    for variant in [None, Some(Variant::Floor), Some(Variant::Gpu)] {
        let backbone = Some((weights.clone(), Arch::VitTiny));
        let found = pollster::block_on(verify(&gpu_of(variant), &files, backbone));
        println!("{found}");
        assert!(found.files.len() >= 2 && found.ok());
        let tensors: Vec<_> = found.files.iter().flat_map(|f| &f.tensors).map(|t| &t.name[..]).collect();
        for name in ["block3", "block6", "block9", "stride16", "logits", "pos_embed"] {
            assert!(tensors.contains(&name), "{name} is not among {tensors:?}");
        }
    }
}

/// Weights of images of 384 x 384 in a network for 224 x 224: the positions of a linear grid stay linear.
#[test]
fn positions_of_another_grid_are_resampled() {
    let (gpu, temp) = (gpu(), TempDir::new("grid"));
    let path = temp.join("grid.safetensors");
    let (_, mut weights) = recorded(Arch::VitTiny, &[16], [64, 64]);
    weights.0.retain(|entry| entry.name == "pos_embed");
    let row = |place: usize| [place as f32; 192];
    let data = [row(100)].into_iter().chain((0..24 * 24).map(|i| row(i % 24))).flatten().collect();
    let tensors: Tensors = [("pos_embed".to_owned(), Tensor { shape: vec![1, 577, 192], data })].into();
    model_file::write(&path, &tensors, &BTreeMap::new()).expect("written");
    let mut store = Store::new();
    load_backbone(&gpu, &mut store, &weights, Arch::VitTiny, &path).expect("another grid");
    let found = &pollster::block_on(weights.tensors(&gpu, &store)).expect("read back")["pos_embed"];
    assert_eq!(found.shape, [1, 197, 192]);
    assert_eq!(found.data[..192], row(100), "the class token's is kept");
    for x in 2..12 {
        let wanted = (x as f32 + 0.5) * 24.0 / 14.0 - 0.5;
        let got = found.data[(1 + 5 * 14 + x) * 192];
        assert!((got - wanted).abs() < 0.1, "column {x}: {got}, about {wanted}");
    }
}

/// Files of `tests/reference/vision_transformers.py` in the folder `PROTOSEG_REFERENCE`.
#[test]
#[ignore = "needs the files of tests/reference in the folder PROTOSEG_REFERENCE"]
fn gradients_agree_with_pytorch() {
    let gpu = gpu();
    for (arch, ..) in NETWORKS {
        reference::gradients(&gpu, arch, arch.name(), |_| {});
    }
}
