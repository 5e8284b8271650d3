//! The machine's files.

use std::fs;
use std::io::{Result, Write};
use std::path::{Path, PathBuf};

/// The content of a file.
///
/// # Errors
/// The system's.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path)
}

/// Adds `bytes` to the end of a file, which is made where it is not there.
///
/// # Errors
/// The system's.
pub fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::File::options().create(true).append(true).open(path)?.write_all(bytes)
}

/// Cuts a file to its first `bytes`.
///
/// # Errors
/// The system's.
pub fn cut(path: &Path, bytes: usize) -> Result<()> {
    fs::File::options().write(true).open(path)?.set_len(bytes as u64)
}

/// The paths of what a folder holds, in the system's order.
///
/// # Errors
/// The system's.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
}

/// Makes a folder and those above it; one that is there is left as it is.
///
/// # Errors
/// The system's.
pub fn create_folders(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)
}

/// Removes a file.
///
/// # Errors
/// The system's.
pub fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path)
}

/// Removes a folder and all that it holds.
///
/// # Errors
/// The system's.
pub fn remove_folder(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder)
}

/// Whether there is something.
#[must_use]
pub fn exists(path: &Path) -> bool {
    path.exists()
}

/// Whether there is a file.
#[must_use]
pub fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// Whether there is a folder.
#[must_use]
pub fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// The one path of what is there, whatever way `path` leads to it.
///
/// # Errors
/// The system's, for instance because nothing is there.
pub fn real(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path)
}
