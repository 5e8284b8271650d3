//! Files and folders: the machine's, or in a browser, which has none, those that the page holds in memory.
//!
//! Data sets, runs and models are read, listed and written by these functions only, so that they work the same in both. (The
//! device's caches of kernels, which a browser has none of, use the machine's files directly.)

#[cfg(not(target_arch = "wasm32"))]
mod atomic;
#[cfg(any(test, target_arch = "wasm32"))]
mod memory;
#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod page;

#[cfg(not(target_arch = "wasm32"))]
pub use atomic::write;
#[cfg(not(target_arch = "wasm32"))]
pub use native::{
    append, create_folders, cut, exists, is_file, is_folder, list, read, real, remove, remove_folder,
};
#[cfg(target_arch = "wasm32")]
pub use page::{
    append, create_folders, cut, exists, is_file, is_folder, list, read, real, remove, remove_folder, write,
};

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// The content of a text file.
///
/// # Errors
/// The system's; a file that is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let problem = || Error::new(ErrorKind::InvalidData, "the file is not UTF-8 text");
    String::from_utf8(read(path)?).map_err(|_| problem())
}
