//! One picture of the window itself, for documents and tests.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use egui::{ColorImage, ViewportCommand};
use web_time::{Duration, Instant};

use crate::data::write_rgb_png;
use crate::error::{Error, Result};

use super::app::Viewer;

/// Frames without anything to wait for before the picture is taken: panels settle, textures arrive.
const QUIET_FRAMES: u32 = 12;

/// A picture that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Columns and rows.
    pub size: [usize; 2],
    /// Seconds from the program's begin until the first image was coloured; `None` if none was.
    pub colored: Option<f64>,
}

/// A picture that is to be taken.
pub struct Shot {
    path: PathBuf,
    began: Option<Instant>,
    /// Seconds until the first image was coloured.
    colored: Option<f64>,
    quiet: u32,
    taken: Arc<Mutex<Option<Arc<ColorImage>>>>,
    asked: bool,
    /// What came of it, for the program's exit status.
    outcome: Arc<Mutex<Option<Result<Taken>>>>,
}

impl Shot {
    /// A picture into a PNG file; `outcome` is told how it went.
    #[must_use]
    pub fn new(path: PathBuf, began: Option<Instant>, outcome: Arc<Mutex<Option<Result<Taken>>>>) -> Self {
        Self { path, began, colored: None, quiet: 0, taken: Arc::default(), asked: false, outcome }
    }
}

impl Viewer {
    /// Takes the picture once nothing is being waited for, and closes the window.
    pub(super) fn take_shot(&mut self) {
        let busy = self.is_busy() || self.canvas.waits() || self.thumbs.waits();
        let colored = self.canvas.analysis().is_some();
        let failed = self.toasts.first_failure().map(str::to_owned);
        let Some(shot) = &mut self.shot else { return };
        let context = &self.context;
        // Not at once while something is at work: on a software adapter frames would take the processor from it.
        let pause = if busy { 50 } else { 10 };
        context.request_repaint_after(Duration::from_millis(pause));
        if let Some(problem) = failed {
            shot.end(Err(Error::config(problem.clone(), "nothing was drawn")));
            context.send_viewport_cmd(ViewportCommand::Close);
            return;
        }
        let taken = shot.taken.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(image) = taken {
            let rgb: Vec<u8> = image.pixels.iter().flat_map(|p| [p.r(), p.g(), p.b()]).collect();
            let [width, height] = image.size;
            let taken = Taken { size: [width, height], colored: shot.colored };
            shot.end(write_rgb_png(&shot.path, &rgb, width, height).map(|()| taken));
            context.send_viewport_cmd(ViewportCommand::Close);
            return;
        }
        if let (None, Some(began), true) = (shot.colored, shot.began, colored) {
            // Seen in the frame before this one.
            shot.colored = Some(began.elapsed().as_secs_f64());
        }
        shot.quiet = if busy { 0 } else { shot.quiet + 1 };
        if shot.quiet > QUIET_FRAMES && !shot.asked {
            shot.asked = true;
            let (place, waker) = (Arc::clone(&shot.taken), context.clone());
            context.request_screenshot(move |image| {
                *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(image);
                waker.request_repaint();
            });
        }
    }
}

impl Shot {
    fn end(&self, outcome: Result<Taken>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}
