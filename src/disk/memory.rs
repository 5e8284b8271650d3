//! Files in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::path::{Component, Path, PathBuf};

/// Files by their paths from the root; a folder is there once something is in it or it was made.
#[derive(Default)]
pub struct Memory {
    files: BTreeMap<PathBuf, Vec<u8>>,
    folders: BTreeSet<PathBuf>,
}

/// The path from the root, without detours.
pub fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    out
}

fn missing(path: &Path) -> Error {
    let text = format!("there is no file or folder `{}` in this page", path.display());
    Error::new(ErrorKind::NotFound, text)
}

impl Memory {
    /// The content of a file.
    ///
    /// # Errors
    /// There is none.
    pub fn read(&self, path: &Path) -> Result<&[u8]> {
        self.files.get(&plain(path)).map(Vec::as_slice).ok_or_else(|| missing(path))
    }

    /// Makes a file or replaces it, with the folders above it.
    ///
    /// # Errors
    /// There is a folder of this name, or a file where a folder is needed.
    pub fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.place(path)?.clear();
        self.append(path, bytes)
    }

    /// Adds to the end of a file, which is made where it is not there.
    ///
    /// # Errors
    /// As [`Memory::write`].
    pub fn append(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.place(path)?.extend_from_slice(bytes);
        Ok(())
    }

    fn place(&mut self, path: &Path) -> Result<&mut Vec<u8>> {
        let at = plain(path);
        if self.is_folder(&at) {
            let text = format!("`{}` is a folder", path.display());
            return Err(Error::new(ErrorKind::IsADirectory, text));
        }
        if let Some(parent) = at.parent() {
            self.create_folders(parent)?;
        }
        Ok(self.files.entry(at).or_default())
    }

    /// Cuts a file to its first `bytes`.
    ///
    /// # Errors
    /// There is none.
    pub fn cut(&mut self, path: &Path, bytes: usize) -> Result<()> {
        self.files.get_mut(&plain(path)).ok_or_else(|| missing(path))?.truncate(bytes);
        Ok(())
    }

    /// The paths of what a folder holds, in order; they begin with `folder` as it was given.
    ///
    /// # Errors
    /// There is none.
    pub fn list(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let at = plain(folder);
        if !self.is_folder(&at) {
            return Err(missing(folder));
        }
        let names: BTreeSet<_> = self
            .files
            .keys()
            .chain(&self.folders)
            .filter_map(|path| path.strip_prefix(&at).ok()?.components().next())
            .map(|name| folder.join(name))
            .collect();
        Ok(names.into_iter().collect())
    }

    /// Makes a folder and those above it.
    ///
    /// # Errors
    /// One of them is a file.
    pub fn create_folders(&mut self, folder: &Path) -> Result<()> {
        let at = plain(folder);
        if let Some(file) = at.ancestors().find(|above| self.files.contains_key(*above)) {
            let text = format!("`{}` is a file", file.display());
            return Err(Error::new(ErrorKind::NotADirectory, text));
        }
        self.folders.extend(at.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    /// Removes a file.
    ///
    /// # Errors
    /// There is none.
    pub fn remove(&mut self, path: &Path) -> Result<()> {
        self.files.remove(&plain(path)).map(drop).ok_or_else(|| missing(path))
    }

    /// Removes a folder and all that it holds.
    ///
    /// # Errors
    /// There is none.
    pub fn remove_folder(&mut self, folder: &Path) -> Result<()> {
        let at = plain(folder);
        if !self.is_folder(&at) {
            return Err(missing(folder));
        }
        self.files.retain(|path, _| !path.starts_with(&at));
        self.folders.retain(|path| !path.starts_with(&at));
        Ok(())
    }

    /// Whether there is a file.
    #[must_use]
    pub fn is_file(&self, path: &Path) -> bool {
        self.files.contains_key(&plain(path))
    }

    /// Whether there is a folder; the root always is.
    #[must_use]
    pub fn is_folder(&self, path: &Path) -> bool {
        let at = plain(path);
        at.as_os_str().is_empty() || self.folders.contains(&at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_come_and_go() {
        let mut disk = Memory::default();
        let path = Path::new("run/checkpoints/step-1");
        disk.write(path, b"old").unwrap();
        disk.write(Path::new("/run/./x/../checkpoints/step-1"), b"new").unwrap();
        disk.append(path, b"er").unwrap();
        assert_eq!(disk.read(path).unwrap(), b"newer");
        disk.cut(path, 3).unwrap();
        assert_eq!(disk.read(path).unwrap(), b"new");
        disk.create_folders(Path::new("run/empty")).unwrap();
        disk.append(Path::new("run/log"), b"1").unwrap();
        let run = ["run/checkpoints", "run/empty", "run/log"].map(PathBuf::from);
        assert_eq!(disk.list(Path::new("run")).unwrap(), run);
        assert_eq!(disk.list(Path::new("")).unwrap(), [PathBuf::from("run")]);
        assert!(disk.is_folder(Path::new("run/empty")) && !disk.is_file(Path::new("run/empty")));
        disk.remove(Path::new("run/log")).unwrap();
        disk.remove_folder(Path::new("run/checkpoints")).unwrap();
        assert_eq!(disk.list(Path::new("run")).unwrap(), [PathBuf::from("run/empty")]);
        assert!(!disk.is_file(path));
    }

    #[test]
    fn what_is_not_there_or_something_else_is_an_error() {
        let mut disk = Memory::default();
        disk.write(Path::new("a/b"), b"1").unwrap();
        let kind = |result: Result<()>| result.unwrap_err().kind();
        assert_eq!(kind(disk.read(Path::new("c")).map(drop)), ErrorKind::NotFound);
        assert_eq!(kind(disk.list(Path::new("a/b")).map(drop)), ErrorKind::NotFound);
        assert_eq!(kind(disk.remove(Path::new("a"))), ErrorKind::NotFound);
        assert_eq!(kind(disk.remove_folder(Path::new("z"))), ErrorKind::NotFound);
        assert_eq!(kind(disk.cut(Path::new("z"), 1)), ErrorKind::NotFound);
        assert_eq!(kind(disk.write(Path::new("a"), b"2")), ErrorKind::IsADirectory);
        assert_eq!(kind(disk.write(Path::new("a/b/c"), b"2")), ErrorKind::NotADirectory);
        assert_eq!(disk.read(Path::new("a/b")).unwrap(), b"1", "nothing was lost");
        assert!(disk.list(Path::new("/")).unwrap().contains(&PathBuf::from("/a")));
    }
}
