//! What a crop holds, for every way of making it.

use super::*;
use crate::data::read::{Mask, RgbImage};

const PADDING: Padding = Padding { rgb: [123.0, 116.0, 103.0], label: 255 };

/// An image whose colour tells the position and whose label tells which quarter it is in.
fn sample(width: usize, height: usize) -> Sample {
    let pixels = (0..width * height).map(|i| (i % width, i / width));
    let rgb =
        pixels.clone().flat_map(|(x, y)| [(x * 255 / width) as u8, (y * 255 / height) as u8, 40]).collect();
    let labels = pixels.map(|(x, y)| u16::from(x >= width / 2) + 2 * u16::from(y >= height / 2)).collect();
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
    let colourful = AugmentSettings { brightness: 0.4, hue: 0.1, blur: 1.0, ..plain.clone() };
    let (mut a, mut b) = (Rng::new(9, 3), Rng::new(9, 3));
    let (one, two) =
        (augment(&sample, &plain, PADDING, &mut a), augment(&sample, &colourful, PADDING, &mut b));
    assert_eq!(one.labels, two.labels);
    assert_ne!(one.rgb, two.rgb);
    assert_eq!(a.bits(), b.bits());
    assert_eq!(augment(&sample, &plain, PADDING, &mut Rng::new(9, 3)), one);
    assert_ne!(augment(&sample, &plain, PADDING, &mut Rng::new(9, 4)), one);
}

/// The draws and the steps of the time before aspect, share limit, rotation and blur.
#[test]
fn what_is_off_changes_no_bit() {
    let sample = sample(50, 37);
    let settings = AugmentSettings { crop_height: 30, crop_width: 44, ..AugmentSettings::default() };
    for stream in 0..20 {
        let crop = augment(&sample, &settings, PADDING, &mut Rng::new(4, stream));
        let mut rng = Rng::new(4, stream);
        let scale = rng.range(settings.scale_min, settings.scale_max);
        let (row, column) = (rng.uniform(), rng.uniform());
        let flip = rng.chance(settings.flip);
        let jitter = jitter::Jitter::draw(&settings, &mut rng);
        let rows = resample::Axis::new(37, scale, 30, row, false, 0);
        let columns = resample::Axis::new(50, scale, 44, column, flip, 0);
        let mut rgb = resample::image(&sample.image, &rows, &columns, PADDING.rgb);
        jitter.apply(&mut rgb, 44, rows.inside(), columns.inside());
        assert!(crop.rgb.iter().zip(&rgb).all(|(a, b)| a.to_bits() == b.to_bits()), "{stream}");
        assert_eq!(crop.labels, resample::labels(&sample.mask, &rows, &columns, PADDING.label), "{stream}");
    }
}

#[test]
fn image_and_labels_stay_aligned_when_turned_and_stretched() {
    let sample = sample(96, 64);
    let settings = AugmentSettings { rotate: 180.0, aspect: 2.0, ..geometry(0.4, 2.5, 48, 40) };
    let mut seen = [0usize; 4];
    for stream in 0..300 {
        let crop = augment(&sample, &settings, PADDING, &mut Rng::new(5, stream));
        for (pixel, &label) in crop.rgb.as_chunks::<3>().0.iter().zip(&crop.labels) {
            assert_eq!(label == 255, *pixel == PADDING.rgb);
            if label == 255 {
                continue;
            }
            seen[usize::from(label)] += 1;
            // As above, but a turned position is up to 0.7 pixels of the crop away from the nearest one: at scale 0.4, stretched
            // by the root of 2, that is 2.5 source pixels more.
            let (right, low) = (label & 1 == 1, label & 2 == 2);
            assert!(if right { pixel[0] > 112.0 } else { pixel[0] < 143.0 }, "{pixel:?} {label}");
            assert!(if low { pixel[1] > 107.0 } else { pixel[1] < 148.0 }, "{pixel:?} {label}");
        }
    }
    assert!(seen.iter().all(|&count| count > 10_000), "{seen:?}");
}

#[test]
fn a_turn_is_around_the_middle_and_shows_what_lies_beyond_the_crop() {
    let sample = sample(90, 90);
    // 90 degrees: what was drawn is a share of it.
    let settings = AugmentSettings { rotate: 90.0, ..AugmentSettings::none(30, 30) };
    let straight = AugmentSettings { rotate: 0.0, ..settings.clone() };
    let (mut padded, mut turned) = (0, 0);
    for stream in 0..50 {
        let [a, b] = [&settings, &straight].map(|s| augment(&sample, s, PADDING, &mut Rng::new(8, stream)));
        let middle = (15 * 30 + 15) * 3;
        assert!(
            (a.rgb[middle] - b.rgb[middle]).abs() < 4.0
                && (a.rgb[middle + 1] - b.rgb[middle + 1]).abs() < 4.0
        );
        padded += a.labels.iter().filter(|&&label| label == 255).count();
        turned += usize::from(a.rgb != b.rgb);
        assert!(b.labels.iter().all(|&label| label != 255));
    }
    // Corners show the image, but where the crop lies at the image's own edge.
    assert!(turned == 50 && padded < 50 * 30 * 30 / 20, "{turned} {padded}");
}

