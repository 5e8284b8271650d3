//! What is seen, saved: pictures, masks, the figure, tables.

mod masks;
mod table;

use std::sync::Arc;

use egui::{Button, Ui};
use glam::vec2;

use crate::error::Result;
use crate::explain::live::{Still, View, read_screen};
use crate::words::counted;

use super::app::{Model, Viewer};
use super::engine::{Analysis, ModelInfo};
use super::files::save_as;
use super::picture::Picture;
use super::toolbar::shortened;

/// What can be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Export {
    Seen,
    Window,
    Classes,
    Prototypes,
    Counts,
    AllCounts,
    Figure,
}

/// What the first picture of the canvas is made of.
struct Shown<'a> {
    model: &'a Model,
    info: &'a ModelInfo,
    analysis: &'a Arc<Analysis>,
}

impl Viewer {
    /// The menu of what can be saved.
    pub(super) fn export_menu(&mut self, ui: &mut Ui) {
        let mut wanted = None;
        ui.menu_button("Export", |ui| {
            ui.set_min_width(250.0);
            let has_image = self.current.is_some_and(|id| self.pictures.values().any(|known| known.id == id));
            let shown = self.shown();
            let has_prototypes =
                shown.as_ref().is_some_and(|shown| shown.info.spec.head.kind.has_prototypes());
            let mut entry = |export, text: &str, possible: bool, missing: &str| {
                if matches!(export, Export::Classes | Export::Counts | Export::Figure) {
                    ui.separator();
                }
                let button = ui.add_enabled(possible, Button::new(text));
                if button.on_disabled_hover_text(missing).clicked() {
                    wanted = Some(export);
                }
            };
            let no_image = "Open an image first.";
            entry(Export::Seen, "Picture at full resolution…   Ctrl+E", has_image, no_image);
            entry(Export::Window, "Picture as in the window…", has_image, no_image);
            let analysed = shown.is_some();
            let not_analysed = "The image is not analysed by a model.";
            let no_prototypes = if analysed { "This model has no prototypes." } else { not_analysed };
            entry(Export::Classes, "Classes as a mask…", analysed, not_analysed);
            entry(Export::Prototypes, "Prototypes in their colours…", has_prototypes, no_prototypes);
            entry(Export::Counts, "Pixel counts, this image…", analysed, not_analysed);
            let images = self.model.map_or(0, |id| self.counted_images(id).len());
            let all = format!("Pixel counts, {}…", counted(images, "analysed image"));
            entry(Export::AllCounts, &all, images > 0, not_analysed);
            let class = shown.as_ref().and_then(|shown| shown.info.spec.classes.classes.get(self.selected.0));
            let name = class.map_or("the class", |class| class.name.as_str());
            let figure = format!("Figure of {}…", shortened(name, 24));
            entry(Export::Figure, &figure, has_prototypes, no_prototypes);
            if wanted.is_some() {
                ui.close();
            }
        });
        if let Some(export) = wanted {
            self.export(export);
        }
    }

    /// Saves what is seen.
    pub(super) fn export_seen(&mut self) {
        if self.current.is_some() {
            self.export(Export::Seen);
        }
    }

    fn export(&mut self, export: Export) {
        let Some(picture) = self.current.and_then(|id| self.pictures.get(&id)).cloned() else { return };
        let done = match export {
            Export::Seen => self.save_seen(&picture),
            Export::Window => self.save_window(&picture),
            Export::Classes | Export::Prototypes => self.save_map(&picture, export),
            Export::Counts | Export::AllCounts => self.save_counts(&picture, export),
            Export::Figure => self.save_figure(&picture),
        };
        if let Err(error) = done {
            self.toasts.fail(error);
        }
    }

