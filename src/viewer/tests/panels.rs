//! Gallery, health and training as somebody uses them.

use super::*;
use crate::testing::TempDir;

/// A run of seconds.
const CONFIG: &str = r#"
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
[augment]
crop_height = 32
crop_width = 48
[train]
steps = 6
batch = 2
eval_every = 3
log_every = 1
threads = 1
"#;

fn tab(window: &mut Window, tab: Tab) {
    window.get_by_label(tab.name()).click();
    settle(window);
}

/// Draws until `done` says so.
fn wait(window: &mut Window, what: &str, done: impl Fn(&Window) -> bool) {
    let patience = Instant::now();
    while !done(window) {
        window.run_steps(1);
        assert!(patience.elapsed() < Duration::from_secs(120), "two minutes without: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    window.run_steps(2);
}

#[test]
fn health_tells_of_a_class_and_of_all_images() {
    let mut window = opened();
    tab(&mut window, Tab::Health);
    assert!(window.query_by_label("Cosines of all pairs").is_some());
    window.get_all_by_label("Road").last().expect("in the panel's list").click();
    window.run_steps(2);
    assert_eq!(viewer(&window).selected, (2, None));
    window.get_by_label("prototype 2").click();
    settle(&mut window);
    assert_eq!((viewer(&window).selected, viewer(&window).settings.mode), ((2, Some(2)), Mode::Similarity));
}

#[test]
fn a_patch_of_the_gallery_leads_to_its_image() {
    let mut window = opened();
    tab(&mut window, Tab::Gallery);
    assert!(window.query_by_label("nearest patches of 12 images").is_some());
    let tallied = viewer(&window).model.and_then(|id| viewer(&window).tallies.get(id)).expect("counted");
    assert_eq!(tallied.counts.len(), 12, "the other panels know of them");
    let shown = viewer(&window).current;
    let names: Vec<_> = viewer(&window)
        .album
        .entries()
        .iter()
        .map(|entry| (entry.id, format!("patch of {}", entry.name)))
        .collect();
    let sight = egui::Rect::from_min_max(egui::pos2(1000.0, 100.0), egui::pos2(1260.0, 680.0));
    let (id, label) = names
        .into_iter()
        .filter(|(id, _)| Some(*id) != shown)
        .find(|(_, label)| {
            window.query_all_by_label(label).any(|patch| sight.contains(patch.rect().center()))
        })
        .expect("patches of several images");
    let patch = window.query_all_by_label(&label).find(|patch| sight.contains(patch.rect().center()));
    patch.expect("it was there").click();
    settle(&mut window);
    let now = viewer(&window);
    assert_eq!(now.current, Some(id));
    assert!(now.canvas.pin.is_some() && now.canvas.target.is_none() && !now.canvas.fitted);
}

#[test]
fn a_configuration_is_trained_paused_looked_at_and_its_best_model_opened() {
    let dir = TempDir::new("viewer-train");
    crate::synth::write_dataset(&dir.join("street"), 8, 3, 64, 48).expect("street");
    std::fs::write(dir.join("tiny.toml"), CONFIG).expect("temporary folder");
    let mut window = window(vec![dir.join("tiny.toml")], vec2(1280.0, 800.0));
    settle(&mut window);
    assert_eq!(viewer(&window).settings.tab, Tab::Train);
    window.state_mut().as_mut().expect("a window").training.set_out(&dir.join("run"));
    window.run_steps(2);
    window.get_by_label("Start").click();
    wait(&mut window, "Pause", |window| window.query_by_label("Pause").is_some());
    let live = viewer(&window).shown_model().expect("the run's model");
    assert!(live.live && live.name == "tiny (training)");
    let id = live.id;
    wait(&mut window, "a look", |window| {
        viewer(window).canvas.analysis().is_some_and(|seen| seen.model == id)
    });
    assert_eq!(viewer(&window).toasts.first_failure(), None);
    wait(&mut window, "the end", |window| window.query_by_label("Open the best model").is_some());
    assert!(dir.join("run/best.safetensors").is_file() && dir.join("run/log.jsonl").is_file());
    assert!(window.query_by_label("IoU by class").is_some());
    window.get_by_label("Open the best model").click();
    settle(&mut window);
    let best = viewer(&window).shown_model().expect("the best model");
    assert!(!best.live && best.path == dir.join("run/best.safetensors"));
    assert!(viewer(&window).models.iter().all(|model| model.id != id), "the run's model is gone");
    assert!(viewer(&window).toasts.first_failure().is_none());
}

#[test]
fn an_error_ends_a_run_in_words() {
    let dir = TempDir::new("viewer-train");
    std::fs::write(dir.join("lost.toml"), "[data]\nroot = \"none\"\n").expect("temporary folder");
    let mut window = window(vec![dir.join("lost.toml")], vec2(1280.0, 800.0));
    settle(&mut window);
    window.state_mut().as_mut().expect("a window").training.set_out(&dir.join("run"));
    window.run_steps(2);
    window.get_by_label("Start").click();
    wait(&mut window, "an error", |window| viewer(window).toasts.first_failure().is_some());
    assert!(window.query_by_label("Start").is_some(), "it can be tried again");
    assert!(!dir.join("run").exists(), "nothing half-written");
}
