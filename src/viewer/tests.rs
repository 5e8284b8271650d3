//! The panels as somebody uses them: found by their names, clicked, typed at.

mod panels;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui::{Key, Modifiers, Vec2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

use super::Options;
use super::app::{Compare, Viewer};
use super::settings::Tab;
use crate::explain::live::Mode;
use crate::testing;

type Window = Harness<'static, Option<Viewer>>;

fn street() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/street-small.safetensors")
}

/// A window with these things opened.
fn window(paths: Vec<PathBuf>, size: Vec2) -> Window {
    let gpu = testing::gpu();
    let mut options = Some(Options { paths, ..Options::default() });
    let frame = move |ui: &mut egui::Ui, viewer: &mut Option<Viewer>| {
        let context = ui.ctx().clone();
        viewer
            .get_or_insert_with(|| {
                Viewer::new(
                    &gpu,
                    std::sync::Arc::new(super::disk::Disk),
                    options.take().unwrap_or_default(),
                    None,
                    &context,
                    None,
                    None,
                )
            })
            .frame(ui);
    };
    Harness::builder().with_size(size).with_step_dt(0.1).build_ui_state(frame, None)
}

fn viewer(window: &Window) -> &Viewer {
    window.state().as_ref().expect("a window that was drawn")
}

fn viewer_of(window: &Window) -> Option<&Viewer> {
    window.state().as_ref()
}

/// Draws until nothing is being waited for.
fn settle(window: &mut Window) {
    let patience = Instant::now();
    loop {
        window.run_steps(2);
        let now = viewer(window);
        if !now.is_busy() && !now.canvas.waits() {
            break;
        }
        assert!(patience.elapsed() < Duration::from_secs(120), "it is busy for two minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
    window.run_steps(2);
}

fn opened() -> Window {
    let mut window = window(vec![street()], vec2(1280.0, 800.0));
    settle(&mut window);
    window
}

#[test]
fn a_model_alone_shows_scenes_in_the_colours_of_its_prototypes() {
    let window = opened();
    let now = viewer(&window);
    assert_eq!((now.album.entries().len(), now.settings.mode), (12, Mode::Prototypes));
    assert!(now.canvas.analysis().is_some_and(|analysis| analysis.counts.miou().is_some()));
    for name in ["Car", "Person", "Sky", "street-small", "Style", "Export"] {
        assert!(window.query_all_by_label(name).next().is_some(), "{name}");
    }
}

#[test]
fn the_legend_switches_solos_and_opens_classes() {
    let mut window = opened();
    let shown = |window: &Window, class: usize| {
        viewer(window)
            .shown_model()
            .and_then(|model| model.legend.as_ref())
            .is_some_and(|legend| legend.shows(class))
    };
    window.get_by_label("show Car").click();
    window.run_steps(2);
    assert!(!shown(&window, 7) && shown(&window, 8));
    window.get_by_label("Show all").click();
    window.run_steps(2);
    assert!(shown(&window, 7));
    assert!(window.query_by_label("show prototype 1").is_none());
    window.get_by_label("Car").click();
    window.run_steps(2);
    window.get_by_label("show prototype 1").click();
    window.run_steps(2);
    let now = viewer(&window).shown_model().and_then(|model| model.legend.as_ref()).expect("a legend");
    assert!(!now.shows_prototype(7, 1) && now.shows_prototype(7, 0));
    window.key_press(Key::Num1);
    window.run_steps(2);
    assert!(shown(&window, 0) && !shown(&window, 7));
    window.key_press(Key::Num0);
    window.run_steps(2);
    assert!(shown(&window, 7));
}

#[test]
fn a_prototype_that_is_chosen_is_shown_as_similarity() {
    let mut window = opened();
    window.get_by_label("Person").click();
    window.run_steps(2);
    window.get_by_label("2").click();
    settle(&mut window);
    assert_eq!((viewer(&window).selected, viewer(&window).settings.mode), ((8, Some(2)), Mode::Similarity));
}

#[test]
fn a_click_pins_a_pixel_and_tells_what_it_is() {
    let mut window = opened();
    let middle = viewer(&window).canvas.rect.center();
    window.hover_at(middle);
    settle(&mut window);
    let hovered = viewer(&window).canvas.pixel.clone().expect("a pixel under the pointer").0;
    assert!(viewer(&window).canvas.pin.is_none());
    window.drag_at(middle);
    window.drop_at(middle);
    settle(&mut window);
    assert!(viewer(&window).canvas.pin.is_some());
    window.hover_at(middle + vec2(90.0, 60.0));
    settle(&mut window);
    assert_eq!(viewer(&window).canvas.pixel.as_ref().map(|pixel| &pixel.0), Some(&hovered), "pinned");
    assert!(window.query_by_label("Nearest prototypes").is_some());
    window.key_press(Key::Escape);
    settle(&mut window);
    assert_ne!(viewer(&window).canvas.pixel.as_ref().map(|pixel| &pixel.0), Some(&hovered), "let go");
}

#[test]
fn keys_change_what_is_seen() {
    let mut window = opened();
    let first = viewer(&window).current;
    let zoom = viewer(&window).canvas.view.zoom;
    let mut press = |key, modifiers| {
        window.key_press_modifiers(modifiers, key);
        settle(&mut window);
        let now = viewer(&window);
        (
            now.settings.mode,
            now.settings.opacity,
            now.compare,
            now.current,
            now.canvas.hidden,
            now.canvas.view.zoom,
        )
    };
    assert_eq!(press(Key::M, Modifiers::NONE).0, Mode::Similarity);
    assert_eq!(press(Key::M, Modifiers::SHIFT).0, Mode::Prototypes);
    assert!((press(Key::OpenBracket, Modifiers::NONE).1 - 0.65).abs() < 1e-5);
    assert_eq!(press(Key::W, Modifiers::NONE).2, Compare::Wipe);
    assert_eq!(press(Key::S, Modifiers::NONE).2, Compare::Side);
    assert_eq!(press(Key::S, Modifiers::NONE).2, Compare::Off);
    assert!(press(Key::H, Modifiers::NONE).4);
    assert_ne!(press(Key::ArrowRight, Modifiers::NONE).3, first);
    assert_eq!(press(Key::ArrowLeft, Modifiers::NONE).3, first);
    assert!((press(Key::Num1, Modifiers::COMMAND).5 - 1.0).abs() < 1e-5);
    assert!((press(Key::Home, Modifiers::NONE).5 - zoom).abs() < 1e-4);
}

#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|e| e.to_string())
    }
}

