//! The gallery: for every prototype the patches of all opened images that are nearest to it.

use std::collections::{BTreeMap, BTreeSet};

use egui::{
    Align, Color32, ColorImage, ComboBox, Layout, ProgressBar, Rect, RichText, ScrollArea, Sense, Stroke,
    StrokeKind, TextureHandle, TextureOptions, Ui, vec2,
};

use crate::error::Result;
use crate::explain::live::{Legend, Mode};
use crate::words::counted;

use super::album::ImageId;
use super::app::Viewer;
use super::engine::ModelId;
use super::health::dot;
use super::legend::percent;
use super::patches::{Found, Index, Place, Searcher, Wanted};
use super::settings::Tab;
use super::toolbar::named;

/// Side of a patch in the panel, in points.
const SIDE: f32 = 72.0;
/// With so few images the search begins by itself.
const FEW: usize = 24;
/// Small pictures that are kept.
const MAX_CUTS: usize = 600;

/// What was searched: model, images, limit.
type Key = (ModelId, Vec<ImageId>, usize);

/// The panel's state.
#[derive(Default)]
pub struct Gallery {
    searcher: Option<Searcher>,
    /// What the search is over, and its number.
    search: Option<(Key, u64)>,
    index: Option<Index>,
    /// Why there is no index.
    problem: Option<String>,
    cuts: BTreeMap<Place, TextureHandle>,
    asked: BTreeSet<Place>,
}

impl Gallery {
    /// Whether something is to come that the panel shows.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.is_searching() || self.asked.iter().any(|place| !self.cuts.contains_key(place))
    }

    /// Lets a search wait for what is wanted now.
    pub fn give_way(&self, hurry: bool) {
        if let Some(searcher) = &self.searcher {
            searcher.give_way(hurry);
        }
    }

    /// Ends the search; what it found so far stays.
    fn cancel(&mut self) {
        if let (Some(searcher), Some((_, number))) = (&self.searcher, &mut self.search) {
            *number = searcher.cancel();
        }
        self.index.get_or_insert_default().ended = true;
    }

    /// Forgets what was found for a model that is closed.
    pub fn forget_model(&mut self, id: ModelId) {
        if self.search.as_ref().is_some_and(|(search, _)| search.0 == id) {
            self.cancel();
            (self.search, self.index, self.problem) = (None, None, None);
        }
    }

    fn is_searching(&self) -> bool {
        self.search.is_some()
            && self.problem.is_none()
            && self.index.as_ref().is_none_or(|index| !index.ended)
    }

    /// Takes in how far a search is.
    pub fn hear(&mut self, number: u64, found: Result<Index>) {
        if self.search.as_ref().is_none_or(|(_, current)| *current != number) {
            return;
        }
        match found {
            Ok(index) => self.index = Some(index),
            Err(error) => self.problem = Some(error.to_string()),
        }
    }

    /// Takes a small picture in.
    pub fn put(&mut self, context: &egui::Context, place: Place, image: ColorImage) {
        if self.cuts.len() >= MAX_CUTS {
            // What is in sight is asked for again.
            self.cuts.clear();
            self.asked.clear();
        }
        self.asked.insert(place);
        self.cuts.insert(place, context.load_texture("patch", image, TextureOptions::LINEAR));
    }
}

/// What was clicked.
enum Act {
    Search,
    Cancel,
    Class(usize),
    Prototype(Option<usize>),
    Go(Found),
}

impl Viewer {
    /// What a search would be over now; `None` where there is nothing to search.
    fn gallery_key(&self) -> Option<Key> {
        let model = self.shown_model().filter(|model| !model.live && model.info.is_some())?;
        let images: Vec<ImageId> = self.album.entries().iter().map(|entry| entry.id).collect();
        (!images.is_empty()).then_some((model.id, images, self.settings.limit))
    }

    fn search_patches(&mut self, key: Key) {
        let Some(model) = self.models.iter().find(|model| model.id == key.0) else { return };
        let wanted = Wanted {
            model: key.0,
            path: model.path.clone(),
            images: self.album.entries().iter().map(|entry| (entry.id, entry.origin.clone())).collect(),
            limit: key.2,
        };
        let gallery = &mut self.gallery;
        if gallery.search.as_ref().is_some_and(|(old, _)| old.0 != key.0) {
            gallery.index = None;
        }
        gallery.problem = None;
        let searcher =
            gallery.searcher.get_or_insert_with(|| Searcher::start(&self.gpu, &self.files, &self.bell));
        gallery.search = Some((key, searcher.search(wanted)));
        if let Some(index) = &mut gallery.index {
            index.ended = false;
        }
    }

