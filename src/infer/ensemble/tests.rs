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
    let gpu = pollster::block_on(Gpu::open(None, None)).unwrap();
    let net = NetOptions {
        arch: Arch::Scratch,
        output_stride: 8,
        taps: vec![4, 8],
        lateral: 8,
        width: 8,
        embedding: 8,
        prototypes: 2,
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
