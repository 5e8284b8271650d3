//! What a crop holds, for every way of making it.

use super::*;
use crate::data::read::{Mask, RgbImage};

const PADDING: Padding = Padding { rgb: [123.0, 116.0, 103.0], label: 255 };

/// An image whose colour tells the position and whose label tells which quarter it is in.
fn sample(width: usize, height: usize) -> Sample {
    let pixels = (0..width * height).map(|i| (i % width, i / width));
    let rgb =
        pixels.clone().flat_map(|(x, y)| [(x * 255 / width) as u8, (y * 255 / height) as u8, 40]).collect();
    let labels = pixels.map(|(x, y)| u8::from(x >= width / 2) + 2 * u8::from(y >= height / 2)).collect();
    Sample { image: RgbImage { width, height, rgb }, mask: Mask { width, height, labels } }
}

fn geometry(scale_min: f32, scale_max: f32, height: usize, width: usize) -> AugmentSettings {
    AugmentSettings { scale_min, scale_max, flip: 0.5, ..AugmentSettings::none(height, width) }
}

#[test]
fn without_variation_the_crop_is_the_image() {
    let sample = sample(12, 9);
    let crop = augment(&sample, &AugmentSettings::none(9, 12), PADDING, &mut Rng::new(1, 0));
    assert_eq!(crop.labels, sample.mask.labels);
    let rgb: Vec<u8> = crop.rgb.iter().map(|value| value.round() as u8).collect();
    assert_eq!(rgb, sample.image.rgb);
}

#[test]
fn a_flip_mirrors_both() {
    let sample = sample(7, 4);
    let settings = AugmentSettings { flip: 1.0, ..AugmentSettings::none(4, 7) };
    let crop = augment(&sample, &settings, PADDING, &mut Rng::new(1, 0));
    for y in 0..4 {
        for x in 0..7 {
            let (here, there) = (y * 7 + x, y * 7 + 6 - x);
            assert_eq!(crop.labels[here], sample.mask.labels[there]);
            assert_eq!(crop.rgb[here * 3] as u8, sample.image.rgb[there * 3]);
        }
    }
}

#[test]
fn image_and_labels_stay_aligned_at_every_scale() {
    let sample = sample(96, 64);
    let settings = geometry(0.4, 2.5, 48, 40);
    let mut seen = [0usize; 4];
    for stream in 0..200 {
        let crop = augment(&sample, &settings, PADDING, &mut Rng::new(5, stream));
        for (pixel, &label) in crop.rgb.as_chunks::<3>().0.iter().zip(&crop.labels) {
            if label == 255 {
                assert_eq!(*pixel, PADDING.rgb);
                continue;
            }
            seen[usize::from(label)] += 1;
            // Right half: red at least 127; one source pixel is 2.7 (x) or 4 (y) grey levels, two of them are allowed.
            let (right, low) = (label & 1 == 1, label & 2 == 2);
            assert!(if right { pixel[0] > 119.0 } else { pixel[0] < 136.0 }, "{pixel:?} {label}");
            assert!(if low { pixel[1] > 117.0 } else { pixel[1] < 138.0 }, "{pixel:?} {label}");
        }
    }
    assert!(seen.iter().all(|&count| count > 10_000), "{seen:?}");
}

#[test]
fn a_small_image_is_padded_once_and_whole() {
    let sample = sample(5, 3);
    for stream in 0..50 {
        let crop = augment(&sample, &geometry(1.0, 1.0, 8, 9), PADDING, &mut Rng::new(2, stream));
        let valid = crop.labels.iter().filter(|&&label| label != 255).count();
        assert_eq!(valid, 15);
        let padded = crop.rgb.as_chunks::<3>().0.iter().filter(|&&pixel| pixel == PADDING.rgb).count();
        assert_eq!(padded, 8 * 9 - 15);
    }
}

#[test]
fn extreme_sizes_work() {
    let tiny = sample(1, 1);
    let crop = augment(&tiny, &geometry(0.05, 0.05, 4, 4), PADDING, &mut Rng::new(1, 1));
    assert_eq!(crop.labels.iter().filter(|&&label| label != 255).count(), 1);
    let crop = augment(&tiny, &geometry(20.0, 20.0, 4, 4), PADDING, &mut Rng::new(1, 1));
    assert!(crop.rgb.iter().all(|value| value.is_finite()) && crop.labels == [3; 16]);
    let wide = sample(301, 2);
    let crop = augment(&wide, &geometry(0.1, 0.1, 1, 1), PADDING, &mut Rng::new(1, 1));
    assert_eq!((crop.rgb.len(), crop.labels.len()), (3, 1));
}

#[test]
fn reducing_does_not_alias() {
    let (width, height) = (64, 64);
    let rgb = (0..width * height).flat_map(|i| [((i % 2) * 255) as u8; 3]).collect();
    let labels = vec![0; width * height];
    let stripes = Sample { image: RgbImage { width, height, rgb }, mask: Mask { width, height, labels } };
    let crop = augment(&stripes, &geometry(0.5, 0.5, 32, 32), PADDING, &mut Rng::new(1, 0));
    // One-pixel stripes at half the size are grey; picking every other pixel would give black or white.
    let middle = &crop.rgb[(16 * 32 + 4) * 3..(16 * 32 + 28) * 3];
    assert!(middle.iter().all(|value| (value - 127.5).abs() < 1.0), "{middle:?}");
}

#[test]
fn the_draws_do_not_depend_on_what_is_switched_on() {
    let sample = sample(80, 60);
    let plain = geometry(0.5, 2.0, 40, 40);
    let colourful = AugmentSettings { brightness: 0.4, hue: 0.1, ..plain.clone() };
    let (mut a, mut b) = (Rng::new(9, 3), Rng::new(9, 3));
    let (one, two) =
        (augment(&sample, &plain, PADDING, &mut a), augment(&sample, &colourful, PADDING, &mut b));
    assert_eq!(one.labels, two.labels);
    assert_ne!(one.rgb, two.rgb);
    assert_eq!(a.bits(), b.bits());
    assert_eq!(augment(&sample, &plain, PADDING, &mut Rng::new(9, 3)), one);
    assert_ne!(augment(&sample, &plain, PADDING, &mut Rng::new(9, 4)), one);
}

#[test]
fn settings_are_checked_by_name() {
    AugmentSettings::default().validate().unwrap();
    let bad = |change: fn(&mut AugmentSettings), key: &str| {
        let mut settings = AugmentSettings::default();
        change(&mut settings);
        let message = settings.validate().unwrap_err().to_string();
        assert!(message.contains(key), "{message}");
    };
    bad(|s| s.scale_min = 0.0, "augment.scale_min is 0");
    bad(|s| s.scale_max = f32::NAN, "augment.scale_max is NaN");
    bad(|s| s.scale_min = 3.0, "augment.scale_min 3 is above augment.scale_max 2");
    bad(|s| s.crop_width = 0, "augment.crop_width is 0");
    bad(|s| s.flip = 1.5, "augment.flip is 1.5");
    bad(|s| s.hue = 0.6, "augment.hue is 0.6");
    let unknown = toml::from_str::<AugmentSettings>("flop = 0.5").unwrap_err().to_string();
    assert!(unknown.contains("unknown field `flop`"), "{unknown}");
    assert_eq!(toml::from_str::<AugmentSettings>("").unwrap(), AugmentSettings::default());
}
