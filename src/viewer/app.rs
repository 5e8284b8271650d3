//! The window's state, and what happens once a frame.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui_wgpu::RenderState;
use egui::{Context, Ui};

use crate::disk;
use crate::error::Result;
use crate::explain::live::{Legend, Mode};
use crate::gpu::Gpu;
use crate::model::ModelSpec;

use super::album::{Album, ImageId, Opened, Origin, open};
use super::canvas::Canvas;
use super::engine::{Analysis, Engine, ModelId, ModelInfo};
use super::files::Files;
use super::legend::LegendPanel;
use super::news::{Bell, News};
use super::pace::Pace;
use super::picture::{Picture, Reader};
use super::recent::Recent;
use super::settings::{Settings, Tab};
use super::sheet::NARROW;
use super::toasts::Toasts;
use super::{Options, shot::Shot, theme};

/// Key of the settings in the storage.
const KEY: &str = "settings";
/// Pictures kept at a time, on host and device.
const MAX_PICTURES: usize = 6;
/// Analyses kept at a time, on the device.
const MAX_ANALYSES: usize = 12;

/// Drawn scenes of a series that are opened.
pub const SCENES: u32 = 12;

/// An opened model.
pub struct Model {
    /// Its number.
    pub id: ModelId,
    /// Its file.
    pub path: PathBuf,
    /// Short name.
    pub name: String,
    /// What is known of it, once it was read.
    pub info: Option<ModelInfo>,
    /// Its colours, once it was read.
    pub legend: Option<Legend>,
    /// Whether it is being trained: its analyses come from the run.
    pub live: bool,
}

/// How two pictures share the canvas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compare {
    /// One picture.
    #[default]
    Off,
    /// A slider between the two.
    Wipe,
    /// Side by side with one view.
    Side,
}

/// The second picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Its model; that of the first by default.
    pub model: Option<ModelId>,
    /// What is coloured; that of the first by default.
    pub mode: Option<Mode>,
}

/// The application.
pub struct Viewer {
    pub(super) gpu: Arc<Gpu>,
    pub(super) context: Context,
    /// The window's renderer; without one, as in tests, pictures are composed and not drawn.
    pub(super) render: Option<RenderState>,
    pub(super) settings: Settings,
    pub(super) toasts: Toasts,
    pub(super) files: Arc<dyn Files>,
    pub(super) engine: Engine,
    pub(super) reader: Reader,
    pub(super) bell: Bell,
    news: async_channel::Receiver<News>,
    pub(super) models: Vec<Model>,
    next_model: ModelId,
    /// The model whose colours are shown.
    pub(super) model: Option<ModelId>,
    pub(super) compare: Compare,
    pub(super) second: Second,
    pub(super) album: Album,
    pub(super) current: Option<ImageId>,
    pub(super) pictures: Recent<ImageId, Arc<Picture>>,
    pub(super) analyses: Recent<(ModelId, ImageId, usize), Arc<Analysis>>,
    pub(super) tallies: super::tally::Tallies,
    /// What a worker was asked for and has not answered.
    waiting: BTreeSet<Wanted>,
    /// What a worker could not do; it is not asked again for the same.
    failed: BTreeSet<Wanted>,
    /// Class and prototype that similarity and gallery are about.
    pub(super) selected: (usize, Option<usize>),
    /// A class to select by name once a model is there.
    wanted_class: Option<String>,
    pub(super) canvas: Canvas,
    /// Whether a layer was coloured anew in this frame.
    pub(super) canvas_colored: bool,
    pub(super) legend: LegendPanel,
    pub(super) thumbs: super::filmstrip::Thumbs,
    pub(super) health: super::health::HealthPanel,
    pub(super) gallery: super::gallery::Gallery,
    pub(super) training: super::training::Training,
    pub(super) help: bool,
    /// Whether a narrow window shows the legend below the picture, not a tab.
    pub(super) sheet_legend: bool,
    pub(super) pace: Pace,
    pub(super) shot: Option<Shot>,
}

/// What a worker is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// An image.
    Picture(ImageId),
    /// An analysis at this limit.
    Analysis(ModelId, ImageId, usize),
}

