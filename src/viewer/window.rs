//! The window of the desktop.

use std::sync::{Arc, Mutex, PoisonError};

use eframe::egui_wgpu::{WgpuConfiguration, WgpuSetup, WgpuSetupExisting};
use winit::event_loop::EventLoop;

use crate::error::{Error, Result};
use crate::gpu::{Gpu, WindowParts};

use super::shot::{self, Taken};
use super::{Options, app, disk};

/// Smallest window that everything fits into, in points.
const MIN_SIZE: [f32; 2] = [800.0, 500.0];

/// Opens the window and stays until it is closed; returns what the screenshot was of, if one was wanted.
///
/// # Errors
/// [`Error::Device`] where there is no display or no window can be made; with a screenshot, whatever kept it from being taken.
pub fn run(gpu: &Arc<Gpu>, mut options: Options) -> Result<Option<Taken>> {
    let no_window = |e: String| {
        let remedy = "start it in a desktop session, or under a virtual display such as `xvfb-run`";
        Error::device(format!("no window can be opened ({e})"), remedy)
    };
    let event_loop = EventLoop::with_user_event().build().map_err(|e| no_window(e.to_string()))?;
    let WindowParts { instance, adapter, device, queue } = gpu.window_parts();
    let outcome = Arc::new(Mutex::new(None));
    let wants_shot = options.screenshot.is_some();
    let began = options.began;
    let shot = options.screenshot.take().map(|path| shot::Shot::new(path, began, Arc::clone(&outcome)));
    let sized = options.size.is_some();
    let size = options.size.unwrap_or([1280.0, 800.0]);
    let viewport = egui::ViewportBuilder::default()
        .with_title("protoseg")
        .with_app_id("protoseg")
        .with_inner_size(size)
        .with_min_inner_size(MIN_SIZE)
        .with_drag_and_drop(true);
    let wgpu_options = WgpuConfiguration {
        wgpu_setup: WgpuSetup::Existing(WgpuSetupExisting { instance, adapter, device, queue }),
        ..WgpuConfiguration::default()
    };
    let native = eframe::NativeOptions {
        viewport,
        wgpu_options,
        persist_window: !wants_shot && !sized,
        // Nor are a picture of the window's places those of an earlier one: this file is never there.
        persistence_path: wants_shot
            .then(|| std::env::temp_dir().join("protoseg-no-settings").join("app.ron")),
        // Noise that hides steps in gradients, of which there are none here: a cost at every pixel on a software adapter.
        dithering: false,
        ..eframe::NativeOptions::default()
    };
    let gpu = Arc::clone(gpu);
    let create: eframe::AppCreator<'_> = Box::new(move |creation| {
        let render = creation.wgpu_render_state.clone().ok_or("the window has no renderer")?;
        let (context, storage) = (&creation.egui_ctx, creation.storage);
        Ok(Box::new(app::Viewer::new(
            &gpu,
            Arc::new(disk::Disk),
            options,
            shot,
            context,
            storage,
            Some(render),
        )))
    });
    let mut app = eframe::create_native("protoseg", native, create, &event_loop);
    event_loop.run_app(&mut app).map_err(|e| no_window(e.to_string()))?;
    let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
    match outcome {
        Some(outcome) => outcome.map(Some),
        None if wants_shot => Err(no_window("it was closed before the picture was taken".into())),
        None => Ok(None),
    }
}