#[test]
fn what_is_dropped_is_opened_and_two_models_are_compared() {
    let mut window = opened();
    let dir = testing::TempDir::new("dropped");
    let image = dir.path().join("one.png");
    crate::data::write_rgb_png(&image, &[200, 30, 40], 1, 1).expect("a pixel");
    let copy = dir.path().join("other.safetensors");
    std::fs::copy(street(), &copy).expect("a model");
    for path in [image, copy, dir.path().join("nothing.txt")] {
        window.input_mut().dropped_files.push(std::sync::Arc::new(Dropped(path)));
    }
    settle(&mut window);
    let now = viewer(&window);
    assert_eq!(now.album.entries().len(), 13);
    assert_eq!(
        now.current.and_then(|id| now.album.get(id)).map(|entry| entry.name.as_str()),
        Some("one.png")
    );
    assert_eq!(now.shown_model().map(|model| model.name.as_str()), Some("other"));
    assert!(now.toasts.first_failure().is_some_and(|text| text.contains("nothing.txt")));
    window.key_press(Key::S);
    settle(&mut window);
    assert_eq!(viewer(&window).second.model, Some(0), "the model that was there");
    assert!(viewer(&window).canvas.layer(1).is_some());
}

#[test]
fn another_size_of_analysis_replaces_one_that_nobody_began() {
    let mut window = opened();
    for limits in [[512, 768], [1024, 512]] {
        for limit in limits {
            window.state_mut().as_mut().expect("a window").settings.limit = limit;
            window.run_steps(1);
        }
        settle(&mut window);
    }
    let now = viewer(&window);
    assert_eq!(now.canvas.analysis().map(|analysis| analysis.maps.size), Some([360, 480]));
}

#[test]
fn without_images_there_is_the_welcome_again() {
    let mut window = opened();
    let now = window.state_mut().as_mut().expect("a window");
    now.album.clear();
    now.current = None;
    now.canvas.leave_image();
    settle(&mut window);
    assert_eq!((viewer(&window).current, viewer(&window).album.entries().len()), (None, 12));
    assert!(viewer(&window).canvas.analysis().is_none(), "nothing of the image that is gone");
}

#[test]
fn a_model_that_is_closed_while_it_looks_is_not_waited_for() {
    let mut window = window(vec![street()], vec2(1000.0, 700.0));
    while viewer_of(&window).is_none_or(|now| {
        now.pictures.values().next().is_none() || now.shown_model().is_none_or(|m| m.info.is_none())
    }) {
        window.run_steps(1);
    }
    let id = viewer(&window).model.expect("a model");
    window.state_mut().as_mut().expect("a window").close_model(id);
    settle(&mut window);
    assert!(viewer(&window).analyses.values().next().is_none());
}

#[test]
fn labels_that_the_model_does_not_know_colour_nothing() {
    let mut window = opened();
    let dir = testing::TempDir::new("unlabelled");
    let image = dir.path().join("one.png");
    crate::data::write_rgb_png(&image, &[90; 300], 10, 10).expect("a picture");
    let now = window.state_mut().as_mut().expect("a window");
    now.settings.mode = Mode::Errors;
    now.open_all([image]);
    settle(&mut window);
    let now = viewer(&window);
    assert_eq!(now.shading(0, now.model.expect("a model")).map(|shading| shading.mode), Some(Mode::Image));
}

#[test]
fn every_way_of_colouring_is_drawn() {
    let mut window = opened();
    for mode in Mode::ALL {
        window.state_mut().as_mut().expect("a window").settings.mode = mode;
        settle(&mut window);
        let now = viewer(&window);
        now.gpu.check().expect("no trouble on the device");
        assert!(now.toasts.first_failure().is_none(), "{mode:?}");
    }
}

#[test]
fn nothing_is_opened_at_first_and_what_is_wrong_is_said() {
    let mut window = window(vec!["/no/such/file.png".into()], vec2(800.0, 500.0));
    settle(&mut window);
    assert!(viewer(&window).toasts.first_failure().is_some_and(|text| text.contains("no such file")));
    assert_eq!((viewer(&window).album.entries().len(), viewer(&window).current), (12, None), "the welcome");
    window.get_by_label("scene 3").click();
    settle(&mut window);
    assert_eq!(viewer(&window).current, Some(2));
}

#[test]
fn the_tabs_are_there_at_the_smallest_size() {
    let mut window = window(vec![street()], vec2(800.0, 500.0));
    settle(&mut window);
    for tab in Tab::ALL {
        window.get_by_label(tab.name()).click();
        settle(&mut window);
        assert_eq!(viewer(&window).settings.tab, tab);
    }
}