impl Viewer {
    /// The application in a window that was just made.
    #[must_use]
    pub fn new(
        gpu: &Arc<Gpu>,
        files: Arc<dyn Files>,
        options: Options,
        shot: Option<Shot>,
        context: &Context,
        storage: Option<&dyn eframe::Storage>,
        render: Option<RenderState>,
    ) -> Self {
        let context = context.clone();
        let kept = storage.filter(|_| shot.is_none());
        let mut settings: Settings = kept.and_then(|s| eframe::get_value(s, KEY)).unwrap_or_default();
        if cfg!(target_arch = "wasm32") {
            // A page's files are gone with it.
            settings.recent_models.clear();
            settings.recent_images.clear();
        }
        theme::install(&context);
        let (bell, news) = Bell::new(&context);
        let mut viewer = Self {
            gpu: Arc::clone(gpu),
            render,
            settings,
            toasts: Toasts::default(),
            engine: Engine::start(gpu, &files, bell.clone()),
            reader: Reader::start(gpu, &files, &bell),
            files,
            bell,
            news,
            models: Vec::new(),
            next_model: 0,
            model: None,
            compare: Compare::Off,
            second: Second::default(),
            album: Album::default(),
            current: None,
            pictures: Recent::new(MAX_PICTURES),
            analyses: Recent::new(MAX_ANALYSES),
            tallies: super::tally::Tallies::default(),
            waiting: BTreeSet::new(),
            failed: BTreeSet::new(),
            selected: (0, None),
            wanted_class: options.select,
            canvas: Canvas::default(),
            canvas_colored: false,
            legend: LegendPanel::default(),
            thumbs: super::filmstrip::Thumbs::default(),
            health: super::health::HealthPanel::default(),
            gallery: super::gallery::Gallery::default(),
            training: super::training::Training::default(),
            help: false,
            sheet_legend: options.tab.is_none(),
            pace: Pace::default(),
            shot,
            context,
        };
        if let Some(mode) = options.mode {
            viewer.settings.mode = mode;
        }
        if let Some(tab) = options.tab {
            (viewer.settings.tab, viewer.settings.show_side) = (tab, true);
        }
        if let Some(theme) = options.theme {
            viewer.settings.theme = theme;
        }
        if let Some([seed, index]) = options.scene {
            viewer.show_scene(seed, index);
        }
        viewer.open_all(options.paths);
        viewer.canvas.pin = options.at.map(|[x, y]| glam::vec2(x, y));
        viewer
    }

    /// Opens whatever the paths are; what cannot be opened is said.
    pub fn open_all(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        if paths.is_empty() {
            return;
        }
        // Whoever asks may be a page, whose window sleeps.
        self.context.request_repaint();
        let (mut first, mut first_model) = (None, None);
        for path in paths {
            match open(&path) {
                Ok(Opened::Model(path)) => {
                    let opened = self.open_model(&path);
                    first_model = first_model.or(Some(opened));
                }
                Ok(Opened::Config(path)) => self.open_config(&path),
                Ok(Opened::Images(origins)) => {
                    self.settings.opened_images(&path);
                    if self.current.is_none() && first.is_none() {
                        // Those of the welcome.
                        self.album.clear();
                    }
                    let added = self.album.add(origins);
                    first = first.or(added);
                }
                Err(error) => self.toasts.fail(error),
            }
        }
        self.model = first_model.or(self.model);
        if let Some(first) = first {
            self.show_image(first);
        } else if self.current.is_none() && self.model.is_some() {
            match self.album.entries().first().map(|entry| entry.id) {
                Some(first) => self.show_image(first),
                None => self.draw_scenes(),
            }
        }
    }

    /// Opens a model file and shows its colours.
    pub fn open_model(&mut self, path: &Path) -> ModelId {
        let real = |path: &Path| disk::real(path).unwrap_or_else(|_| path.to_path_buf());
        let wanted = real(path);
        if let Some(known) = self.models.iter().find(|model| !model.live && real(&model.path) == wanted) {
            self.model = Some(known.id);
            return known.id;
        }
        let id = self.new_model();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.models.push(Model { id, path: path.to_path_buf(), name, info: None, legend: None, live: false });
        self.engine.open(id, path.to_path_buf());
        self.model = Some(id);
        id
    }