    /// The panel.
    pub(super) fn gallery_tab(&mut self, ui: &mut Ui) {
        let Some(model) = self.shown_model() else {
            ui.weak("Open a model to see which patches its prototypes stand for.");
            return;
        };
        let (Some(info), Some(legend)) = (&model.info, &model.legend) else {
            ui.weak("reading the model…");
            return;
        };
        if !info.spec.head.kind.has_prototypes() {
            let name = info.spec.head.kind.name();
            ui.weak(format!(
                "This model's {name} head has no prototypes, so there are no patches nearest to them."
            ));
            return;
        }
        if model.live {
            ui.weak(
                "The prototypes still move: open the run's model once it has ended to see their patches.",
            );
            return;
        }
        let Some(key) = self.gallery_key() else {
            ui.weak("Open images to look for the patches that are nearest to each prototype.");
            return;
        };
        let names: Vec<String> = info.spec.classes.classes.iter().map(|class| class.name.clone()).collect();
        let (legend, id) = (legend.clone(), model.id);
        let known = self.gallery.search.as_ref().is_some_and(|(search, _)| *search == key);
        if !known && key.1.len() <= FEW {
            self.search_patches(key.clone());
        }
        let mut acts = Vec::new();
        let class = self.selected.0.min(legend.num_classes() - 1);
        let k = self.selected.1.filter(|&k| k < legend.num_prototypes());
        gallery_head(ui, &names, [class, k.unwrap_or(usize::MAX)], &legend, &mut acts);
        self.search_state(ui, &key, &mut acts);
        ui.separator();
        let of_model = self.gallery.search.as_ref().is_some_and(|(search, _)| search.0 == id);
        if let Some(index) = self.gallery.index.take_if(|_| of_model) {
            self.patch_rows(ui, &index, (class, k), (&names, &legend), &mut acts);
            self.gallery.index = Some(index);
        }
        for act in acts {
            match act {
                Act::Search => self.search_patches(key.clone()),
                Act::Cancel => {
                    self.gallery.cancel();
                }
                Act::Class(class) => self.select(class, None),
                Act::Prototype(k) => {
                    self.select(class, k);
                    if k.is_some() {
                        self.settings.mode = Mode::Similarity;
                    }
                }
                Act::Go(found) => {
                    self.show_image(found.image);
                    self.canvas.target = Some((found.image, glam::vec2(found.at[0], found.at[1])));
                }
            }
        }
    }