    /// What the first picture shows, once it is analysed.
    fn shown(&self) -> Option<Shown<'_>> {
        let analysis = self.canvas.analysis().filter(|analysis| Some(analysis.image) == self.current)?;
        let model = self.models.iter().find(|model| model.id == analysis.model)?;
        Some(Shown { model, info: model.info.as_ref()?, analysis })
    }

    /// A name to propose: after the image, and what it shows.
    fn proposed(&self, picture: &Picture, what: &str, extension: &str) -> String {
        let name = self.album.get(picture.id).map_or("image", |entry| entry.name.as_str());
        file_name(name, what, extension)
    }

    fn save_seen(&self, picture: &Arc<Picture>) -> Result<()> {
        let layer = if self.canvas.hidden { None } else { self.canvas.layer(0) };
        let still = Still::take(&self.gpu, &picture.photo, layer)?;
        let view = View {
            opacity: self.settings.opacity,
            contour: self.settings.contour,
            contour_classes: self.settings.mode == crate::explain::live::Mode::Classes,
            grey: self.settings.grey,
            grid: false,
            ..View::default()
        };
        let size = picture.image_size();
        let name = self.proposed(picture, &self.settings.mode.name().to_lowercase(), "png");
        save_as(
            &self.files,
            &self.bell,
            &name,
            async move { masks::rgb_png(&still.draw(&view, size).await?) },
        );
        Ok(())
    }

    fn save_window(&self, picture: &Picture) -> Result<()> {
        let Some(screen) = self.canvas.screen() else { return Ok(()) };
        let (gpu, still) = (Arc::clone(&self.gpu), screen.still(&self.gpu)?);
        let [rows, columns] = screen.size();
        let points = self.context.pixels_per_point();
        let seen = vec2(self.canvas.rect.width(), self.canvas.rect.height()) * points;
        let size = [(seen.y.ceil() as usize).clamp(1, rows), (seen.x.ceil() as usize).clamp(1, columns)];
        let name = self.proposed(picture, "window", "png");
        save_as(&self.files, &self.bell, &name, async move {
            masks::rgb_png(&read_screen(&gpu, &still, columns, size).await?)
        });
        Ok(())
    }

    fn save_map(&self, picture: &Picture, export: Export) -> Result<()> {
        let Some(Shown { model, info, analysis }) = self.shown() else { return Ok(()) };
        let (gpu, maps) = (Arc::clone(&self.gpu), Arc::clone(&analysis.maps));
        let (to, num_classes) = (picture.image_size(), info.spec.num_classes());
        let legend = model.legend.clone().filter(|_| export == Export::Prototypes);
        let what = if legend.is_some() { "prototype map" } else { "class mask" };
        save_as(&self.files, &self.bell, &self.proposed(picture, what, "png"), async move {
            let labels = masks::labels(&gpu, &maps).await?;
            match legend {
                Some(legend) => masks::prototype_map(&labels, maps.size, to, &legend),
                None => masks::class_mask(&labels, maps.size, to, num_classes),
            }
        });
        Ok(())
    }

    /// The opened images that a model has analysed, in their order.
    fn counted_images(&self, model: super::engine::ModelId) -> Vec<super::album::ImageId> {
        let Some(tally) = self.tallies.get(model) else { return Vec::new() };
        let opened = self.album.entries().iter().map(|entry| entry.id);
        opened.filter(|id| tally.counts.contains_key(id)).collect()
    }

    fn save_counts(&self, picture: &Picture, export: Export) -> Result<()> {
        let Some(model) = self.shown_model() else { return Ok(()) };
        let (Some(info), Some(tally)) = (&model.info, self.tallies.get(model.id)) else { return Ok(()) };
        let all = export == Export::AllCounts;
        let images = if all { self.counted_images(model.id) } else { vec![picture.id] };
        let row = |id| Some((self.album.get(id)?.name.as_str(), tally.counts.get(&id)?));
        let rows: Vec<_> = images.into_iter().filter_map(row).collect();
        let names: Vec<String> = info.spec.classes.classes.iter().map(|class| class.name.clone()).collect();
        let text = table::counts_csv(&rows, &names, info.spec.head.kind.has_prototypes());
        let name = if all {
            file_name(&model.name, "pixels", "csv")
        } else {
            self.proposed(picture, "pixels", "csv")
        };
        save_as(&self.files, &self.bell, &name, async move { Ok(text.into_bytes()) });
        Ok(())
    }

    fn save_figure(&self, picture: &Picture) -> Result<()> {
        let Some(Shown { info, analysis, .. }) = self.shown() else { return Ok(()) };
        let (gpu, maps) = (Arc::clone(&self.gpu), Arc::clone(&analysis.maps));
        let class = self.selected.0.min(info.spec.num_classes() - 1);
        let retrieval = masks::Retrieval {
            spec: info.spec.clone(),
            class,
            image: (*picture.image).clone(),
            name: self.album.get(picture.id).map_or_else(String::new, |entry| entry.name.clone()),
            truth: analysis.truth.clone(),
        };
        let what = format!("{} figure", info.spec.classes.classes[class].name);
        let name = self.proposed(picture, &what, "png");
        save_as(&self.files, &self.bell, &name, async move { retrieval.draw(&gpu, &maps).await });
        Ok(())
    }
}

/// A file name after an image's name without its extension; what a file system or a shell trips over becomes a dash.
fn file_name(name: &str, what: &str, extension: &str) -> String {
    let lower = name.to_lowercase();
    let stem = [".png", ".jpg", ".jpeg"]
        .iter()
        .find_map(|end| lower.ends_with(end).then(|| &name[..name.len() - end.len()]));
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    format!("{} {what}", stem.unwrap_or(name)).chars().map(plain).collect::<String>() + "." + extension
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_are_proposed_after_the_image() {
        assert_eq!(file_name("0006R0.PNG", "ground truth", "png"), "0006R0-ground-truth.png");
        assert_eq!(file_name("scene 3", "Car figure", "png"), "scene-3-Car-figure.png");
        assert_eq!(file_name("straße/3.jpeg", "pixels", "csv"), "straße-3-pixels.csv");
    }
}