    /// A number for another model.
    pub(super) fn new_model(&mut self) -> ModelId {
        self.next_model += 1;
        self.next_model - 1
    }

    /// Shows the colours of a model that is being trained in the folder `out`.
    pub(super) fn add_live(&mut self, id: ModelId, name: String, out: PathBuf, spec: ModelSpec) {
        let info = ModelInfo { path: out.clone(), spec, bytes: 0 };
        self.models.push(Model { id, path: out, name, info: None, legend: None, live: true });
        self.model = Some(id);
        self.learn(id, info);
    }

    /// Forgets a model.
    pub fn close_model(&mut self, id: ModelId) {
        if self.training.is_running(id) {
            self.toasts.fail("this model is being trained: stop the run before it is closed");
            return;
        }
        self.engine.close(id);
        self.models.retain(|model| model.id != id);
        self.analyses.forget(|key| key.0 == id);
        self.waiting.retain(|wanted| !matches!(wanted, Wanted::Analysis(model, ..) if *model == id));
        self.gallery.forget_model(id);
        self.tallies.forget(id);
        if self.model == Some(id) {
            self.model = self.models.last().map(|model| model.id);
        }
        if self.second.model == Some(id) {
            self.second.model = None;
        }
    }

    /// Draws street scenes that nobody has seen yet and shows the first.
    pub fn draw_scenes(&mut self) {
        if let Some(first) = self.add_scenes() {
            self.show_image(first);
        }
        self.context.request_repaint();
    }

