//! Files of a web page: chosen by the browser's own dialog, saved as downloads.

use std::path::{Path, PathBuf};

use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Blob, File, HtmlAnchorElement, HtmlInputElement, Url};

use crate::disk;
use crate::error::{Error, Result};
use crate::fs_atomic::write_atomic;
use crate::viewer::{Bell, Choice, Files, Placing};

/// Where chosen files are put.
const CHOSEN: &str = "chosen";

/// The page's own files.
pub struct PageFiles;

impl Files for PageFiles {
    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        disk::read(path).map_err(|e| Error::io("read the file", path, e))
    }

    fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        write_atomic(path, content)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        download(&name, content).map_err(|e| {
            let problem = std::io::Error::other(format!("the browser gives no download ({e:?})"));
            Error::io("save the file", path, problem)
        })
    }

    fn choose(&self, choice: Choice, bell: &Bell) {
        let bell = bell.clone();
        let accept = match choice {
            Choice::Model => ".safetensors",
            Choice::Images => ".png,.jpg,.jpeg",
            Choice::Folder => "",
            Choice::Config => ".toml",
        };
        let told = move |paths: Vec<PathBuf>| bell.chosen(paths);
        let several = matches!(choice, Choice::Images);
        // A page that may not open dialogs has none to wait for.
        let _ = ask(accept, several, matches!(choice, Choice::Folder), told);
    }

    fn place(&self, name: &str) -> Placing {
        let path = PathBuf::from(name);
        Box::pin(async move { Some((path, " (in the browser's downloads)")) })
    }
}

/// Opens the browser's dialog; `told` hears the paths of what was chosen once it lies in the page's memory.
fn ask(
    accept: &str,
    several: bool,
    folder: bool,
    told: impl FnOnce(Vec<PathBuf>) + 'static,
) -> std::result::Result<(), JsValue> {
    let document = web_sys::window().and_then(|window| window.document());
    let document = document.ok_or(JsValue::NULL)?;
    let input: HtmlInputElement = document.create_element("input")?.unchecked_into();
    input.set_type("file");
    input.set_accept(accept);
    input.set_multiple(several);
    if folder {
        input.set_attribute("webkitdirectory", "")?;
    }
    let chosen = input.clone();
    let listen = Closure::once_into_js(move || {
        let list = chosen.files();
        let files: Vec<File> =
            list.iter().flat_map(|list| (0..list.length()).filter_map(|i| list.get(i))).collect();
        spawn_local(async move {
            let paths = keep(files, folder).await;
            told(paths);
        });
    });
    input.add_event_listener_with_callback("change", listen.unchecked_ref())?;
    input.click();
    Ok(())
}

/// Copies files into the page's memory; the paths to open, of a folder its own.
async fn keep(files: Vec<File>, folder: bool) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for file in files {
        let place = js_sys::Reflect::get(&file, &"webkitRelativePath".into());
        let place = place.ok().and_then(|place| place.as_string()).filter(|place| !place.is_empty());
        let path = Path::new(CHOSEN).join(place.unwrap_or_else(|| file.name()));
        let Ok(buffer) = JsFuture::from(file.array_buffer()).await else { continue };
        if write_atomic(&path, &js_sys::Uint8Array::new(&buffer).to_vec()).is_ok() {
            paths.push(path);
        }
    }
    if folder {
        let top = |path: &PathBuf| path.components().take(2).collect::<PathBuf>();
        paths = paths.first().map(top).into_iter().collect();
    }
    paths
}

/// Hands `content` to the person as a file of this name.
fn download(name: &str, content: &[u8]) -> std::result::Result<(), JsValue> {
    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(content));
    let blob = Blob::new_with_u8_array_sequence(&parts)?;
    let url = Url::create_object_url_with_blob(&blob)?;
    let document = web_sys::window().and_then(|window| window.document());
    let anchor: HtmlAnchorElement = document.ok_or(JsValue::NULL)?.create_element("a")?.unchecked_into();
    anchor.set_href(&url);
    anchor.set_download(name);
    anchor.click();
    Url::revoke_object_url(&url)
}
