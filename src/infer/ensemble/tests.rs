//! Sampling, bands, and passes that do not fit the device.

use super::*;
use crate::data::{Classes, Normalisation};
use crate::gpu::Gpu;
use crate::head::HeadOptions;
use crate::infer::predict::record;
use crate::model::{ModelSpec, NetOptions, Provenance};
use crate::nn::Arch;
use crate::proto::Profile;

#[test]
fn mirror_twice_is_the_image() {
    let image = RgbImage { width: 3, height: 2, rgb: (0..18).collect() };
    assert_eq!(&mirror(&image).rgb[..3], &[6, 7, 8]);
    assert_eq!(mirror(&mirror(&image)), image);
}

#[test]
fn sampling_hits_the_corners_and_the_middle() {
    let map = Map { values: [0.0, 1.0, 2.0, 3.0], first_row: 0, size: [2, 2] };
    let at = |y, x| {
        let mut out = [0.0];
        map.sample([y, x], [3, 3], &mut out);
        out[0]
    };
    assert_eq!([at(0, 0), at(0, 2), at(2, 0), at(2, 2), at(1, 1)], [0.0, 1.0, 2.0, 3.0, 1.5]);
}

#[test]
fn a_scale_that_makes_too_many_pixels_is_refused() {
    let image = RgbImage { width: 4000, height: 4000, rgb: vec![0; 48_000_000] };
    let message = resize(&image, 8.0).unwrap_err().to_string();
    assert!(message.contains("--scales holds 8") && message.contains("32000 x 32000"), "{message}");
}

#[test]
fn bands_of_rows_give_the_same_classes_as_the_whole() {
    let mut draw = crate::rng::Rng::new(3, 0);
    let mut pass = |size: [usize; 2], window: [usize; 2], mirrored| {
        let part = |place: Place| {
            let size = place.size().map(|side| side.div_ceil(4));
            let values = (0..size[0] * size[1] * 3).map(|_| draw.range(-4.0, 4.0)).collect();
            (place, Logits { values, size })
        };
        let parts = window::places(size[0], size[1], window[0], window[1]).into_iter().map(part).collect();
        Pass { size, mirrored, parts }
    };
    let passes =
        [pass([40, 30], [40, 30], false), pass([60, 45], [24, 32], true), pass([20, 15], [9, 6], false)];
    let whole = decide(&passes, 3, [40, 30], usize::MAX);
    assert_eq!(whole.len(), 40 * 30);
    assert!((0..3).all(|class| whole.contains(&class)));
    for band_bytes in [1, 3000, 20_000] {
        assert_eq!(decide(&passes, 3, [40, 30], band_bytes), whole, "bands of {band_bytes} bytes");
    }
}

/// A small network with random weights.
fn predictor() -> (Predictor, Store) {
    predictor_at(1.0)
}

fn predictor_at(input_scale: f32) -> (Predictor, Store) {
    let gpu = pollster::block_on(Gpu::open(None, None)).unwrap();
    let net = NetOptions {
        arch: Arch::Scratch,
        output_stride: 8,
        taps: vec![4, 8],
        lateral: 8,
        width: 8,
        embedding: 8,
        prototypes: 2,
        input_scale,
        ..NetOptions::default()
    };
    let text = r#"{"classes": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}, {"id": 2, "name": "c"}]}"#;
    let spec = ModelSpec {
        net,
        head: HeadOptions::profile(Profile::Rec),
        classes: Classes::parse(text).unwrap(),
        normalisation: Normalisation::default(),
        provenance: Provenance::default(),
    };
    let mut store = Store::new();
    record(&spec, 32, 32).unwrap().weights.init(&gpu, &mut store, 1).unwrap();
    (Predictor::new(&gpu, &spec), store)
}