    /// Adds drawn street scenes to the album; the number of the first.
    pub(super) fn add_scenes(&mut self) -> Option<ImageId> {
        let now = web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH);
        let fresh = now.map_or(7, |now| now.subsec_nanos() ^ now.as_secs() as u32);
        // A picture of the window is to be the same every time.
        let seed = if self.shot.is_some() { 7 } else { fresh };
        self.album.add((0..SCENES).map(|index| Origin::Scene { seed, index }))
    }

    /// Shows an opened image.
    pub fn show_image(&mut self, id: ImageId) {
        if self.current != Some(id) {
            self.current = Some(id);
            self.canvas.leave_image();
        }
    }

    /// The next image, or the one before.
    pub fn step_image(&mut self, steps: isize) {
        if let Some(next) = self.current.and_then(|id| self.album.neighbour(id, steps)) {
            self.show_image(next);
        }
    }

    /// Compares two pictures in this way, or no longer. At first the second one shows what there is to compare with: another model,
    /// the labels, or the bare photograph.
    pub fn toggle_compare(&mut self, compare: Compare) {
        let on = self.compare != compare;
        if (self.compare == Compare::Side) != (on && compare == Compare::Side) {
            // The panes have another shape.
            self.canvas.fitted = true;
        }
        self.compare = if on { compare } else { Compare::Off };
        let other = self.models.iter().find(|model| Some(model.id) != self.model).map(|model| model.id);
        if on && self.second == Second::default() && other.is_some() {
            self.second.model = other;
        } else if on && self.second == Second::default() {
            let picture = self.current.and_then(|id| self.pictures.get(&id));
            let has_truth = picture.is_some_and(|picture| picture.truth.is_some());
            self.second.mode = Some(if has_truth { Mode::Truth } else { Mode::Image });
        }
    }

    /// The model whose colours are shown, once it was read.
    #[must_use]
    pub fn shown_model(&self) -> Option<&Model> {
        self.models.iter().find(|model| Some(model.id) == self.model)
    }

    /// The legend of a model, for changes.
    pub fn legend_mut(&mut self, id: ModelId) -> Option<&mut Legend> {
        self.models.iter_mut().find(|model| model.id == id).and_then(|model| model.legend.as_mut())
    }

    /// The picture of an image, asked for if it is not there.
    pub(super) fn picture(&mut self, id: ImageId) -> Option<Arc<Picture>> {
        if let Some(picture) = self.pictures.get(&id) {
            return Some(Arc::clone(picture));
        }
        if self.ask(Wanted::Picture(id))
            && let Some(entry) = self.album.get(id)
        {
            self.waiting.retain(|wanted| !matches!(wanted, Wanted::Picture(other) if *other != id));
            self.reader.read(id, entry.origin.clone());
        }
        None
    }

    /// The analysis of a picture by a model, asked for if it is not there.
    pub(super) fn analysis(&mut self, model: ModelId, picture: &Arc<Picture>) -> Option<Arc<Analysis>> {
        let limit = self.settings.limit;
        let live = self.models.iter().any(|known| known.id == model && known.live);
        if live {
            self.training.look_at(model, picture, limit);
        }
        if let Some(analysis) = self.analyses.get(&(model, picture.id, limit)) {
            return Some(Arc::clone(analysis));
        }
        let known = !live && self.models.iter().any(|known| known.id == model && known.info.is_some());
        if known && self.ask(Wanted::Analysis(model, picture.id, limit)) {
            let replaced = |wanted: &Wanted| {
                let now = (picture.id, limit);
                matches!(wanted, Wanted::Analysis(m, i, l) if *m == model && (*i, *l) != now)
            };
            self.waiting.retain(|wanted| !replaced(wanted));
            self.engine.analyse(model, Arc::clone(picture), limit);
        }
        None
    }

    /// Whether a worker is to be asked: not if it was already.
    fn ask(&mut self, wanted: Wanted) -> bool {
        !self.failed.contains(&wanted) && self.waiting.insert(wanted)
    }

    /// Whether a worker has something to do for what is shown.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.waiting.is_empty()
            || self.models.iter().any(|model| model.info.is_none())
            || self.gallery_waits()
    }

    /// Whether an image cannot be shown.
    #[must_use]
    pub(super) fn has_failed(&self, wanted: Wanted) -> bool {
        self.failed.contains(&wanted)
    }

    /// Takes in what workers told.
    fn hear(&mut self) {
        while let Ok(news) = self.news.try_recv() {
            match news {
                News::Model(id, Ok(info)) => self.learn(id, *info),
                News::Model(id, Err(error)) => {
                    self.toasts.fail(error);
                    self.close_model(id);
                }
                News::Picture(id, found) => {
                    self.settle(Wanted::Picture(id), found, |viewer, picture| {
                        viewer.pictures.put(id, Arc::new(picture))
                    });
                }
                News::Analysis(model, image, limit, found) => {
                    if !self.models.iter().any(|known| known.id == model) {
                        continue;
                    }
                    self.settle(Wanted::Analysis(model, image, limit), found, |viewer, analysis| {
                        viewer.keep_analysis(*analysis, limit);
                    });
                }
                News::Thumb(id, image) => self.thumbs.put(&self.context, id, image),
                News::Patches(number, found) => self.gallery.hear(number, found),
                News::Cut(place, image) => self.gallery.put(&self.context, place, image),
                News::Counted(model, image, protos, shape, counts) => {
                    if self.models.iter().any(|known| known.id == model) {
                        self.tallies.put(model, image, &protos, shape, counts);
                    }
                }
                News::Run(model, told) => self.hear_run(model, told),
                News::Chosen(paths) => self.open_all(paths),
                News::Saved(Ok(text)) => self.toasts.say(text),
                News::Saved(Err(error)) => self.toasts.fail(error),
            }
        }
    }

    /// Keeps an analysis and what was counted in it.
    pub(super) fn keep_analysis(&mut self, analysis: Analysis, limit: usize) {
        let Analysis { model, image, ref maps, ref protos, ref counts, .. } = analysis;
        self.tallies.put(model, image, protos, maps.shape, counts.clone());
        self.analyses.put((model, image, limit), Arc::new(analysis));
    }

    fn settle<T>(&mut self, wanted: Wanted, found: Result<T>, keep: impl FnOnce(&mut Self, T)) {
        self.waiting.remove(&wanted);
        match found {
            Ok(found) => keep(self, found),
            Err(error) => {
                self.toasts.fail(error);
                self.failed.insert(wanted);
            }
        }
    }

    /// Takes in what is known of a model.
    fn learn(&mut self, id: ModelId, info: ModelInfo) {
        let settings = &self.settings;
        let classes = &info.spec.classes.classes;
        let colors: Vec<_> = classes.iter().map(|class| class.color).collect();
        let has_prototypes = info.spec.head.kind.has_prototypes();
        let k = if has_prototypes { info.spec.net.prototypes } else { 1 };
        let legend = Legend::new(&colors, k, settings.class_colors, settings.prototype_colors);
        let wanted = self.wanted_class.take();
        let found = wanted.as_ref().map(|name| info.spec.classes.by_name(name));
        match found {
            Some(Ok(class)) => self.select(usize::from(class.id), None),
            Some(Err(error)) => self.toasts.fail(error),
            None if self.selected.0 >= classes.len() => self.selected = (0, None),
            None => {}
        }
        let live = self.models.iter().any(|model| model.id == id && model.live);
        if !live {
            self.settings.opened_model(&info.path);
        }
        if let Some(model) = self.models.iter_mut().find(|model| model.id == id) {
            (model.info, model.legend) = (Some(info), Some(legend));
        }
    }

    /// Selects a class, or one of its prototypes, and shows it in the legend.
    pub fn select(&mut self, class: usize, prototype: Option<usize>) {
        self.selected = (class, prototype);
        self.legend.reveal(class);
    }

    /// Makes the legends anew after the scheme of colours was changed.
    pub fn recolor(&mut self) {
        let settings = &self.settings;
        for model in &mut self.models {
            let (Some(info), Some(legend)) = (&model.info, &mut model.legend) else { continue };
            let colors: Vec<_> = info.spec.classes.classes.iter().map(|class| class.color).collect();
            let k = legend.num_prototypes();
            let mut next = Legend::new(&colors, k, settings.class_colors, settings.prototype_colors);
            next.show_as(legend);
            *legend = next;
        }
    }
}

