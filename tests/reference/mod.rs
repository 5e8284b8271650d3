//! What integration tests share: the adapter, and the path of the reference data.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protoseg::gpu::Gpu;

/// The adapter that `PROTOSEG_ADAPTER` names, or the fastest.
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

/// The safetensors files in a folder of the reference data, sorted; none if it is absent.
pub fn shared_files(folder: &str) -> Vec<PathBuf> {
    let Some(folder) = shared(folder) else { return Vec::new() };
    let entries = std::fs::read_dir(&folder).expect("a readable folder");
    let paths = entries.map(|entry| entry.expect("a readable entry").path());
    let mut files: Vec<_> = paths.filter(|p| p.extension().is_some_and(|e| e == "safetensors")).collect();
    files.sort();
    files
}
