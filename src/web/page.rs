//! The page's window.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::WebRunner;
use eframe::egui_wgpu::{WgpuConfiguration, WgpuSetup, WgpuSetupExisting};
use serde::Deserialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::HtmlCanvasElement;

use crate::disk;
use crate::fs_atomic::write_atomic;
use crate::gpu::{Gpu, WindowParts};
use crate::synth::write_dataset;
use crate::train::Config;
use crate::viewer::{Options, State, Theme, Viewer};

use super::files::PageFiles;
use super::{error, failed};

/// Columns and rows of the scenes of a drawn data set.
const DRAWN: [usize; 2] = [256, 160];

/// How the window starts.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    theme: Option<String>,
    /// Series of the drawn scenes that are opened.
    seed: Option<u32>,
}

/// The viewer in a canvas.
#[wasm_bindgen]
pub struct Page {
    runner: WebRunner,
    gpu: Arc<Gpu>,
    /// Milliseconds from the navigation to the first coloured picture.
    first: Option<f64>,
}

#[derive(serde::Serialize)]
struct Told {
    #[serde(flatten)]
    state: State,
    first: Option<f64>,
}

/// The device, or an error whose name says which kind of browser this is.
pub async fn open_gpu() -> Result<Arc<Gpu>, JsValue> {
    let navigator = web_sys::window().map(|window| js_sys::Reflect::get(&window, &"navigator".into()));
    let gpu = navigator.and_then(Result::ok).and_then(|n| js_sys::Reflect::get(&n, &"gpu".into()).ok());
    if gpu.is_none_or(|gpu| gpu.is_undefined() || gpu.is_null()) {
        return Err(error("NoWebGpu", "this browser does not offer WebGPU to this page"));
    }
    match Gpu::open(None, None).await {
        Ok(gpu) => Ok(gpu),
        Err(problem) => Err(error("NoAdapter", &problem.to_string())),
    }
}

