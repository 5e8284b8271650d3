//! Compiled pipelines kept from one start of the program to the next, where driver and `wgpu` can do so (Vulkan).
//!
//! A cache is a convenience: whatever is wrong with the file or its folder, kernels are compiled anew and nothing is said.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::fs_atomic::write_atomic;

/// First bytes of a cache file.
const MAGIC: &[u8] = b"protoseg pipelines 1\n";
/// Bytes of the checksum behind them.
const SUM: usize = 8;

/// The pipeline cache of a device, or nothing at all.
pub(super) struct PipelineCache(Option<Held>);

struct Held {
    cache: wgpu::PipelineCache,
    path: PathBuf,
    /// Bytes of what the file holds.
    saved: Mutex<usize>,
}

impl PipelineCache {
    /// The cache of the adapter `info`, filled from the user's cache folder if that holds one.
    pub fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo) -> Self {
        // Software adapters keep nothing in it: their kernels are compiled by the first dispatch.
        let usable = info.device_type != wgpu::DeviceType::Cpu;
        let path = folder().filter(|_| usable).map(|folder| folder.join(file_name(info)));
        path.map_or(Self(None), |path| Self::at(device, path))
    }

    /// The cache in the file `path`, new if there is none or it is damaged.
    fn at(device: &wgpu::Device, path: PathBuf) -> Self {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return Self(None);
        }
        let data = read(&path);
        let descriptor =
            wgpu::PipelineCacheDescriptor { label: Some("protoseg"), data: data.as_deref(), fallback: true };
        // SAFETY: the data is what `get_data` gave for the same adapter, driver and version of this crate: they are in
        // the file's name, and a checksum guards the content. wgpu and the driver compare their own marks with it too.
        let cache = unsafe { device.create_pipeline_cache(&descriptor) };
        Self(Some(Held { cache, path, saved: Mutex::new(data.map_or(0, |d| d.len())) }))
    }

    /// What pipelines are created with.
    pub fn get(&self) -> Option<&wgpu::PipelineCache> {
        self.0.as_ref().map(|held| &held.cache)
    }

    /// Writes the file if there is more to keep than it holds.
    pub fn save(&self) {
        let Some(held) = &self.0 else { return };
        let Some(data) = held.cache.get_data() else { return };
        let mut saved = held.saved.lock().unwrap_or_else(PoisonError::into_inner);
        if data.len() != *saved && write(&held.path, &data).is_some() {
            *saved = data.len();
        }
    }
}

/// The user's folder for what can be computed again.
fn folder() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = if cfg!(target_os = "windows") {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Caches"))
    } else {
        variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))
    };
    base.map(|base| base.join("protoseg").join("pipelines"))
}

/// One file per adapter, driver and version of this crate.
fn file_name(info: &wgpu::AdapterInfo) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let text = format!("{} {} {} {version}", info.name, info.driver, info.driver_info);
    format!("{:04x}-{:04x}-{:016x}.bin", info.vendor, info.device, checksum(text.as_bytes()))
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The content of a cache file that is whole.
fn read(path: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).ok()?;
    let (sum, data) = bytes.strip_prefix(MAGIC)?.split_at_checked(SUM)?;
    (sum == checksum(data).to_le_bytes()).then(|| data.to_vec())
}

/// Writes a cache file; `None` where that is not possible.
fn write(path: &Path, data: &[u8]) -> Option<()> {
    std::fs::create_dir_all(path.parent()?).ok()?;
    write_atomic(path, &[MAGIC, &checksum(data).to_le_bytes(), data].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn a_device_takes_back_what_it_gave() {
        let gpu = crate::testing::gpu();
        let folder = TempDir::new("pipelines");
        let path = folder.path().join("cache.bin");
        let first = PipelineCache::at(&gpu.device, path.clone());
        first.save();
        if first.get().is_none() || !path.exists() {
            println!("skipped: `{}` keeps no pipelines", gpu.name());
            return;
        }
        let kept = read(&path).expect("a whole file");
        for damaged in [false, true] {
            if damaged {
                // Whole by our own marks, and nothing that the driver wrote: it has to start anew.
                write(&path, b"no pipelines at all").expect("writable");
            }
            let again = PipelineCache::at(&gpu.device, path.clone());
            assert!(again.get().is_some());
            again.save();
            gpu.check().expect("nothing is said");
            assert_eq!(read(&path).expect("a whole file").len(), kept.len());
        }
    }

    #[test]
    fn a_file_comes_back_whole_or_not_at_all() {
        let folder = TempDir::new("pipelines");
        let path = folder.path().join("new").join("cache.bin");
        assert_eq!(read(&path), None);
        write(&path, b"compiled").expect("a folder that can be made");
        assert_eq!(read(&path).as_deref(), Some(&b"compiled"[..]));
        let whole = std::fs::read(&path).expect("the file");
        for change in [0, MAGIC.len(), whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[change] ^= 1;
            std::fs::write(&path, bytes).expect("writable");
            assert_eq!(read(&path), None, "byte {change} is damaged");
        }
        for length in [0, MAGIC.len(), MAGIC.len() + SUM - 1, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).expect("writable");
            assert_eq!(read(&path), None, "cut off after {length} bytes");
        }
        // A folder where the file should be: nothing is written, nothing is said.
        assert_eq!(write(folder.path(), b"compiled"), None);
    }
}
