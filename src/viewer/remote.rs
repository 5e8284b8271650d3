//! What a page around the window asks of it and tells it.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::infer::Maps;

use super::album::Origin;
use super::app::{SCENES, Viewer};

/// What the window shows, for the page around it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct State {
    /// Adapter, backend and driver.
    pub adapter: String,
    /// Whether something is being read, analysed or searched.
    pub busy: bool,
    /// Whether the device is lost: nothing can be computed or drawn any more.
    pub lost: bool,
    /// The oldest error that is shown.
    pub error: Option<String>,
    /// Kernels that run for the first time.
    pub work: Option<WorkState>,
    /// The model whose colours are shown.
    pub model: Option<ModelState>,
    /// The image that is shown.
    pub image: Option<ImageState>,
    /// Seconds that the shown analysis took.
    pub seconds: Option<f64>,
    /// Whether the shown image is coloured.
    pub colored: bool,
    /// Of the shown image against its labels.
    pub miou: Option<f64>,
    /// What is under the pointer or the pin.
    pub hover: Option<HoverState>,
    /// The run of this window.
    pub training: Option<TrainingState>,
}

/// How far a first run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkState {
    /// In words.
    pub what: &'static str,
    /// Dispatches that ran.
    pub done: u32,
    /// All of them.
    pub of: u32,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelState {
    /// Short name.
    pub name: String,
    /// Of its file.
    pub bytes: u64,
    /// Names of its classes.
    pub classes: Vec<String>,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageState {
    /// Short name.
    pub name: String,
    /// Series and number of a drawn scene.
    pub scene: Option<[u32; 2]>,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Whether it came with labels.
    pub labelled: bool,
}

/// A pixel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HoverState {
    /// Column of the image as analysed.
    pub x: usize,
    /// Row.
    pub y: usize,
    /// Name of the predicted class.
    pub class: String,
    /// Its nearest prototype, from 0.
    pub prototype: usize,
    /// Cosine to that.
    pub cosine: f32,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainingState {
    /// Steps done.
    pub step: u64,
    /// Steps wanted.
    pub steps: u64,
    /// Total loss of the last logged step.
    pub loss: Option<f64>,
    /// Of the last evaluation.
    pub miou: Option<f64>,
    /// Whether it is over.
    pub ended: bool,
    /// What ended it, if that was an error.
    pub error: Option<String>,
}

impl Viewer {
    /// What the window shows now.
    #[must_use]
    pub fn state(&mut self) -> State {
        let image = self.image_state();
        let analysis = self.canvas.analysis();
        let model = self.shown_model();
        let names = |model: &super::app::Model| -> Vec<String> {
            let classes = model.info.iter().flat_map(|info| &info.spec.classes.classes);
            classes.map(|class| class.name.clone()).collect()
        };
        State {
            adapter: self.gpu.name().to_owned(),
            busy: self.is_busy() || self.canvas.waits() || self.thumbs.waits(),
            lost: self.gpu.is_lost(),
            error: self.toasts.first_failure().map(str::to_owned),
            work: self.gpu.first_run().map(|[done, of]| WorkState { what: "compiling kernels", done, of }),
            model: model.map(|model| ModelState {
                name: model.name.clone(),
                bytes: model.info.as_ref().map_or(0, |info| info.bytes),
                classes: names(model),
            }),
            image,
            seconds: analysis.map(|analysis| analysis.seconds),
            colored: analysis.is_some(),
            miou: analysis.and_then(|analysis| analysis.counts.miou()),
            hover: self.canvas.pixel.as_ref().map(|(pixel, id)| {
                let model = self.models.iter().find(|model| model.id == *id);
                let class = model.map(names).and_then(|names| names.get(pixel.class).cloned());
                HoverState {
                    x: pixel.at[0],
                    y: pixel.at[1],
                    class: class.unwrap_or_default(),
                    prototype: pixel.prototype,
                    cosine: pixel.cosine,
                }
            }),
            training: self.training.state(),
        }
    }

    fn image_state(&mut self) -> Option<ImageState> {
        let entry = self.album.get(self.current?)?;
        let picture = self.pictures.get(&entry.id)?;
        let scene = match entry.origin {
            Origin::Scene { seed, index } => Some([seed, index]),
            _ => None,
        };
        let [height, width] = picture.image_size();
        let labelled = picture.truth.is_some();
        Some(ImageState { name: entry.name.clone(), scene, width, height, labelled })
    }

    /// Shows scene number `index` of the series `seed`, which is drawn, and opens its series with it.
    pub fn show_scene(&mut self, seed: u32, index: u32) {
        self.album.add((0..SCENES).map(|index| Origin::Scene { seed, index }));
        if let Some(id) = self.album.add([Origin::Scene { seed, index }]) {
            self.show_image(id);
        }
        self.context.request_repaint();
    }

    /// The result that is shown, on the device.
    #[must_use]
    pub fn shown_maps(&self) -> Option<Arc<Maps>> {
        self.canvas.analysis().map(|analysis| Arc::clone(&analysis.maps))
    }

    /// Opens a configuration in the training panel and starts its run in the folder `out`.
    pub fn train(&mut self, config: &Path, out: &Path) {
        self.open_config(config);
        self.training.set_out(out);
        self.start_run();
        self.context.request_repaint();
    }

    /// Stops the run with a checkpoint, if one goes.
    pub fn stop_training(&mut self) {
        self.training.stop();
        self.context.request_repaint();
    }
}