#[test]
fn prototypes_are_counted_where_the_features_are() {
    let (mut predictor, mut store) = predictor();
    let image = RgbImage { width: 64, height: 48, rgb: (0..9216_u64).map(|i| (i * i / 7) as u8).collect() };
    let mut usage = [0; 6];
    let counting = predictor.classes_and_usage(&mut store, &image, &mut usage);
    let counted = pollster::block_on(counting).unwrap();
    assert_eq!(counted, pollster::block_on(predictor.classes(&mut store, &image)).unwrap());
    assert_eq!(usage.iter().sum::<u64>(), 16 * 12, "{usage:?}");
}

#[test]
fn a_pass_that_does_not_fit_goes_through_in_windows() {
    let (mut predictor, mut store) = predictor();
    let image =
        RgbImage { width: 320, height: 240, rgb: (0..230_400_u64).map(|i| (i * i / 7) as u8).collect() };
    let flip = |window| Ensemble { scales: vec![1.0], flip: true, window };
    let run = |predictor: &mut Predictor, store: &mut Store, ensemble: &Ensemble| {
        pollster::block_on(ensemble.classes(predictor, store, &image)).unwrap()
    };
    let all = std::mem::replace(&mut predictor.max_bytes, 0);
    while !predictor.fits(128, 160, Want::Logits).unwrap() {
        predictor.max_bytes += 4096;
    }
    assert_eq!(predictor.window(240, 320, Want::Logits).unwrap(), [128, 160]);
    let limit = std::mem::replace(&mut predictor.max_bytes, all);
    let in_windows = run(&mut predictor, &mut store, &flip(Some([128, 160])));
    assert_ne!(run(&mut predictor, &mut store, &flip(None)), in_windows, "windows see less context");
    let (mut predictor, mut store) = self::predictor();
    predictor.max_bytes = limit;
    for window in [None, Some([240, 320])] {
        assert_eq!(run(&mut predictor, &mut store, &flip(window)), in_windows, "{window:?}");
    }
}

#[test]
fn an_enlarging_model_sees_the_enlarged_image_and_answers_in_pixels_of_the_given_one() {
    let (width, height) = (30, 22);
    // Multiples of 16: twice as large, every pixel is a whole number of sixteenths of four of them.
    let rgb: Vec<u8> = (0..width * height * 3).map(|i| 16 * ((i * i / 7 + i) % 16) as u8).collect();
    let axis = |o: usize, length: usize| {
        let at = (o as f64 + 0.5) / 2.0 - 0.5;
        let (first, last) = (at.floor().max(0.0) as usize, (at.floor() as isize + 1).max(0) as usize);
        (first, last.min(length - 1), at.max(0.0) - at.max(0.0).floor())
    };
    let mut twice = Vec::new();
    for y in 0..2 * height {
        for x in 0..2 * width {
            let ((y0, y1, v), (x0, x1, u)) = (axis(y, height), axis(x, width));
            for c in 0..3 {
                let at = |y: usize, x: usize| f64::from(rgb[3 * (y * width + x) + c]);
                let row = |y: usize| (1.0 - u) * at(y, x0) + u * at(y, x1);
                twice.push(((1.0 - v) * row(y0) + v * row(y1)) as u8);
            }
        }
    }
    let image = RgbImage { width, height, rgb };
    let twice = RgbImage { width: 2 * width, height: 2 * height, rgb: twice };
    let logits = |scale: f32, image: &RgbImage| {
        let (mut predictor, mut store) = predictor_at(scale);
        pollster::block_on(predictor.logits(&mut store, image)).unwrap()
    };
    let (enlarging, plain) = (logits(2.0, &image), logits(1.0, &twice));
    assert_eq!(enlarging.size, plain.size);
    let largest = plain.values.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
    for (a, b) in enlarging.values.iter().zip(&plain.values) {
        assert!((a - b).abs() < 1e-4 * largest, "{a} against {b}");
    }
    let (mut predictor, mut store) = predictor_at(2.0);
    assert_eq!(pollster::block_on(predictor.classes(&mut store, &image)).unwrap().len(), width * height);
}
