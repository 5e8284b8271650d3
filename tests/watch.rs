//! A run that is paused or looked at is the same run: same models, same checkpoints, same log.

mod support;

use std::path::Path;
use std::sync::Arc;

use protoseg::data::RgbImage;
use protoseg::gpu::Gpu;
use protoseg::infer::Inspector;
use protoseg::model::ModelSpec;
use protoseg::tape::Store;
use protoseg::train::{Command, Config, Event, Log, Looking, Session, Watcher};
use support::{CONFIG, TempDir, bytes, checkpoint, gpu, street, train};

/// Trains by [`CONFIG`] in `root/out`, with a log, answering each event as `answer` says.
fn train_with(
    gpu: &Arc<Gpu>,
    (root, out): (&Path, &str),
    sets: &[&str],
    resume: bool,
    mut answer: impl FnMut(&Event) -> Command,
    watcher: Option<&mut dyn Watcher>,
) -> Vec<Event> {
    let file = root.join("config.toml");
    std::fs::write(&file, CONFIG).expect("temporary folder");
    let sets: Vec<String> = sets.iter().map(|&s| s.to_owned()).collect();
    let config = Config::load(&file, &sets).expect("valid configuration");
    let mut events = Vec::new();
    let mut log = Log::new(&root.join(out));
    pollster::block_on(async {
        let mut session = Session::new(gpu, config, &root.join(out), resume).await.expect("session");
        let mut listen = |event: &Event| {
            log.add(event).expect("written");
            events.push(event.clone());
            answer(event)
        };
        session.run_watched(&mut listen, watcher).await.expect("run");
    });
    events
}

fn same(root: &Path, a: &str, b: &str) {
    for model in ["last", "best"] {
        let of = |run: &str| bytes(root, &format!("{run}/{model}.safetensors"));
        assert!(of(a) == of(b), "{model}: {a} and {b} differ");
    }
    assert!(bytes(root, &checkpoint(root, a)) == bytes(root, &checkpoint(root, b)), "checkpoints differ");
}

#[test]
fn a_pause_changes_nothing_and_a_stop_ends_it() {
    let gpu = gpu();
    let temp = TempDir::new("watch-pause");
    let root = temp.path();
    street(root);
    train(&gpu, root, "whole", &[], None, false);
    let mut asked = 0;
    let pause = |event: &Event| match event {
        Event::Tick { step: 2 } => Command::Pause,
        Event::Paused { step } => {
            assert_eq!(*step, 2);
            asked += 1;
            if asked < 4 { Command::Pause } else { Command::Continue }
        }
        _ => Command::Continue,
    };
    train_with(&gpu, (root, "paused"), &[], false, pause, None);
    assert_eq!(asked, 4);
    same(root, "whole", "paused");
    let log = String::from_utf8(bytes(root, "paused/log.jsonl")).expect("text");
    assert!(
        log.contains("\"step\"") && !log.contains("\"event\":\"paused\""),
        "a pause is not for the log: {log}"
    );

    let stop = |event: &Event| match event {
        Event::Tick { step: 4 } => Command::Pause,
        Event::Paused { .. } => Command::Stop,
        _ => Command::Continue,
    };
    let events = train_with(&gpu, (root, "stopped"), &[], false, stop, None);
    assert!(matches!(events.last(), Some(Event::Done { step: 4, .. })), "{:?}", events.last());
    train_with(&gpu, (root, "stopped"), &[], true, |_| Command::Continue, None);
    same(root, "whole", "stopped");
}

/// Analyses an image after every step and keeps what it saw.
struct Looker {
    gpu: Arc<Gpu>,
    inspector: Option<Inspector>,
    seen: Vec<(u64, Vec<u8>)>,
}

impl Watcher for Looker {
    fn wants(&mut self, _: u64) -> bool {
        true
    }

    fn look<'a>(&'a mut self, step: u64, spec: &'a ModelSpec, store: &'a mut Store) -> Looking<'a> {
        Box::pin(async move {
            let gpu = &self.gpu;
            let inspector = self.inspector.get_or_insert_with(|| Inspector::new(gpu, spec));
            let rgb = (0..64 * 48 * 3).map(|i| (i * 7 % 251) as u8).collect();
            let image = RgbImage { width: 64, height: 48, rgb };
            let maps = inspector.analyse(store, &image).await.expect("analysed");
            self.seen.push((step, gpu.read(&maps.protos, maps.protos.bytes).await.expect("read")));
        })
    }
}

#[test]
fn a_watcher_sees_the_prototypes_move_and_changes_nothing() {
    let gpu = gpu();
    let temp = TempDir::new("watch-look");
    let root = temp.path();
    street(root);
    for (run, sets) in [("plain", &[][..]), ("averaged", &["train.ema=0.5"])] {
        train(&gpu, root, run, sets, None, false);
        let mut looker = Looker { gpu: Arc::clone(&gpu), inspector: None, seen: Vec::new() };
        let watched = format!("{run}-watched");
        train_with(&gpu, (root, &watched), sets, false, |_| Command::Continue, Some(&mut looker));
        same(root, run, &watched);
        let steps: Vec<u64> = looker.seen.iter().map(|seen| seen.0).collect();
        assert_eq!(steps, [1, 2, 3, 4, 5, 6]);
        assert!(looker.seen.windows(2).all(|pair| pair[0].1 != pair[1].1), "the prototypes stand still");
    }
}
