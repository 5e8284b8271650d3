//! Files that are either the old ones or the new ones, never half of each.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, Result};

/// Links that are followed before they count as a circle, as on Linux.
const MAX_LINKS: usize = 40;

/// Writes `bytes` to `path` by way of a file beside it that is renamed at the end. A link stays, and the file that it
/// leads to is replaced; what is no file (a pipe, a device) is written to as it is.
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
    let failed = |source| Error::io("write the file", path, source);
    if std::fs::metadata(path).is_ok_and(|target| !target.is_file() && !target.is_dir()) {
        let mut file = std::fs::File::options().write(true).open(path).map_err(failed)?;
        return file.write_all(bytes).map_err(failed);
    }
    let target = follow(path).map_err(failed)?;
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary_name = format!(".{}.{}.{number}.part", name.to_string_lossy(), std::process::id());
    let temporary = target.with_file_name(temporary_name);
    let outcome = write_all(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, &target));
    outcome.map_err(|source| {
        // The reason that the user needs is the first failure, not that of the cleaning up.
        let _ = std::fs::remove_file(&temporary);
        failed(source)
    })
}

/// Removes what a program that was killed while it wrote into `folder` has left there. For folders that nobody else writes
/// to now; what cannot be removed stays.
pub fn remove_leftovers(folder: &Path) {
    let entries = std::fs::read_dir(folder).map_or(Vec::new(), |entries| entries.flatten().collect());
    for path in entries.iter().map(std::fs::DirEntry::path).filter(|path| is_leftover(path)) {
        let _ = std::fs::remove_file(path);
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

/// Where the links at `path` lead, if it is one; the end need not exist.
fn follow(path: &Path) -> std::io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        // An error says that this is no link, or that nothing is there: writing tells which errors matter.
        let Ok(target) = std::fs::read_link(&path) else { return Ok(path) };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "its links lead in a circle"))
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
