//! The browser: the viewer in a canvas of a web page, and what the page's own script calls.
//!
//! Nothing here asks the network for anything. The script gives bytes, which lie in the page's own memory
//! ([`disk`](crate::disk)); what is saved becomes a download.

mod files;
mod page;
mod selftest;

use wasm_bindgen::JsValue;

pub use page::Page;
pub use selftest::{selftest, verify};

/// A JavaScript `Error` whose `name` the script tells cases apart by.
fn error(name: &str, message: &str) -> JsValue {
    let error = js_sys::Error::new(message);
    error.set_name(name);
    error.into()
}

/// What went wrong, as a JavaScript `Error`.
fn failed(problem: impl ToString) -> JsValue {
    error("Failed", &problem.to_string())
}