#[wasm_bindgen]
impl Page {
    /// Opens the device and starts the window in `canvas`. `settings` is JSON: `theme` ("light", "dark"), `seed` (series of the
    /// drawn scenes that are opened).
    ///
    /// # Errors
    /// An `Error` named `NoWebGpu`, `NoAdapter` or `Failed`.
    pub async fn start(canvas: HtmlCanvasElement, settings: &str) -> Result<Page, JsValue> {
        let wanted: Wanted = serde_json::from_str(settings).map_err(failed)?;
        let theme = match wanted.theme.as_deref() {
            Some("light") => Some(Theme::Light),
            Some("dark") => Some(Theme::Dark),
            _ => None,
        };
        let gpu = open_gpu().await?;
        let WindowParts { instance, adapter, device, queue } = gpu.window_parts();
        let web_options = eframe::WebOptions {
            wgpu_options: WgpuConfiguration {
                wgpu_setup: WgpuSetup::Existing(WgpuSetupExisting { instance, adapter, device, queue }),
                ..WgpuConfiguration::default()
            },
            dithering: false,
            ..eframe::WebOptions::default()
        };
        let runner = WebRunner::new();
        let shared = Arc::clone(&gpu);
        let create: eframe::AppCreator<'static> = Box::new(move |creation| {
            let render = creation.wgpu_render_state.clone().ok_or("the window has no renderer")?;
            let scene = wanted.seed.map(|seed| [seed, 0]);
            let options = Options { theme, scene, ..Options::default() };
            let (context, storage) = (&creation.egui_ctx, creation.storage);
            Ok(Box::new(Viewer::new(
                &shared,
                Arc::new(PageFiles),
                options,
                None,
                context,
                storage,
                Some(render),
            )))
        });
        runner.start(canvas, web_options, create).await?;
        Ok(Page { runner, gpu, first: None })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Viewer) -> T) -> Result<T, JsValue> {
        let viewer = self.runner.app_mut::<Viewer>();
        viewer.map(|mut viewer| work(&mut viewer)).ok_or_else(|| {
            let summary = self.runner.panic_summary().map(|summary| summary.message());
            error("Broken", &summary.unwrap_or_else(|| "the window is busy: try again".into()))
        })
    }

    /// Opens models, images, folders and configurations that were put, as if dropped onto the window.
    ///
    /// # Errors
    /// The window broke down.
    pub fn open(&self, paths: Vec<String>) -> Result<(), JsValue> {
        self.with(|viewer| viewer.open_all(paths.into_iter().map(PathBuf::from)))
    }

    /// Draws twelve street scenes that nobody has seen, with labels, and shows the first.
    ///
    /// # Errors
    /// The window broke down.
    pub fn new_scenes(&self) -> Result<(), JsValue> {
        self.with(Viewer::draw_scenes)
    }

    /// Draws scene number `index` of the series `seed` and shows it.
    ///
    /// # Errors
    /// The window broke down.
    pub fn show_scene(&self, seed: u32, index: u32) -> Result<(), JsValue> {
        self.with(|viewer| viewer.show_scene(seed, index))
    }

    /// What the window shows, as JSON; see [`State`], and `first`, the milliseconds from the navigation to the first coloured
    /// picture.
    ///
    /// # Errors
    /// The window broke down; the message says how.
    pub fn state(&mut self) -> Result<String, JsValue> {
        let state = self.with(|viewer| viewer.state())?;
        if state.colored && self.first.is_none() {
            self.first = web_sys::window().and_then(|window| window.performance()).map(|clock| clock.now());
        }
        serde_json::to_string(&Told { state, first: self.first }).map_err(failed)
    }

    /// The class of every pixel of the image that is shown, row by row, as analysed; nothing where none is coloured.
    ///
    /// # Errors
    /// Those of the device.
    pub async fn mask(&self) -> Result<Option<Vec<u16>>, JsValue> {
        let Some(maps) = self.with(|viewer| viewer.shown_maps())? else { return Ok(None) };
        let [height, width] = maps.size;
        let bytes = self.gpu.read(&maps.label, (4 * height * width) as u64).await.map_err(failed)?;
        let labels: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        // Classes lie in the low half.
        Ok(Some(labels.into_iter().map(|label| label as u16).collect()))
    }

    /// Starts the training that a configuration (TOML) describes; its run lies in the folder `out`.
    ///
    /// # Errors
    /// The configuration cannot be used; the window broke down.
    pub fn train(&self, config: &str, out: &str) -> Result<(), JsValue> {
        let path = Path::new("tab.toml");
        write_atomic(path, config.as_bytes()).map_err(failed)?;
        Config::load(path, &[]).map_err(failed)?;
        self.with(|viewer| viewer.train(path, Path::new(out)))
    }

    /// Stops the training with a checkpoint.
    ///
    /// # Errors
    /// The window broke down.
    pub fn stop_training(&self) -> Result<(), JsValue> {
        self.with(Viewer::stop_training)
    }

    /// Destroys the device, which then is lost as after a driver's reset: for tests of what the page makes of it.
    pub fn lose(&self) {
        self.gpu.lose();
    }

    /// Puts a file into the page's memory.
    ///
    /// # Errors
    /// There is a folder of this name, or a file where a folder is needed.
    pub fn put(&self, path: &str, content: &[u8]) -> Result<(), JsValue> {
        write_atomic(path, content).map_err(failed)
    }

    /// A file of the page's memory.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        disk::read(Path::new(path)).ok()
    }

    /// Draws a data set of `images` labelled street scenes of the series `seed` into `folder`.
    ///
    /// # Errors
    /// Those of [`write_dataset`].
    pub fn draw_set(&self, folder: &str, images: usize, seed: u32) -> Result<(), JsValue> {
        write_dataset(Path::new(folder), images, seed, DRAWN[0], DRAWN[1]).map_err(failed)
    }
}
