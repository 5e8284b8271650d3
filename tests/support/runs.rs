//! Short runs on a drawn street.

use std::path::Path;
use std::sync::Arc;

use protoseg::gpu::Gpu;
use protoseg::train::{Command, Config, Event, Session};

/// A network small enough for a run of seconds.
pub const CONFIG: &str = r#"
[data]
root = "street"
[model]
arch = "scratch"
output_stride = 8
taps = [4, 8]
lateral = 8
width = 16
embedding = 8
prototypes = 3
dropout = 0.2
[augment]
crop_height = 32
crop_width = 48
[train]
steps = 6
batch = 2
lr = 0.05
eval_every = 3
log_every = 1
threads = 2
"#;

/// Trains by [`CONFIG`] in `root/out`, stopping after `stop` steps if that is given; returns every event.
pub fn train(
    gpu: &Arc<Gpu>,
    root: &Path,
    out: &str,
    sets: &[&str],
    stop: Option<u64>,
    resume: bool,
) -> Vec<Event> {
    train_by(CONFIG, gpu, (root, out), sets, stop, resume)
}

/// The same by the configuration `text`.
pub fn train_by(
    text: &str,
    gpu: &Arc<Gpu>,
    (root, out): (&Path, &str),
    sets: &[&str],
    stop: Option<u64>,
    resume: bool,
) -> Vec<Event> {
    let file = root.join("config.toml");
    std::fs::write(&file, text).expect("temporary folder");
    let sets: Vec<String> = sets.iter().map(|&s| s.to_owned()).collect();
    let config = Config::load(&file, &sets).expect("valid configuration");
    let mut events = Vec::new();
    pollster::block_on(async {
        let mut session = Session::new(gpu, config, &root.join(out), resume).await.expect("session");
        let mut listen = |event: &Event| {
            events.push(event.clone());
            match event {
                Event::Step { step, .. } if Some(*step) == stop => Command::Stop,
                _ => Command::Continue,
            }
        };
        session.run(&mut listen).await.expect("run");
    });
    events
}

/// Draws the data of [`CONFIG`].
pub fn street(root: &Path) {
    protoseg::synth::write_dataset(&root.join("street"), 8, 3, 64, 48).expect("street");
}

/// The content of `file`.
pub fn bytes(root: &Path, file: &str) -> Vec<u8> {
    std::fs::read(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// The newest checkpoint of the run in `run`, relative to `root`.
pub fn checkpoint(root: &Path, run: &str) -> String {
    let folder = format!("{run}/checkpoints");
    let files = std::fs::read_dir(root.join(&folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let names = files.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    format!("{folder}/{}", names.max().expect("a checkpoint"))
}