    /// How far the search is, and what can be done about it.
    fn search_state(&self, ui: &mut Ui, key: &Key, acts: &mut Vec<Act>) {
        let gallery = &self.gallery;
        let weak = |text: String| RichText::new(text).small().weak();
        if let Some(problem) = &gallery.problem {
            ui.label(RichText::new(problem).small().color(Color32::from_rgb(214, 70, 58)));
        }
        let total = key.1.len();
        let index = gallery.index.as_ref();
        let own = gallery.search.as_ref().is_some_and(|(search, _)| search.0 == key.0);
        if gallery.is_searching() && own {
            let [done, of] = index.map_or([0, total], |index| index.images);
            ui.horizontal(|ui| {
                ui.label(weak(format!("{done} of {}", counted(of, "image"))));
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if ui.small_button("Cancel").clicked() {
                        acts.push(Act::Cancel);
                    }
                    let bar = ProgressBar::new(done as f32 / of.max(1) as f32);
                    ui.add(bar.desired_height(6.0).desired_width(ui.available_width()));
                });
            });
            return;
        }
        let searched = gallery.search.as_ref().filter(|(search, _)| search.0 == key.0);
        let whole = searched.is_some_and(|(search, _)| search == key)
            && index.is_some_and(|index| index.images == [total; 2]);
        if whole {
            let failed = index.map_or(0, |index| index.failed);
            let mut text = format!("nearest patches of {}", counted(total - failed, "image"));
            if failed > 0 {
                text += &format!("; {failed} could not be read");
            }
            ui.label(weak(text));
        } else {
            if searched.is_none() {
                ui.weak("Finds the patches of all opened images that are nearest to each prototype, beside the window.");
            }
            let text = if searched.is_some() { "Look through the rest of " } else { "Look through " };
            if ui.button(format!("{text}{}", counted(total, "image"))).clicked() {
                acts.push(Act::Search);
            }
        }
    }

    /// A row of patches for each prototype; all patches of the one that is selected.
    fn patch_rows(
        &mut self,
        ui: &mut Ui,
        index: &Index,
        (class, selected): (usize, Option<usize>),
        (names, legend): (&[String], &Legend),
        acts: &mut Vec<Act>,
    ) {
        let k = legend.num_prototypes();
        let usage = self.class_usage(class, k);
        ScrollArea::vertical().id_salt("gallery").auto_shrink([false, false]).show(ui, |ui| {
            for row in (0..k).filter(|&row| selected.is_none_or(|k| k == row)) {
                ui.horizontal(|ui| {
                    dot(ui, legend.prototype(class, row));
                    let text = format!("prototype {row}");
                    let hint = if selected.is_some() {
                        "click: all prototypes"
                    } else {
                        "click: this one alone, as similarity"
                    };
                    if ui.selectable_label(selected == Some(row), text).on_hover_text(hint).clicked() {
                        acts.push(Act::Prototype((selected != Some(row)).then_some(row)));
                    }
                    if let Some(usage) = &usage {
                        let about = "of the class's pixels in the images that were analysed";
                        ui.label(RichText::new(percent(usage[row])).small().weak()).on_hover_text(about);
                    }
                });
                let found = index.best.get(class * k + row).into_iter().flatten();
                // Images may have been closed since.
                let found: Vec<Found> =
                    found.filter(|patch| self.album.get(patch.image).is_some()).copied().collect();
                if found.is_empty() {
                    ui.weak("no patch yet");
                } else if selected.is_some() {
                    ui.horizontal_wrapped(|ui| {
                        self.patches(ui, &found, class, names, acts, legend.prototype(class, row))
                    });
                } else {
                    ScrollArea::horizontal().id_salt(("patches", row)).auto_shrink([false, true]).show(
                        ui,
                        |ui| {
                            ui.horizontal(|ui| {
                                self.patches(ui, &found, class, names, acts, legend.prototype(class, row))
                            });
                        },
                    );
                }
                ui.add_space(4.0);
            }
        });
    }

    /// Share of each prototype in the class's pixels, over all that was analysed.
    fn class_usage(&self, class: usize, k: usize) -> Option<Vec<f64>> {
        let tally = self.tallies.get(self.model?)?;
        let (counts, images) = tally.sum(self.album.entries().iter().map(|entry| entry.id));
        let own = counts.get(class * k..(class + 1) * k)?;
        let total: u64 = own.iter().sum();
        (images > 0).then(|| own.iter().map(|&n| n as f64 / total.max(1) as f64).collect())
    }

    /// Patches side by side.
    fn patches(
        &mut self,
        ui: &mut Ui,
        found: &[Found],
        class: usize,
        names: &[String],
        acts: &mut Vec<Act>,
        [r, g, b]: [u8; 3],
    ) {
        ui.spacing_mut().item_spacing = vec2(5.0, 5.0);
        let color = Color32::from_rgb(r, g, b);
        let mut missing: BTreeMap<ImageId, Vec<Place>> = BTreeMap::new();
        for patch in found {
            let (rect, response) = ui.allocate_exact_size(vec2(SIDE, SIDE), Sense::click());
            if !ui.is_rect_visible(rect) {
                continue;
            }
            let place = patch.place();
            let name = self.album.get(patch.image).map_or("", |entry| entry.name.as_str());
            // Near to the prototype, but nearer to one of another class.
            let other = names.get(patch.label.0).filter(|_| patch.label.0 != class);
            let text = match other {
                Some(other) => format!("{name}\ncosine {:.3}, but taken for {other}", patch.cosine),
                None => format!("{name}\ncosine {:.3}", patch.cosine),
            };
            response.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::Button, true, format!("patch of {name}"))
            });
            ui.painter().rect_filled(rect, 4.0, ui.visuals().extreme_bg_color);
            if let Some(texture) = self.gallery.cuts.get(&place) {
                let tint = if other.is_some() { Color32::from_white_alpha(90) } else { Color32::WHITE };
                let image =
                    egui::Image::from_texture((texture.id(), rect.size())).corner_radius(4.0).tint(tint);
                image.paint_at(ui, rect);
            } else if self.gallery.asked.insert(place) {
                missing.entry(patch.image).or_default().push(place);
            }
            let bar = Rect::from_min_max(rect.left_bottom() - vec2(0.0, 4.0), rect.right_bottom());
            ui.painter().rect_filled(
                bar,
                egui::CornerRadius { sw: 4, se: 4, ..egui::CornerRadius::ZERO },
                color,
            );
            if response.hovered() {
                let stroke = Stroke::new(2.0, ui.visuals().strong_text_color());
                ui.painter().rect_stroke(rect, 4.0, stroke, StrokeKind::Inside);
            }
            if response.on_hover_text(text).clicked() {
                acts.push(Act::Go(*patch));
            }
        }
        let Some(searcher) = &self.gallery.searcher else { return };
        for (image, places) in missing {
            if let Some(entry) = self.album.get(image) {
                searcher.cut(image, entry.origin.clone(), places);
            }
        }
    }

    /// Whether the gallery is shown and waits for something.
    #[must_use]
    pub(super) fn gallery_waits(&self) -> bool {
        self.settings.tab == Tab::Gallery && self.settings.show_side && self.gallery.is_busy()
    }
}

/// The choice of a class.
fn gallery_head(ui: &mut Ui, names: &[String], [class, k]: [usize; 2], legend: &Legend, acts: &mut Vec<Act>) {
    ui.horizontal(|ui| {
        dot(ui, legend.class(class));
        let combo = ComboBox::from_id_salt("gallery class").selected_text(&names[class]).height(360.0);
        let shown = combo.show_ui(ui, |ui| {
            for (index, name) in names.iter().enumerate() {
                if ui.selectable_label(index == class, name).clicked() {
                    acts.push(Act::Class(index));
                }
            }
        });
        named(&shown.response, "class of the gallery");
        if k != usize::MAX && ui.small_button("all prototypes").clicked() {
            acts.push(Act::Prototype(None));
        }
    });
}
