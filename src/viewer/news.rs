//! What workers tell the window.

use std::path::PathBuf;
use std::sync::Arc;

use egui::{ColorImage, Context};

use crate::error::Result;
use crate::explain::live::Counts;

use super::album::ImageId;
use super::engine::{Analysis, ModelId, ModelInfo};
use super::patches::{Index, Place};
use super::picture::Picture;
use super::trainer::Told;

/// Something that happened beside the window.
pub enum News {
    /// A model file was read, or not.
    Model(ModelId, Result<Box<ModelInfo>>),
    /// An image was read, or not.
    Picture(ImageId, Result<Picture>),
    /// A small picture for the filmstrip.
    Thumb(ImageId, ColorImage),
    /// An image was analysed at this limit of its longer side, or not.
    Analysis(ModelId, ImageId, usize, Result<Box<Analysis>>),
    /// How far the search for patches with this number is.
    Patches(u64, Result<Index>),
    /// A patch's small picture.
    Cut(Place, ColorImage),
    /// An image's pixels were counted: prototypes `[C,K,D]` and their shape beside the counts.
    Counted(ModelId, ImageId, Arc<Vec<f32>>, [usize; 3], Counts),
    /// A training run has something to tell; the number is its model's.
    Run(ModelId, Told),
    /// Files and folders were chosen.
    Chosen(Vec<PathBuf>),
    /// Something was saved, or not; the sentence says what.
    Saved(Result<String>),
}

/// Tells the window, and wakes it.
#[derive(Clone)]
pub struct Bell {
    sender: async_channel::Sender<News>,
    context: Context,
}

impl Bell {
    /// A bell and what is told by it.
    #[must_use]
    pub(super) fn new(context: &Context) -> (Self, async_channel::Receiver<News>) {
        let (sender, receiver) = async_channel::unbounded();
        (Self { sender, context: context.clone() }, receiver)
    }

    /// Tells that these files and folders were chosen.
    pub fn chosen(&self, paths: Vec<PathBuf>) {
        self.tell(News::Chosen(paths));
    }

    /// Tells it; a window that was closed meanwhile hears nothing.
    pub(super) fn tell(&self, news: News) {
        let _ = self.sender.try_send(news);
        self.context.request_repaint();
    }
}
