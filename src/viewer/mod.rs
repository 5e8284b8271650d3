//! The desktop viewer: every pixel in the colour of its prototype, and why.
//!
//! The window is drawn with the device that computes. Workers on threads of their own read images and run networks; the window
//! asks them, goes on drawing, and is told (`news`). Long work on the device goes in short pieces
//! ([`Gpu::share`](crate::gpu::Gpu::share)), so that moving, zooming and pointing never wait for it. What is coloured stays on
//! the device ([`live`](crate::explain::live)).

mod album;
mod app;
mod canvas;
mod curves;
#[cfg(not(target_arch = "wasm32"))]
mod disk;
mod engine;
mod export;
mod files;
mod filmstrip;
mod gallery;
mod health;
mod legend;
mod marks;
mod news;
mod pace;
mod patches;
mod picture;
mod recent;
mod remote;
mod settings;
mod sheet;
mod shortcuts;
mod shot;
mod side;
mod tally;
mod task;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod theme;
mod toasts;
mod toolbar;
mod trainer;
mod training;
mod welcome;
#[cfg(not(target_arch = "wasm32"))]
mod window;

use std::path::PathBuf;

use crate::explain::live::Mode;

pub use app::Viewer;
pub use files::{Choice, Files, Placing};
pub use news::Bell;
pub use remote::{HoverState, ImageState, ModelState, State, TrainingState, WorkState};
pub use settings::{Tab, Theme};
pub use shot::{Shot, Taken};
#[cfg(not(target_arch = "wasm32"))]
pub use window::run;

/// How the window starts.
#[derive(Default)]
pub struct Options {
    /// Models, images, folders, data sets, configurations.
    pub paths: Vec<PathBuf>,
    /// Class to select, by name.
    pub select: Option<String>,
    /// Column and row of the first image to pin.
    pub at: Option<[f32; 2]>,
    /// Series and number of the drawn scene that is shown first.
    pub scene: Option<[u32; 2]>,
    /// What is coloured.
    pub mode: Option<Mode>,
    /// The panel on the right.
    pub tab: Option<Tab>,
    /// Light or dark.
    pub theme: Option<Theme>,
    /// Columns and rows of the window, in points.
    pub size: Option<[f32; 2]>,
    /// When the program began, to tell how long it took until the first image was coloured.
    pub began: Option<web_time::Instant>,
    /// Save one picture of the window there, once all is shown, and close it. Nothing is remembered then.
    pub screenshot: Option<PathBuf>,
}