impl Viewer {
    /// One frame.
    pub fn frame(&mut self, ui: &mut Ui) {
        self.pace.note(&self.context);
        #[cfg(target_arch = "wasm32")]
        theme::enlarge(&self.context);
        self.hear();
        self.gallery.give_way(!self.waiting.is_empty());
        self.watch_run();
        theme::apply(&self.context, self.settings.theme);
        self.take_drops(ui);
        self.shortcuts(ui);
        self.toolbar(ui);
        self.status_bar(ui);
        let begun = self.current.is_some();
        if self.settings.show_filmstrip && begun && ui.available_height() > 420.0 {
            self.filmstrip(ui);
        }
        let side = begun || self.settings.tab == Tab::Train;
        if ui.available_width() < NARROW {
            if side && (self.settings.show_legend || self.settings.show_side) {
                self.sheet(ui);
            }
        } else {
            let wide = ui.available_width() > 720.0;
            if self.settings.show_legend && self.model.is_some() {
                self.legend_panel(ui);
            }
            if self.settings.show_side && wide && side {
                self.side_panel(ui);
            }
        }
        egui::CentralPanel::no_frame().show(ui, |ui| {
            if begun {
                self.canvas_panel(ui);
            } else {
                self.welcome(ui);
            }
        });
        self.help_window();
        let context = self.context.clone();
        self.toasts.show(&context);
        self.take_shot();
    }
}

impl eframe::App for Viewer {
    fn ui(&mut self, ui: &mut Ui, _: &mut eframe::Frame) {
        self.frame(ui);
    }

    fn on_exit(&mut self) {
        if !self.training.close() {
            eprintln!("the run did not end in time: it goes on from its last checkpoint when it is resumed");
        }
    }

    #[cfg(target_arch = "wasm32")]
    fn as_any_mut(&mut self) -> Option<&mut dyn std::any::Any> {
        Some(self)
    }

    fn persist_egui_memory(&self) -> bool {
        self.shot.is_none()
    }

    fn raw_input_hook(&mut self, _: &Context, input: &mut egui::RawInput) {
        // A picture of the window does not depend on where the pointer happens to be.
        if self.shot.is_some() {
            input
                .events
                .retain(|event| !matches!(event, egui::Event::PointerMoved(_) | egui::Event::MouseMoved(_)));
        }
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        if self.shot.is_none() {
            eframe::set_value(storage, KEY, &self.settings);
        }
    }
}
