//! What a street must hold whatever the seed.

use super::camera::Camera;
use super::canvas::{Canvas, Shadows};
use super::light::Light;
use super::stage::Stage;
use super::street::Street;
use super::{CLASSES, class, layout, scene, stream, write_dataset};
use crate::error::Error;
use crate::rng::{Rng, hash};
use crate::testing::TempDir;
use glam::vec2;

const SIZE: (usize, usize) = (256, 160);

/// The label map of what `draw` puts before an empty sky.
pub(super) fn labels_of(
    camera: &Camera,
    street: &Street,
    (width, height): (usize, usize),
    draw: impl FnOnce(&mut Stage),
) -> Vec<u8> {
    let light = Light::random(&mut Rng::new(0, 0));
    let (canvas, shadows) = (Canvas::new(width, height), Shadows::new(width, height));
    let mut stage = Stage { canvas, shadows, camera, light: &light, street };
    draw(&mut stage);
    stage.canvas.labels()
}

#[test]
fn a_scene_is_a_function_of_seed_and_index() {
    let first = scene(96, 64, 5, 3);
    assert_eq!(first, scene(96, 64, 5, 3));
    assert_ne!(first.rgb, scene(96, 64, 5, 4).rgb);
    assert_ne!(first.labels, scene(96, 64, 6, 3).labels);
    assert_eq!(first.rgb.len(), 96 * 64 * 3);
    assert_eq!(first.labels.len(), 96 * 64);
}

#[test]
fn the_same_seed_draws_the_same_street_on_every_platform() {
    let digest = |index| {
        let scene = scene(96, 64, 11, index);
        let bytes = scene.rgb.iter().chain(&scene.labels);
        bytes.fold(0, |sum, &byte| hash(sum ^ u32::from(byte)))
    };
    // What changes a scene on purpose changes these numbers, and the data sets that people have drawn.
    assert_eq!([0, 1, 2].map(digest), [3_374_086_299, 3_895_034_797, 1_130_529_642]);
}

#[test]
fn every_class_has_its_share() {
    let num_scenes = 40;
    let mut pixels = [0usize; CLASSES.len()];
    let mut scenes = [0usize; CLASSES.len()];
    for index in 0..num_scenes {
        let scene = scene(SIZE.0, SIZE.1, 1, index);
        let mut here = [0usize; CLASSES.len()];
        for &label in &scene.labels {
            here[usize::from(label)] += 1;
        }
        for class in 0..CLASSES.len() {
            pixels[class] += here[class];
            scenes[class] += usize::from(here[class] >= 20);
        }
    }
    let total = num_scenes as usize * SIZE.0 * SIZE.1;
    let least = [0.04, 0.10, 0.12, 0.04, 0.04, 0.004, 0.003, 0.04, 0.015];
    for class in 0..CLASSES.len() {
        let share = pixels[class] as f64 / total as f64;
        assert!((least[class]..0.45).contains(&share), "{}: {share:.4}", CLASSES[class].0);
        assert!(scenes[class] >= 25, "{} in {} scenes only", CLASSES[class].0, scenes[class]);
    }
}

#[test]
fn colours_use_the_range_and_do_not_give_the_label_away() {
    // Two classes whose colours overlap: a model has to look at more than one pixel.
    let mut road = Vec::new();
    let mut car = Vec::new();
    for index in 0..12 {
        let scene = scene(SIZE.0, SIZE.1, 2, index);
        let mean = scene.rgb.iter().map(|&v| f64::from(v)).sum::<f64>() / scene.rgb.len() as f64;
        assert!((25.0..220.0).contains(&mean), "scene {index}: mean {mean:.0}");
        for (pixel, &label) in scene.rgb.chunks_exact(3).zip(&scene.labels) {
            match label {
                2 => road.push(pixel[1]),
                7 => car.push(pixel[1]),
                _ => {}
            }
        }
    }
    road.sort_unstable();
    car.sort_unstable();
    let middle = road[road.len() / 2];
    let below = car.partition_point(|&v| v < middle) as f64 / car.len() as f64;
    assert!((0.1..0.9).contains(&below), "{below:.2} of the cars' pixels are darker than the road");
}

