//! Files that are either the old ones or the new ones, never half of each.

use std::path::Path;

use crate::disk;
use crate::error::{Error, Result};

/// Writes `bytes` to `path` by way of a file beside it that is renamed at the end. A link stays, and the file that it
/// leads to is replaced; what is no file (a pipe, a device) is written to as it is.
///
/// # Errors
/// [`Error::Io`] where the folder is missing or not writable or the disk is full; what `path` held before is then
/// untouched and nothing is left beside it.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    disk::write(path, bytes).map_err(|source| Error::io("write the file", path, source))
}

/// Removes what a program that was killed while it wrote into `folder` has left there. For folders that nobody else writes
/// to now; what cannot be removed stays.
pub fn remove_leftovers(folder: &Path) {
    let entries = disk::list(folder).unwrap_or_default();
    for path in entries.iter().filter(|path| is_leftover(path)) {
        let _ = disk::remove(path);
    }
}

/// Whether `path` is called as the temporary files of [`write_atomic`] are: `.NAME.PROCESS.NUMBER.part`.
#[must_use]
pub fn is_leftover(path: &Path) -> bool {
    let Some(inner) =
        path.file_name().and_then(|name| name.to_str()?.strip_prefix('.')?.strip_suffix(".part"))
    else {
        return false;
    };
    let mut parts = inner.rsplitn(3, '.');
    let number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u32>().is_ok());
    number(parts.next()) && number(parts.next()) && parts.next().is_some()
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
    fn leftovers_are_known_by_their_names() {
        let dir = TempDir::new("atomic");
        for name in
            [".m.safetensors.31.0.part", ".m.31.4294967295.part", "m.part", ".m.part", ".m.x.0.part", "m"]
        {
            std::fs::write(dir.join(name), "").unwrap();
        }
        remove_leftovers(dir.path());
        let mut left = names(&dir);
        left.sort();
        assert_eq!(left, [".m.part", ".m.x.0.part", "m", "m.part"]);
        remove_leftovers(&dir.path().join("missing"));
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

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_leads_to_the_new_file() {
        use std::os::unix::fs::symlink;
        let dir = TempDir::new("atomic");
        let file = dir.join("disk/model.bin");
        std::fs::write(&file, b"old").unwrap();
        symlink("disk/model.bin", dir.path().join("near")).unwrap();
        symlink(dir.path().join("near"), dir.path().join("far")).unwrap();
        write_atomic(dir.path().join("far"), b"new").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        std::fs::remove_file(&file).unwrap();
        write_atomic(dir.path().join("near"), b"again").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"again");
        assert!(["near", "far"].iter().all(|link| dir.path().join(link).is_symlink()));
        assert_eq!(std::fs::read_dir(dir.path().join("disk")).unwrap().count(), 1);
        symlink("circle", dir.path().join("circle")).unwrap();
        let message = write_atomic(dir.path().join("circle"), b"new").unwrap_err().to_string();
        assert!(message.contains("circle`") && message.contains("lead in a circle"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_written_to_and_stays_a_pipe() {
        use std::os::unix::fs::FileTypeExt;
        let dir = TempDir::new("atomic");
        let path = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let reader = std::thread::spawn({
            let path = path.clone();
            move || std::fs::read(path).unwrap()
        });
        write_atomic(&path, b"new").unwrap();
        assert!(std::fs::metadata(&path).unwrap().file_type().is_fifo());
        assert_eq!(reader.join().unwrap(), b"new");
        assert_eq!(names(&dir), ["pipe"]);
    }
}
