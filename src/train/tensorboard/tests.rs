//! What is written is read back, frames and checksums included.

use super::*;
use crate::infer::Scores;
use crate::testing::TempDir;
use crate::train::{ClassPrototypes, SetPrototypes};

fn start(first_step: u64) -> Event {
    Event::Start { adapter: "a".into(), first_step, steps: 9, images: [2, 1] }
}

fn step(step: u64) -> Event {
    Event::Step {
        step,
        loss: step as f32 + 0.25,
        ce: 1.0,
        ppc: 3.5,
        ppd: 0.5,
        aux: Some(1.5),
        lr: 0.1,
        grad_norm: Some(0.375),
        images_per_sec: 2.0,
        data_wait: Some(0.25),
    }
}

fn evaluation(step: u64) -> [Event; 2] {
    let class = |name: &str, mean, max, effective| {
        let usage = if effective == Some(2.0) { vec![0.5, 0.5] } else { vec![1.0, 0.0] };
        ClassPrototypes { name: name.into(), mean, max, effective, usage }
    };
    let scores = Scores { miou: 0.5, macc: 0.75, aacc: 0.875, classes: Vec::new() };
    let classes =
        vec![class("a", 0.25, 0.5, Some(2.0)), class("b", 0.5, 0.75, None), class("c", 0.0, 0.0, Some(1.0))];
    [
        Event::Evaluation { step, images: 1, scores, best: true },
        Event::Prototypes { step, mean_cosine: 0.25, classes },
    ]
}

/// Writes `events` as one start of the program.
fn run(out: &Path, events: &[Event]) {
    let mut board = TensorBoard::new(out);
    events.iter().for_each(|event| board.add(event).unwrap());
}

/// The messages of every file, in order; no file may hold anything else.
fn files(out: &Path) -> Vec<Vec<Vec<u8>>> {
    let read = |path: PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(messages(&bytes).last().map_or(0, |(_, end)| end), bytes.len(), "all of it is whole");
        messages(&bytes).map(|(message, _)| message.to_vec()).collect()
    };
    TensorBoard::new(out).files().unwrap().into_iter().map(read).collect()
}

fn bytes(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).filter_map(move |found| match found {
        (n, Field::Bytes(bytes)) if n == number => Some(bytes),
        _ => None,
    })
}

fn integer(message: &[u8], number: u64) -> Option<u64> {
    fields(message).find_map(|found| match found {
        (n, Field::Integer(value)) if n == number => Some(value),
        _ => None,
    })
}

/// Step and value of every point of `tag`.
fn points(out: &Path, tag: &str) -> Vec<(u64, f32)> {
    let mut found = Vec::new();
    for event in files(out).iter().flatten() {
        for value in bytes(event, field::SUMMARY).flat_map(|summary| bytes(summary, field::VALUE)) {
            if bytes(value, field::TAG).next() == Some(tag.as_bytes()) {
                let number = bytes(value, field::SIMPLE_VALUE).next().unwrap().try_into().unwrap();
                found.push((integer(event, field::STEP).unwrap(), f32::from_le_bytes(number)));
            }
        }
    }
    found
}

#[test]
fn every_scalar_is_found_again() {
    let temp = TempDir::new("tensorboard");
    let out = temp.path();
    let car = SetPrototypes { name: "car".into(), pixels: 9, set: 3, merged: 1 };
    let revived = Event::PrototypesRevived { step: 2, batches: 1, classes: vec![car.clone(), car] };
    run(out, &[&[start(0), Event::Tick { step: 1 }, revived, step(2)][..], &evaluation(2)].concat());
    for (tag, value) in [
        ("loss/total", 2.25),
        ("loss/ce", 1.0),
        ("loss/ppc", 3.5),
        ("train/data_wait", 0.25),
        ("loss/ppd", 0.5),
        ("loss/aux", 1.5),
        ("train/learning_rate", 0.1),
        ("train/grad_norm", 0.375),
        ("train/images_per_sec", 2.0),
        ("val/miou", 0.5),
        ("val/macc", 0.75),
        ("val/aacc", 0.875),
        ("prototypes/cosine_mean", 0.25),
        ("prototypes/cosine_max", 0.75),
        ("prototypes/effective_mean", 1.5),
        ("prototypes/effective_min", 1.0),
        ("prototypes/revived", 6.0),
        ("prototypes/merged", 2.0),
        ("prototypes_effective/a", 2.0),
        ("prototypes_cosine/b", 0.5),
        ("prototypes_usage/a/2", 0.5),
        ("prototypes_usage/c/1", 1.0),
    ] {
        assert_eq!(points(out, tag), [(2, value)], "{tag}");
    }
    assert!(points(out, "prototypes_effective/b").is_empty(), "nothing is predicted as b");
    let first = &files(out)[0][0];
    assert_eq!(bytes(first, field::FILE_VERSION).next(), Some(&b"brain.Event:2"[..]));
}

#[test]
fn a_resumed_run_has_every_point_once() {
    let temp = TempDir::new("tensorboard");
    let out = temp.path();
    run(out, &[&[start(0), step(2), step(4)][..], &evaluation(4), &[step(6), step(8)]].concat());
    let path = TensorBoard::new(out).files().unwrap().remove(0);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], &whole[..30]].concat()).unwrap();
    std::fs::write(out.join("tensorboard/events.out.tfevents.7.other"), "of another program").unwrap();
    run(out, &[start(4), step(6)]);
    assert_eq!(points(out, "loss/total"), [2, 4, 6].map(|step| (step, step as f32 + 0.25)));
    assert_eq!(points(out, "val/miou"), [(4, 0.5)]);
    let mark = &files(out)[1][1];
    assert_eq!(integer(mark, field::STEP), Some(5), "the second file drops what follows the checkpoint");
    assert_eq!(bytes(mark, field::SESSION_LOG).next(), Some(&[8, 1][..]), "status START");
    // Lost again before a new checkpoint: the second file has no point left, and the third is called after the first.
    run(out, &[start(4), step(6), step(8)]);
    assert_eq!(points(out, "loss/total").iter().map(|p| p.0).collect::<Vec<_>>(), [2, 4, 6, 8]);
    assert_eq!(files(out).len(), 2);
    run(out, &[start(8)]);
    assert_eq!(files(out).len(), 2, "a start without a point leaves no file");
    run(out, &[start(0), step(1)]);
    assert_eq!(points(out, "loss/total"), [(1, 1.25)]);
    assert!(out.join("tensorboard/events.out.tfevents.7.other").exists());
}
