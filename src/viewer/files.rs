//! Files that are chosen, dropped and saved: all that the window asks of a file system.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use egui::{Align2, Color32, FontId, Id, LayerId, Order, Ui};

use crate::error::Result;

use super::app::Viewer;
use super::news::{Bell, News};
use super::task::spawn;

/// All that the viewer asks of a file system, besides data sets and runs: a browser, which has none, gives its own.
pub trait Files: Send + Sync {
    /// The content of a file.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) where it cannot be read.
    fn read(&self, path: &Path) -> Result<Vec<u8>>;

    /// Writes a file; the old one stays where that fails.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) where it cannot be written.
    fn write(&self, path: &Path, content: &[u8]) -> Result<()>;

    /// Opens a dialog beside the window; what it chooses is told to `bell`.
    fn choose(&self, choice: Choice, bell: &Bell);

    /// Asks beside the window where to save the file of this name: the place and what is to be remarked on it, or nothing if
    /// the person decided otherwise.
    fn place(&self, name: &str) -> Placing;
}

/// A place to save a file at and what is to be remarked on it, once it is known.
pub type Placing = Pin<Box<dyn Future<Output = Option<(PathBuf, &'static str)>> + Send>>;

/// What a dialog is to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A model file.
    Model,
    /// Images.
    Images,
    /// A folder of images, a data set or a run.
    Folder,
    /// A configuration of a training run.
    Config,
}

impl Viewer {
    /// Opens a dialog beside the window; what it chooses is opened.
    pub(super) fn choose(&self, choice: Choice) {
        self.files.choose(choice, &self.bell);
    }

    /// Opens what was dropped, and shows that something could be.
    pub(super) fn take_drops(&mut self, ui: &Ui) {
        let (dropped, hovering) = ui.input(|i| {
            let paths: Vec<PathBuf> =
                i.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect();
            (paths, i.raw.hovered_files.len())
        });
        if hovering > 0 {
            let painter = ui.ctx().layer_painter(LayerId::new(Order::Foreground, Id::unique("drop")));
            let rect = ui.ctx().content_rect();
            painter.rect_filled(rect, 0.0, Color32::from_black_alpha(170));
            let text = "drop images, folders, models, data sets or configurations";
            painter.text(
                rect.center(),
                Align2::CENTER_CENTER,
                text,
                FontId::proportional(22.0),
                Color32::WHITE,
            );
        }
        self.open_all(dropped);
    }
}

/// Asks where to save a file, makes its content and writes it, beside the window; the old file stays where that fails.
pub fn save_as(
    files: &Arc<dyn Files>,
    bell: &Bell,
    name: &str,
    content: impl Future<Output = Result<Vec<u8>>> + Send + 'static,
) {
    let (files, bell, place) = (Arc::clone(files), bell.clone(), files.place(name));
    spawn("save", async move {
        let Some((path, note)) = place.await else { return };
        let content = content.await;
        bell.tell(News::Saved(save(&*files, &path, content).map(|text| text + note)));
    });
}

/// Writes a file, and says so.
///
/// # Errors
/// Those of `content` and of the file system.
pub fn save(files: &dyn Files, path: &Path, content: Result<Vec<u8>>) -> Result<String> {
    files.write(path, &content?)?;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    Ok(format!("saved {}", path.display()))
}
