//! What the tests of several modules share: throw-away folders, an open device and the path of the reference data.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::gpu::Gpu;

/// A folder of its own for one test, removed when the value is dropped.
pub struct TempDir(PathBuf);

impl TempDir {
    /// A fresh, empty folder whose name starts with `label`.
    pub fn new(label: &str) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("protoseg-{label}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary folder can be created");
        Self(path)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path inside the folder; its parent folders are created.
    pub fn join(&self, relative: &str) -> PathBuf {
        let path = self.0.join(relative);
        let parent = path.parent().expect("a path inside the folder has a parent");
        std::fs::create_dir_all(parent).expect("a folder inside the temporary folder can be created");
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A folder left behind in the system's temporary folder is no reason to fail a test.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The device that `PROTOSEG_ADAPTER` names, or the fastest one.
pub fn gpu() -> Arc<Gpu> {
    let wanted = std::env::var("PROTOSEG_ADAPTER").ok();
    pollster::block_on(Gpu::open(wanted.as_deref(), None)).expect("a WebGPU adapter")
}

/// The file or folder `relative` of the reference data (`PROTOSEG_SHARED`, default `../shared`), or `None` with a
/// printed reason where it is absent.
pub fn shared(relative: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PROTOSEG_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join(relative);
    if path.exists() {
        return Some(path);
    }
    println!(
        "skipped: `{}` is absent; set PROTOSEG_SHARED to the folder of the reference data",
        path.display()
    );
    None
}
