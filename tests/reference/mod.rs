//! What integration tests share: the adapter, and the path of the reference data.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protoseg::gpu::{Gpu, Tier};

/// The adapter that `PROTOSEG_ADAPTER` names, or the fastest.
pub fn gpu() -> Arc<Gpu> {
    gpu_of(None)
}

/// The same, lowered to `tier`.
pub fn gpu_of(tier: Option<Tier>) -> Arc<Gpu> {
    let wanted = std::env::var("PROTOSEG_ADAPTER").ok();
    pollster::block_on(Gpu::open(wanted.as_deref(), tier)).expect("a WebGPU adapter")
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

/// A folder of its own for one test, removed when the value is dropped.
pub struct TempDir(PathBuf);

impl TempDir {
    /// A fresh folder whose name holds `label`, which must differ from test to test.
    pub fn new(label: &str) -> Self {
        let path = std::env::temp_dir().join(format!("protoseg-{label}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary folder can be created");
        Self(path)
    }

    /// A path inside the folder.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A folder left behind in the system's temporary folder is no reason to fail a test.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The safetensors files in a folder of the reference data, sorted; none if it is absent.
pub fn shared_files(folder: &str) -> Vec<PathBuf> {
    let Some(folder) = shared(folder) else { return Vec::new() };
    let entries = std::fs::read_dir(&folder).expect("a readable folder");
    let paths = entries.map(|entry| entry.expect("a readable entry").path());
    let mut files: Vec<_> = paths.filter(|p| p.extension().is_some_and(|e| e == "safetensors")).collect();
    files.sort();
    files
}