#[test]
fn stretched_images_keep_their_area() {
    let sample = sample(100, 100);
    let settings = AugmentSettings { aspect: 2.0, ..AugmentSettings::none(200, 200) };
    let mut ratios = Vec::new();
    for stream in 0..100 {
        let crop = augment(&sample, &settings, PADDING, &mut Rng::new(6, stream));
        let held = |line: &mut dyn Iterator<Item = &u16>| line.filter(|&&label| label != 255).count();
        let width =
            (0..200).map(|y| held(&mut crop.labels[y * 200..(y + 1) * 200].iter())).max().unwrap_or(0);
        let height = (0..200).map(|x| held(&mut crop.labels.iter().skip(x).step_by(200))).max().unwrap_or(0);
        assert!((9_800..=10_200).contains(&(width * height)), "{width} x {height}");
        ratios.push(width as f32 / height as f32);
    }
    let [least, most] = [f32::min, f32::max].map(|of| ratios.iter().copied().reduce(of).unwrap_or(0.0));
    assert!((0.49..0.56).contains(&least) && (1.8..2.05).contains(&most), "{least} {most}");
}

#[test]
fn no_class_has_more_than_its_share_where_a_place_allows_it() {
    // Class 0 but for a corner of class 1 and an ignored stripe.
    let label = |(x, y): (usize, usize)| if y < 8 { 255 } else { u16::from(x > 60 && y > 60) };
    let (width, height) = (100, 100);
    let labels: Vec<u16> = (0..width * height).map(|i| label((i % width, i / width))).collect();
    let image = sample(width, height).image;
    let sample = Sample { image, mask: Mask { width, height, labels } };
    let settings = AugmentSettings { max_class_share: 0.75, ..AugmentSettings::none(40, 40) };
    let share = |settings: &AugmentSettings, stream| {
        let crop = augment(&sample, settings, PADDING, &mut Rng::new(3, stream));
        let count = |class| crop.labels.iter().filter(|&&label| label == class).count() as f32;
        count(0).max(count(1)) / (count(0) + count(1))
    };
    let mut within = [0; 2];
    for stream in 0..200 {
        let free = share(&AugmentSettings { max_class_share: 1.0, ..settings.clone() }, stream);
        let limited = share(&settings, stream);
        assert!(limited <= free, "{stream}: {limited} {free}");
        // The first place stays where it is good enough.
        assert!(free > 0.75 || limited == free, "{stream}: {limited} {free}");
        within = [within[0] + u32::from(free <= 0.75), within[1] + u32::from(limited <= 0.75)];
    }
    // One place in eight is good; of ten places, one is in three quarters of the cases.
    assert!(within[0] < 60 && within[1] > 110, "{within:?}");
}

#[test]
fn blur_takes_away_contrast_alone() {
    let mut sample = sample(60, 40);
    sample
        .image
        .rgb
        .iter_mut()
        .enumerate()
        .for_each(|(i, value)| *value = if i / 3 % 2 == 0 { 0 } else { 200 });
    let settings = AugmentSettings { blur: 1.0, blur_sigma: 3.0, ..AugmentSettings::none(40, 60) };
    let sharp =
        augment(&sample, &AugmentSettings { blur: 0.0, ..settings.clone() }, PADDING, &mut Rng::new(1, 2));
    let blurred = augment(&sample, &settings, PADDING, &mut Rng::new(1, 2));
    let mean = |crop: &Crop| crop.rgb.iter().sum::<f32>() / crop.rgb.len() as f32;
    assert!((mean(&sharp) - mean(&blurred)).abs() < 0.01);
    let spread = |crop: &Crop| crop.rgb.iter().map(|x| (x - 100.0).abs()).sum::<f32>();
    assert!(spread(&blurred) < 0.5 * spread(&sharp) && blurred.labels == sharp.labels);
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
    bad(|s| s.aspect = 0.5, "augment.aspect is 0.5");
    bad(|s| s.max_class_share = 0.0, "augment.max_class_share is 0");
    bad(|s| s.rotate = 200.0, "augment.rotate is 200");
    bad(|s| s.blur = -1.0, "augment.blur is -1");
    bad(|s| s.blur_sigma = f32::INFINITY, "augment.blur_sigma is inf");
    bad(|s| s.flip = 1.5, "augment.flip is 1.5");
    bad(|s| s.hue = 0.6, "augment.hue is 0.6");
    let unknown = toml::from_str::<AugmentSettings>("flop = 0.5").unwrap_err().to_string();
    assert!(unknown.contains("unknown field `flop`"), "{unknown}");
    assert_eq!(toml::from_str::<AugmentSettings>("").unwrap(), AugmentSettings::default());
}