#[test]
fn nobody_looks_over_bare_ground_behind_the_houses() {
    let (width, height) = SIZE;
    let mut bare = 0;
    for index in 0..40 {
        let street = Street::random(&mut stream(8, index, 1));
        let camera = layout::camera(&street, width, height, &mut stream(8, index, 2));
        let labels = scene(width, height, 8, index).labels;
        let is_bare = |&i: &usize| {
            let ray = camera.ray(vec2((i % width) as f32 + 0.5, (i / width) as f32 + 0.5));
            let ground = camera.eye + ray * (camera.eye.y / -ray.y);
            let beside = street.offset(ground).abs() - street.road - street.pavement;
            let arm =
                street.crossing.map_or(f32::INFINITY, |(m, h)| (ground.z - m).abs() - h - street.pavement);
            // Far away the ground is a line of pixels at the horizon.
            let is_near = ray.y < 0.0 && ground.distance(camera.eye) < 80.0;
            labels[i] == class::PAVEMENT && is_near && beside.min(arm) > 1.0
        };
        bare += (0..labels.len()).filter(is_bare).count();
    }
    assert!(bare < 40 * 10, "{bare} pixels in 40 scenes show ground where there is no pavement");
}

#[test]
fn any_allowed_size_can_be_drawn() {
    for (width, height) in [(32, 32), (32, 200), (300, 40), (77, 51)] {
        for index in 0..6 {
            let scene = scene(width, height, 9, index);
            assert!(scene.labels.iter().all(|&l| usize::from(l) < CLASSES.len()));
            assert_eq!(scene.rgb.len(), width * height * 3);
        }
    }
}

#[test]
fn a_larger_picture_shows_the_same_place() {
    for index in 0..6 {
        let (small, large) = (scene(128, 80, 4, index), scene(256, 160, 4, index));
        let same = (0..128 * 80).filter(|i| {
            let (x, y) = (i % 128, i / 128);
            small.labels[*i] == large.labels[(2 * y + 1) * 256 + 2 * x + 1]
        });
        let share = same.count() as f64 / (128.0 * 80.0);
        assert!(share > 0.9, "scene {index}: {share:.3} of the labels agree");
    }
}

#[test]
fn a_data_set_reads_back_as_it_was_drawn() {
    let dir = TempDir::new("synth-round-trip");
    let out = dir.path().join("street");
    write_dataset(&out, 6, 11, 64, 48).unwrap();
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("classes.json")).unwrap()).unwrap();
    assert_eq!(json["ignore_index"], 255);
    assert_eq!(json["classes"].as_array().unwrap().len(), CLASSES.len());
    assert_eq!(json["classes"][8]["name"], "Person");
    assert_eq!(json["classes"][8]["id"], 8);
    for index in 0..6u32 {
        let split = if index < 5 { "train" } else { "val" };
        let expected = scene(64, 48, 11, index);
        for (part, data) in [("images", &expected.rgb), ("masks", &expected.labels)] {
            let path = out.join(part).join(split).join(format!("street{index:05}.png"));
            let mut reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()))
                .read_info()
                .unwrap();
            let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut bytes).unwrap();
            assert_eq!((info.width, info.height), (64, 48));
            assert_eq!(&bytes[..info.buffer_size()], &data[..], "{part} {index}");
        }
    }
    // A second run replaces the first, pictures that are no longer wanted included.
    write_dataset(&out, 2, 12, 32, 32).unwrap();
    assert_eq!(std::fs::read_dir(out.join("images/train")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(out.join("masks/val")).unwrap().count(), 1);
}

#[test]
fn wrong_requests_are_refused_and_nothing_is_destroyed() {
    let dir = TempDir::new("synth-refused");
    let out = dir.path().join("street");
    assert!(matches!(write_dataset(&out, 0, 1, 64, 64), Err(Error::Config { .. })));
    assert!(matches!(write_dataset(&out, 1, 1, 16, 64), Err(Error::Config { .. })));
    assert!(matches!(write_dataset(&out, 1, 1, 64, 5000), Err(Error::Config { .. })));
    assert!(!out.exists());
    std::fs::create_dir_all(&out).unwrap();
    std::fs::write(out.join("thesis.txt"), "years of work").unwrap();
    let message = write_dataset(&out, 1, 1, 64, 64).unwrap_err().to_string();
    assert!(message.contains("not empty"), "{message}");
    // A class list of someone else's data set does not make the folder ours.
    std::fs::write(out.join("classes.json"), r#"{"ignore_index":255,"classes":[]}"#).unwrap();
    assert!(matches!(write_dataset(&out, 1, 1, 64, 64), Err(Error::Data { .. })));
    assert_eq!(std::fs::read_to_string(out.join("thesis.txt")).unwrap(), "years of work");
    assert!(matches!(write_dataset(&out.join("thesis.txt"), 1, 1, 64, 64), Err(Error::Io { .. })));
    assert!(matches!(write_dataset(&out.join("thesis.txt/in"), 1, 1, 64, 64), Err(Error::Io { .. })));
}
