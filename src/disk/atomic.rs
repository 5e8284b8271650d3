//! Writing a file by way of another beside it.

use std::fs;
use std::io::{Error, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Links that are followed before they count as a circle, as on Linux.
const MAX_LINKS: usize = 40;

/// Replaces a file whole or not at all; see [`write_atomic`](crate::fs_atomic::write_atomic).
///
/// # Errors
/// The system's; what `path` held before is then untouched and nothing is left beside it.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    // Two writers of the same path (threads of one process) must not share the temporary name.
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let Some(name) = path.file_name() else {
        return Err(Error::new(ErrorKind::InvalidInput, "the path does not end in a file name"));
    };
    if fs::metadata(path).is_ok_and(|target| !target.is_file() && !target.is_dir()) {
        return fs::File::options().write(true).open(path)?.write_all(bytes);
    }
    let target = follow(path)?;
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary_name = format!(".{}.{}.{number}.part", name.to_string_lossy(), std::process::id());
    let temporary = target.with_file_name(temporary_name);
    let outcome = write_all(&temporary, bytes).and_then(|()| fs::rename(&temporary, &target));
    if outcome.is_err() {
        // The reason that the user needs is the first failure, not that of the cleaning up.
        let _ = fs::remove_file(&temporary);
    }
    outcome
}

/// Where the links at `path` lead, if it is one; the end need not exist.
fn follow(path: &Path) -> Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        // An error says that this is no link, or that nothing is there: writing tells which errors matter.
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(Error::new(ErrorKind::InvalidInput, "its links lead in a circle"))
}

fn write_all(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    // Without this a power cut just after the rename can leave an empty file under the final name.
    file.sync_all()
}
