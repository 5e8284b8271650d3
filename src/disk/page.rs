//! The files of a web page: in memory, gone with it.

use std::io::Result;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::memory::{Memory, plain};

static DISK: LazyLock<Mutex<Memory>> = LazyLock::new(Mutex::default);

fn disk() -> MutexGuard<'static, Memory> {
    DISK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As on a machine.
///
/// # Errors
/// There is no such file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    disk().read(path).map(<[u8]>::to_vec)
}

/// Makes a file or replaces it, with the folders above it.
///
/// # Errors
/// There is a folder of this name, or a file where a folder is needed.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    disk().write(path, bytes)
}

/// As on a machine.
///
/// # Errors
/// As [`write`].
pub fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    disk().append(path, bytes)
}

/// As on a machine.
///
/// # Errors
/// There is no such file.
pub fn cut(path: &Path, bytes: usize) -> Result<()> {
    disk().cut(path, bytes)
}

/// As on a machine.
///
/// # Errors
/// There is no such folder.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    disk().list(folder)
}

/// As on a machine.
///
/// # Errors
/// One of them is a file.
pub fn create_folders(folder: &Path) -> Result<()> {
    disk().create_folders(folder)
}

/// As on a machine.
///
/// # Errors
/// There is no such file.
pub fn remove(path: &Path) -> Result<()> {
    disk().remove(path)
}

/// As on a machine.
///
/// # Errors
/// There is no such folder.
pub fn remove_folder(folder: &Path) -> Result<()> {
    disk().remove_folder(folder)
}

/// As on a machine.
#[must_use]
pub fn exists(path: &Path) -> bool {
    is_file(path) || is_folder(path)
}

/// As on a machine.
#[must_use]
pub fn is_file(path: &Path) -> bool {
    disk().is_file(path)
}

/// As on a machine.
#[must_use]
pub fn is_folder(path: &Path) -> bool {
    disk().is_folder(path)
}

/// The path from the page's root.
///
/// # Errors
/// None: a path to nothing is as good.
pub fn real(path: &Path) -> Result<PathBuf> {
    Ok(plain(path))
}
