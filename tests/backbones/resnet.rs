//! The residual networks: names and numbers of torchvision's, maps at every output stride, parity with PyTorch, training.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{TempDir, gpu, gpu_of, reference, shared, shared_files};
use protoseg::gpu::Variant;
use protoseg::model::load_backbone;
use protoseg::model_file::{self, Tensors};
use protoseg::nn::{Arch, Builder, Extent, Mode, Tap, Weights};
use protoseg::ops::check;
use protoseg::ops::table::{Case, Fill, Input};
use protoseg::tape::{DType, Keep, Plan, Program, Store, Tape};
use protoseg::verify::verify;

/// Blocks of the four layers, whether they are bottlenecks, and the parameters of the whole network as torchvision counts them.
const NETWORKS: [(Arch, [usize; 4], bool, usize); 4] = [
    (Arch::Resnet18, [2, 2, 2, 2], false, 11_689_512),
    (Arch::Resnet34, [3, 4, 6, 3], false, 21_797_672),
    (Arch::Resnet50, [3, 4, 6, 3], true, 25_557_032),
    (Arch::Resnet101, [3, 4, 23, 3], true, 44_549_160),
];

const WHOLE: Extent = Extent { output_stride: 32, deepest: 32 };
const UP_TO_16: Extent = Extent { output_stride: 32, deepest: 16 };

/// The maps on images of `size`, their shapes, and the catalogue with the classifier where layer4 is recorded.
fn recorded(arch: Arch, extent: Extent, [height, width]: [usize; 2]) -> (Vec<(usize, Vec<usize>)>, Weights) {
    let mut tape = Tape::new();
    let image = tape.input("image", &[2, height, width, 3], DType::F32);
    let mut b = Builder::new(&mut tape, Mode::Train);
    let taps = arch.record(&mut b, image, extent).expect("recorded");
    if extent.deepest >= extent.output_stride {
        arch.record_classifier(&mut b, &taps).expect("recorded").expect("these have a classifier");
    }
    let weights = b.weights;
    (taps.iter().map(|t| (t.stride, tape.value(t.map).shape.clone())).collect(), weights)
}

/// Name and shape of every weight and statistic of torchvision's network, by its structure.
fn torchvision(blocks: [usize; 4], bottleneck: bool) -> BTreeMap<String, Vec<usize>> {
    let mut all = BTreeMap::new();
    let mut layer = |conv: &str, norm: &str, [outputs, inputs, kernel]: [usize; 3]| {
        all.insert(format!("{conv}.weight"), vec![outputs, inputs, kernel, kernel]);
        for part in ["weight", "bias", "running_mean", "running_var"] {
            all.insert(format!("{norm}.{part}"), vec![outputs]);
        }
    };
    layer("conv1", "bn1", [64, 3, 7]);
    let mut inputs = 64;
    for (index, count) in blocks.into_iter().enumerate() {
        let width = 64 << index;
        let outputs = if bottleneck { 4 * width } else { width };
        for block in 0..count {
            let at = format!("layer{}.{block}", index + 1);
            let convolutions = if bottleneck {
                vec![[width, inputs, 1], [width, width, 3], [outputs, width, 1]]
            } else {
                vec![[width, inputs, 3], [width, width, 3]]
            };
            for (number, sizes) in std::iter::zip(1.., convolutions) {
                layer(&format!("{at}.conv{number}"), &format!("{at}.bn{number}"), sizes);
            }
            if block == 0 && inputs != outputs {
                layer(&format!("{at}.downsample.0"), &format!("{at}.downsample.1"), [outputs, inputs, 1]);
            }
            inputs = outputs;
        }
    }
    all.insert("fc.weight".into(), vec![1000, inputs]);
    all.insert("fc.bias".into(), vec![1000]);
    all
}

#[test]
fn names_shapes_and_counts_are_torchvisions() {
    for (arch, blocks, bottleneck, count) in NETWORKS {
        let wanted = torchvision(blocks, bottleneck);
        for output_stride in [8, 16, 32] {
            let (_, weights) = recorded(arch, Extent { output_stride, deepest: output_stride }, [64, 64]);
            let found = weights.0.iter().map(|entry| (entry.name.clone(), entry.disk_shape()));
            assert_eq!(found.collect::<BTreeMap<_, _>>(), wanted, "{arch:?} at {output_stride}");
            let trained = weights.0.iter().filter(|entry| entry.trained);
            assert_eq!(
                trained.map(|entry| entry.disk_shape().iter().product::<usize>()).sum::<usize>(),
                count
            );
            let own = weights.0.iter().filter(|entry| !entry.name.starts_with("fc."));
            assert!(own.clone().all(|entry| arch.owns(&entry.name)) && !arch.owns("head.lateral.0.0.weight"));
        }
    }
}

