//! Reproducible whatever the threads do, errors with names, no thread left behind.

use std::time::{Duration, Instant};

use super::*;
use crate::data::fixture;
use crate::testing::TempDir;

fn data(dir: &TempDir, num_images: usize) -> Arc<Dataset> {
    fixture::classes(dir, 3);
    for i in 0..num_images {
        fixture::pair(dir, "train", &format!("{i:02}"), 40 + i, 30, |x, y| {
            [0, 1, 2, 255][(x / 5 + y / 7 + i) % 4]
        });
    }
    Arc::new(Dataset::open(dir.path(), "train").unwrap())
}

fn settings(num_threads: usize, first_step: u64) -> LoaderSettings {
    let augment = AugmentSettings { crop_height: 24, crop_width: 32, ..AugmentSettings::default() };
    LoaderSettings {
        augment,
        normalisation: Normalisation::default(),
        batch: 3,
        seed: 5,
        first_step,
        num_threads,
    }
}

fn batches(data: &Arc<Dataset>, settings: LoaderSettings, count: usize) -> Vec<Batch> {
    let mut loader = Loader::new(Arc::clone(data), settings).unwrap();
    (0..count).map(|_| loader.next_batch().unwrap()).collect()
}

#[test]
fn batches_depend_on_seed_and_step_alone() {
    let dir = TempDir::new("loader");
    let data = data(&dir, 7);
    let once = batches(&data, settings(1, 0), 12);
    let steps: Vec<u64> = once.iter().map(|batch| batch.step).collect();
    assert_eq!(steps, (0..12).collect::<Vec<_>>());
    for batch in &once {
        assert_eq!((batch.images.len(), batch.labels.len()), (3 * 24 * 32 * 4, 3 * 24 * 32));
        assert!(batch.labels.iter().all(|label| (-1..3).contains(label)));
    }
    assert_eq!(batches(&data, settings(4, 0), 12), once, "four threads");
    assert_eq!(batches(&data, settings(2, 5), 7), once[5..], "resumed at step 5");
    let other = batches(&data, LoaderSettings { seed: 6, ..settings(1, 0) }, 1);
    assert_ne!(other[0], once[0], "another seed");
    assert_ne!(once[0].images, once[1].images);
}

#[test]
fn an_epoch_takes_every_image_once_in_an_order_of_its_own() {
    let dir = TempDir::new("loader");
    fixture::classes(&dir, 6);
    for i in 0..6u16 {
        fixture::pair(&dir, "train", &format!("{i}"), 8, 8, move |_, _| i);
    }
    let data = Arc::new(Dataset::open(dir.path(), "train").unwrap());
    // Four images per batch: every third epoch boundary lies inside a batch.
    let plain = LoaderSettings { augment: AugmentSettings::none(8, 8), batch: 4, ..settings(2, 0) };
    let taken: Vec<i32> = batches(&data, plain, 9)
        .iter()
        .flat_map(|batch| batch.labels.chunks(64).map(|label| label[0]))
        .collect();
    let epochs: Vec<Vec<i32>> = taken.chunks(6).map(<[i32]>::to_vec).collect();
    for epoch in &epochs {
        let mut sorted = epoch.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
    }
    assert!(epochs.windows(2).any(|pair| pair[0] != pair[1]), "{epochs:?}");
}

#[test]
fn a_bad_file_is_named_and_the_next_step_follows() {
    let dir = TempDir::new("loader");
    let data = data(&dir, 3);
    std::fs::write(dir.join("images/train/01.png"), "no image").unwrap();
    let mut loader = Loader::new(data, LoaderSettings { batch: 1, ..settings(2, 0) }).unwrap();
    let outcomes: Vec<Result<Batch>> = (0..6).map(|_| loader.next_batch()).collect();
    let errors: Vec<String> =
        outcomes.iter().filter_map(|o| o.as_ref().err().map(ToString::to_string)).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors.iter().all(|message| message.contains("01.png")), "{errors:?}");
    let good: Vec<usize> = (0..6).filter(|&i| outcomes[i].is_ok()).collect();
    assert!(good.iter().all(|&i| outcomes[i].as_ref().is_ok_and(|batch| batch.step == i as u64)));
}

#[test]
fn dropping_ends_the_threads_and_the_queue_is_bounded() {
    let dir = TempDir::new("loader");
    let data = data(&dir, 2);
    let loader = Loader::new(data, settings(3, 0)).unwrap();
    let patience = Instant::now();
    while loader.shared.lock().finished.len() < 5 {
        assert!(patience.elapsed() < Duration::from_secs(60), "the queue never filled");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(loader.shared.lock().next_begin, 5, "three threads and two waiting");
    let shared = Arc::downgrade(&loader.shared);
    drop(loader);
    assert!(shared.upgrade().is_none(), "a thread still holds the queue");
}

#[test]
fn useless_settings_are_refused() {
    let dir = TempDir::new("loader");
    let data = data(&dir, 1);
    let refuse = |settings: LoaderSettings, words: &str| {
        let message = Loader::new(Arc::clone(&data), settings).err().expect("refused").to_string();
        assert!(message.contains(words), "{message}");
    };
    refuse(LoaderSettings { batch: 0, ..settings(1, 0) }, "train.batch is 0");
    refuse(settings(0, 0), "train.threads is 0");
    refuse(LoaderSettings { augment: AugmentSettings::none(0, 8), ..settings(1, 0) }, "crop_height is 0");
}
