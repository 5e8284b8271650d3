//! For unit tests: folders that go away again.

use std::path::{Path, PathBuf};

/// An empty folder that is removed at the end of the test.
pub struct TempDir(PathBuf);

impl TempDir {
    /// `name` is the test's own.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("protoseg-web-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Left behind, it is in the way of nothing.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