#[test]
fn maps_have_the_sizes_that_their_strides_say() {
    let (height, width) = (97, 130);
    for (arch, _, bottleneck, _) in NETWORKS {
        for output_stride in [8, 16, 32] {
            let (found, _) =
                recorded(arch, Extent { output_stride, deepest: output_stride }, [height, width]);
            let shape = |stride: usize| {
                // The deepest map is always that of layer4.
                let channels = if stride == output_stride { 512 } else { 16 * stride };
                let channels = if bottleneck { 4 * channels } else { channels };
                (stride, vec![2, height.div_ceil(stride), width.div_ceil(stride), channels])
            };
            let wanted: Vec<_> =
                [4, 8, 16, 32].into_iter().filter(|&s| s <= output_stride).map(shape).collect();
            assert_eq!(found, wanted, "{arch:?} at {output_stride}");
        }
    }
}

/// The map that an auxiliary head looks at is layer3's in a network of stride 8 as in one of stride 32; at 16 it is that of the
/// stride, which is the last.
#[test]
fn the_middle_map_of_a_dilated_network_is_layer3s() {
    for (arch, _, bottleneck, _) in NETWORKS {
        for (output_stride, stride, channels) in [(8, 8, 256), (16, 16, 512), (32, 16, 256)] {
            let mut tape = Tape::new();
            let image = tape.input("image", &[1, 64, 96, 3], DType::F32);
            let mut b = Builder::new(&mut tape, Mode::Train);
            arch.record(&mut b, image, Extent { output_stride, deepest: output_stride }).expect("recorded");
            let middle = b.middle.expect("a map");
            let channels = if bottleneck { 4 * channels } else { channels };
            let shape = &tape.value(middle.map).shape;
            assert_eq!(
                (middle.stride, shape[1..].to_vec()),
                (stride, vec![64 / stride, 96 / stride, channels])
            );
        }
    }
}

#[test]
fn a_network_ends_where_no_deeper_map_is_wanted() {
    let (maps, weights) = recorded(Arch::Resnet18, UP_TO_16, [64, 96]);
    assert_eq!(maps.last(), Some(&(16, vec![2, 4, 6, 256])));
    let layers = |weights: &Weights| {
        let first = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        weights
            .0
            .iter()
            .map(|entry| first(&entry.name))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    };
    assert_eq!(layers(&weights), ["bn1", "conv1", "layer1", "layer2", "layer3"]);
    let (maps, weights) = recorded(Arch::Resnet50, Extent { deepest: 4, ..WHOLE }, [64, 96]);
    assert_eq!(maps, [(4, vec![2, 16, 24, 256])]);
    assert_eq!(layers(&weights), ["bn1", "conv1", "layer1"]);
}

#[test]
fn weights_without_layer4_say_how_to_be_used() {
    let (gpu, temp) = (gpu(), TempDir::new("cut"));
    let path = temp.join("cut.safetensors");
    let (_, cut) = recorded(Arch::Resnet18, UP_TO_16, [64, 64]);
    let mut store = Store::new();
    cut.init(&gpu, &mut store, 1).expect("weights");
    let tensors: Tensors = pollster::block_on(cut.tensors(&gpu, &store)).expect("read back");
    model_file::write(&path, &tensors, &BTreeMap::new()).expect("written");
    load_backbone(&gpu, &mut Store::new(), &cut, Arch::Resnet18, &path).expect("as far as it goes");
    let (_, whole) = recorded(Arch::Resnet18, WHOLE, [64, 64]);
    let error =
        load_backbone(&gpu, &mut store, &whole, Arch::Resnet18, &path).expect_err("no layer4").to_string();
    assert!(error.contains("layer3") && error.contains("model.taps"), "{error}");
    assert_eq!(Arch::Resnet18.strides(|name| tensors.contains_key(name)), [4, 8, 16]);
}

