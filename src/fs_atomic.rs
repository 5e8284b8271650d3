//! Files that are either the old ones or the new ones, never half of each.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, Result};

/// Writes `bytes` to `path` by way of a file beside it that is renamed at the end.
///
/// # Errors
/// [`Error::Io`] where the folder is missing or not writable or the disk is full; what `path` held before is then
/// untouched and nothing is left beside it.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    // Two writers of the same path (threads of one process) must not share the temporary name.
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let path = path.as_ref();
    let Some(name) = path.file_name() else {
        let problem =
            std::io::Error::new(std::io::ErrorKind::InvalidInput, "the path does not end in a file name");
        return Err(Error::io("write the file", path, problem));
    };
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary_name = format!(".{}.{}.{number}.part", name.to_string_lossy(), std::process::id());
    let temporary = path.with_file_name(temporary_name);
    let outcome = write_all(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    outcome.map_err(|source| {
        // The reason that the user needs is the first failure, not that of the cleaning up.
        let _ = std::fs::remove_file(&temporary);
        Error::io("write the file", path, source)
    })
}

fn write_all(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    file.write_all(bytes)?;
    // Without this a power cut just after the rename can leave an empty file under the final name.
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    fn names(dir: &TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(dir.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn replaces_the_old_file_and_leaves_nothing_beside_it() {
        let dir = TempDir::new("atomic");
        let path = dir.join("model.bin");
        write_atomic(&path, b"old").unwrap();
        write_atomic(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(names(&dir), ["model.bin"]);
    }

    #[test]
    fn a_failure_names_the_target_and_keeps_what_was_there() {
        let dir = TempDir::new("atomic");
        let missing = dir.path().join("missing/model.bin");
        let message = write_atomic(&missing, b"new").unwrap_err().to_string();
        assert!(message.contains("missing/model.bin") && !message.contains(".part"), "{message}");

        let occupied = dir.join("occupied/keep.txt");
        std::fs::write(&occupied, b"kept").unwrap();
        // A folder that is not empty cannot be replaced by a file, whoever runs the test.
        write_atomic(dir.path().join("occupied"), b"new").unwrap_err();
        assert_eq!(std::fs::read(&occupied).unwrap(), b"kept");
        assert_eq!(names(&dir), ["occupied"]);
    }
}
