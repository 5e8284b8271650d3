//! What a viewer draws on the device, against the prediction on the host: colours, composition, the pixel that is asked
//! about, the counts.

mod support;

use std::sync::{Arc, OnceLock};

use glam::vec2;
use protoseg::data::RgbImage;
use protoseg::explain::live::{
    Basis, ClassColors, Counts, Layer, Legend, Mode, Overlap, Photo, Picker, PrototypeColors, Screen,
    Shading, View,
};
use protoseg::explain::palette::blend;
use protoseg::gpu::Gpu;
use protoseg::infer::{Inspector, Maps, Model, Prediction};
use protoseg::model_file;
use protoseg::synth;
use support::{gpu, root};

/// A scene, what the model says of it on the host, and its maps on the device.
struct Seen {
    gpu: Arc<Gpu>,
    image: RgbImage,
    truth: Vec<Option<u32>>,
    found: Prediction,
    maps: Arc<Maps>,
    colors: Vec<[u8; 3]>,
}

fn seen() -> &'static Seen {
    static SEEN: OnceLock<Seen> = OnceLock::new();
    SEEN.get_or_init(|| {
        let gpu = gpu();
        let scene = synth::scene(203, 151, 11, 3);
        let image = RgbImage { width: scene.width, height: scene.height, rgb: scene.rgb };
        let file = model_file::read(root().join("models/street-small.safetensors")).expect("a shipped model");
        let mut model = Model::load(&gpu, &file).expect("a model");
        let found = pollster::block_on(model.predict(&image)).expect("a prediction");
        let (mut inspector, mut store) = Inspector::open(&gpu, &file).expect("a model");
        let maps = pollster::block_on(inspector.analyse(&mut store, &image)).expect("maps");
        let colors = model.spec().classes.classes.iter().map(|class| class.color).collect();
        // Every seventh pixel has no label.
        let truth = scene.labels.iter().enumerate();
        let truth = truth.map(|(i, &label)| (i % 7 != 0).then_some(u32::from(label))).collect();
        Seen { gpu, image, truth, found, maps: Arc::new(maps), colors }
    })
}

fn legend() -> Legend {
    Legend::new(&seen().colors, 3, ClassColors::Dataset, PrototypeColors::Shades)
}

fn shading(mode: Mode, legend: &Legend) -> Shading {
    let range = mode.range().unwrap_or([0.0, 1.0]);
    Shading {
        mode,
        selected: (7, None),
        range,
        only_shown: false,
        by_strength: false,
        palette: legend.palette(),
    }
}

/// Colours of the layer on the host, `[H*W]`, as r, g, b, a.
fn colors(mode: Mode, legend: &Legend) -> Vec<[u8; 4]> {
    let seen = seen();
    let basis = Basis::of(&[], seen.maps.shape[2]);
    let mut layer = Layer::new(&seen.gpu, &seen.maps, &basis, Some(&seen.truth)).expect("a layer");
    let shading = shading(mode, legend);
    assert!(layer.draw(&shading) && !layer.draw(&shading), "drawn once");
    read(layer.colors(), seen.found.width * seen.found.height)
}

fn read(buffer: &protoseg::gpu::Buffer, count: usize) -> Vec<[u8; 4]> {
    let bytes = pollster::block_on(seen().gpu.read(buffer, 4 * count as u64)).expect("a read-back");
    bytes.as_chunks::<4>().0.to_vec()
}

#[test]
fn classes_and_prototypes_have_the_legends_colours() {
    let (seen, mut legend) = (seen(), legend());
    legend.show(0, false);
    legend.show_prototype(2, 1, false);
    for mode in [Mode::Classes, Mode::Prototypes] {
        let drawn = colors(mode, &legend);
        for (index, (&class, &k)) in std::iter::zip(&seen.found.classes, &seen.found.prototypes).enumerate() {
            let (class, k) = (class as usize, k as usize);
            let (color, shown) = match mode {
                Mode::Classes => (legend.class(class), legend.shows(class)),
                _ => (legend.prototype(class, k), legend.shows(class) && legend.shows_prototype(class, k)),
            };
            let [r, g, b, a] = drawn[index];
            assert_eq!(a > 0, shown, "{mode:?} at {index}");
            assert!(!shown || [r, g, b] == color, "{mode:?} at {index}: {:?} for {color:?}", drawn[index]);
        }
    }
}

#[test]
fn truth_and_errors_follow_the_labels() {
    let (seen, legend) = (seen(), legend());
    let (truth, errors) = (colors(Mode::Truth, &legend), colors(Mode::Errors, &legend));
    let mut wrong = 0;
    for (index, label) in seen.truth.iter().enumerate() {
        let Some(label) = *label else {
            assert_eq!(truth[index][3], 0, "nothing is drawn where there is no label");
            continue;
        };
        let color = legend.class(label as usize);
        assert_eq!(truth[index][..3], color);
        if seen.found.classes[index] != label {
            wrong += 1;
            assert_eq!((&errors[index][..3], errors[index][3]), (&color[..], 255), "at {index}");
        } else {
            assert!(errors[index][3] < 255, "right pixels are not covered");
        }
    }
    assert!(wrong > 100, "there is something to compare: {wrong}");
}