/// The last map of `arch` on a random image of 1 x 37 x 41 pixels, as rows of pixels, with its height and width.
fn last_map(arch: Arch, output_stride: usize) -> (Vec<f64>, [usize; 2], usize) {
    let gpu = gpu();
    let mut tape = Tape::new();
    let image = tape.input("image", &[1, 37, 41, 3], DType::F32);
    let mut b = Builder::new(&mut tape, Mode::Eval);
    let taps: Vec<Tap> =
        arch.record(&mut b, image, Extent { output_stride, deepest: output_stride }).expect("recorded");
    let (map, weights) = (taps.last().expect("a map").map, b.weights);
    let program = Program::new(&tape, gpu.caps(), Keep::Only(&[map]));
    let mut store = Store::new();
    weights.init(&gpu, &mut store, 5).expect("weights");
    let plan = Plan::new(&gpu, &tape, &program, &mut store).expect("a plan");
    let pixels: Vec<f32> = (0..37 * 41 * 3).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    plan.write(image, &pixels);
    plan.run();
    let shape = &tape.value(map).shape;
    (pollster::block_on(plan.read_f64(map)).expect("read"), [shape[1], shape[2]], shape[3])
}

/// What dilation is for: the same features as with stride 32, computed at the pixels between too.
#[test]
fn a_dilated_network_holds_the_strided_ones_map() {
    for arch in [Arch::Resnet18, Arch::Resnet50] {
        let (coarse, [height, width], channels) = last_map(arch, 32);
        let largest = coarse.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        assert!(largest > 0.1, "{arch:?}: {largest}");
        for output_stride in [8, 16] {
            let (fine, [_, fine_width], _) = last_map(arch, output_stride);
            let step = 32 / output_stride;
            for (h, w) in (0..height).flat_map(|h| (0..width).map(move |w| (h, w))) {
                for c in 0..channels {
                    let strided = coarse[(h * width + w) * channels + c];
                    let dilated = fine[(step * h * fine_width + step * w) * channels + c];
                    let off = (strided - dilated).abs() / largest;
                    assert!(off < 1e-5, "{arch:?} at {output_stride}, {h} {w} {c}: {strided} and {dilated}");
                }
            }
        }
    }
}

/// Every node of `arch` on a random image of `size`, forward and back, against the oracle.
fn agrees_node_by_node(arch: Arch, extent: Extent, size: [usize; 2], variant: Option<Variant>) {
    let image = Input::fixed(&[2, size[0], size[1], 3], Fill::Uniform(-2.0, 2.0));
    let case = Case::new("residual", vec![image], move |tape, v| {
        let mut b = Builder::new(tape, Mode::Train);
        let taps = arch.record(&mut b, v[0], extent)?;
        Ok(taps.iter().map(|tap| tap.map).collect())
    });
    let all = pollster::block_on(check::on_device(&case, &gpu_of(variant))).expect("it runs");
    let bad: Vec<_> = all.iter().filter(|d| d.max_rel > 1e-5).collect();
    assert!(all.len() > 100 && bad.is_empty(), "{arch:?}, {variant:?}: {bad:#?}");
}

#[test]
fn training_agrees_with_the_oracle_node_by_node() {
    for variant in [None, Some(Variant::Gpu)] {
        agrees_node_by_node(Arch::Resnet18, Extent { deepest: 8, ..WHOLE }, [45, 38], variant);
    }
}

/// All four layers of bottlenecks, two of them dilated.
#[test]
fn training_a_dilated_network_agrees_with_the_oracle_node_by_node() {
    agrees_node_by_node(Arch::Resnet50, Extent { output_stride: 8, deepest: 8 }, [29, 26], None);
}

#[test]
fn resnet18_agrees_with_pytorch() {
    let Some(weights) = shared("weights/resnet18_stride16.safetensors") else { return };
    let mut files = shared_files("parity");
    files.retain(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("resnet18_stride16")));
    for variant in [None, Some(Variant::Floor), Some(Variant::Gpu)] {
        let backbone = Some((weights.clone(), Arch::Resnet18));
        let found = pollster::block_on(verify(&gpu_of(variant), &files, backbone));
        println!("{found}");
        assert!(found.files.len() >= 2 && found.ok());
        let maps = found.files.iter().flat_map(|f| &f.tensors).filter(|t| t.name.starts_with("stride"));
        assert_eq!(maps.count(), 3 * found.files.len());
    }
}

/// Files of `tests/reference/resnet.py` in the folder `PROTOSEG_REFERENCE`.
#[test]
#[ignore = "needs the files of tests/reference in the folder PROTOSEG_REFERENCE"]
fn gradients_agree_with_pytorch() {
    let gpu = gpu();
    for arch in NETWORKS.iter().map(|network| network.0).chain([Arch::MobilenetV2]) {
        reference::gradients(&gpu, arch, arch.name(), |_| {});
    }
}