#[test]
fn numbers_climb_the_ramp() {
    let (seen, legend) = (seen(), legend());
    let ramp = protoseg::explain::live::ramp();
    let level = |color: [u8; 4]| ramp.iter().position(|&c| c == color[..3]).expect("a colour of the ramp");
    for (mode, value) in [(Mode::Unknown, 0), (Mode::Confidence, 1)] {
        let drawn = colors(mode, &legend);
        let [low, high] = mode.range().expect("a ramp");
        for index in (0..drawn.len()).step_by(13) {
            let value = match value {
                0 => 1.0 - seen.found.similarity[index],
                _ => 1.0 / (1.0 + (-seen.found.margin[index]).exp()),
            };
            let expected = ((value - low) / (high - low)).clamp(0.0, 1.0) * 255.0;
            let got = level(drawn[index]) as f32;
            assert!((got - expected).abs() <= 1.0, "{mode:?} at {index}: {got} for {expected}");
        }
    }
}

#[test]
fn the_screen_lays_colours_over_the_photograph() {
    let (seen, legend) = (seen(), legend());
    let (height, width) = (seen.image.height, seen.image.width);
    let basis = Basis::of(&[], seen.maps.shape[2]);
    let mut layer = Layer::new(&seen.gpu, &seen.maps, &basis, None).expect("a layer");
    layer.draw(&shading(Mode::Classes, &legend));
    let photo = Photo::new(&seen.gpu, &seen.image).expect("a photograph");
    let size = [height + 9, width + 20];
    let mut screen = Screen::new(&seen.gpu, &photo, [Some(&layer), None], size).expect("a screen");
    let view = View { opacity: 0.6, origin: vec2(-4.0, -3.0), ..View::default() };
    assert!(screen.draw(&view, false) && !screen.draw(&view, false), "composed once");
    let drawn = read(screen.pixels(), size[0] * size[1]);
    for y in 0..height {
        for x in 0..width {
            let at = y * width + x;
            let photo: [u8; 3] = seen.image.rgb[3 * at..3 * at + 3].try_into().expect("three bytes");
            let expected = blend(photo, legend.class(seen.found.classes[at] as usize), 0.6);
            let got = drawn[(y + 3) * size[1] + x + 4];
            let near = (0..3).all(|i| got[i].abs_diff(expected[i]) <= 1);
            assert!(near && got[3] == 255, "at {x}, {y}: {got:?} for {expected:?}");
        }
    }
    assert_eq!(drawn[size[1] + 1][..3], view.background, "around it");
}

#[test]
fn a_pixel_is_what_the_prediction_says() {
    let seen = seen();
    let mut picker = Picker::new(&seen.gpu, &seen.maps).expect("a picker");
    assert!(picker.answer().is_none(), "nothing was asked");
    for [x, y] in [[0, 0], [202, 150], [101, 75], [33, 140]] {
        picker.ask([0, 1]);
        picker.ask([x, y]);
        seen.gpu.wait().expect("a device");
        let pixel = picker.answer().expect("an answer").expect("no trouble");
        let index = y * seen.image.width + x;
        assert_eq!(pixel.at, [x, y], "the last question is answered");
        assert_eq!(
            [pixel.class as u32, pixel.prototype as u32],
            [seen.found.classes[index], seen.found.prototypes[index]]
        );
        let near = |a: f32, b: f32| (a - b).abs() < 1e-4;
        assert!(
            near(pixel.cosine, seen.found.similarity[index]) && near(pixel.margin, seen.found.margin[index])
        );
        assert!(near(pixel.cosines[pixel.class * 3 + pixel.prototype], pixel.cosine));
        let nearest = pixel.nearest(4, 3);
        assert!(nearest.windows(2).all(|pair| pair[0].2 >= pair[1].2), "{nearest:?}");
        assert!(pixel.cosines.iter().all(|&c| c <= nearest[0].2 && c >= -1.001));
    }
}

#[test]
fn counts_are_those_of_the_maps() {
    let seen = seen();
    let counts = pollster::block_on(Counts::of(&seen.gpu, &seen.maps, Some(&seen.truth))).expect("counts");
    let mut expected = vec![0; 9 * 3];
    let mut overlaps = vec![Overlap::default(); 9];
    for (index, &class) in seen.found.classes.iter().enumerate() {
        expected[class as usize * 3 + seen.found.prototypes[index] as usize] += 1;
        if let Some(label) = seen.truth[index] {
            overlaps[label as usize].labelled += 1;
            overlaps[class as usize].predicted += 1;
            overlaps[class as usize].both += u32::from(label == class);
        }
    }
    assert_eq!((&counts.prototypes, counts.overlaps.as_ref()), (&expected, Some(&overlaps)));
    assert_eq!(counts.total() as usize, seen.found.classes.len());
    assert!(counts.miou().is_some_and(|miou| (0.1..1.0).contains(&miou)));
}
