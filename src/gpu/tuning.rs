//! Tiles measured on this device: kept in memory, and natively in a file of the user's cache folder, one per adapter, driver,
//! family of kernels and version of this crate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::fs_atomic::write_atomic;

use super::tiles::{Gemm, Tile};

/// What was measured so far, and whether more is to be.
#[derive(Debug, Default)]
pub(super) struct Tuning(Mutex<Option<Known>>);

#[derive(Debug)]
struct Known {
    tiles: BTreeMap<Gemm, Tile>,
    /// Where they are kept; nowhere on the web and where the system names no folder.
    file: Option<PathBuf>,
}

impl Tuning {
    /// Begins with what `file` holds.
    pub fn start(&self, file: Option<PathBuf>) {
        let tiles = file.as_deref().map(load).unwrap_or_default();
        *self.lock() = Some(Known { tiles, file });
    }

    /// What is known, `None` if nothing is to be measured.
    pub fn known(&self) -> Option<BTreeMap<Gemm, Tile>> {
        self.lock().as_ref().map(|known| known.tiles.clone())
    }

    /// Adds what was measured and saves it.
    pub fn add(&self, found: BTreeMap<Gemm, Tile>) -> Result<()> {
        let mut lock = self.lock();
        let Some(known) = lock.as_mut() else { return Ok(()) };
        known.tiles.extend(found);
        match &known.file {
            Some(file) => save(file, &known.tiles),
            None => Ok(()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cache file for what `identity` describes, or `None` where there is no folder for it.
pub(super) fn file(identity: &str) -> Option<PathBuf> {
    let name = format!("tiles-{:016x}.json", hash(identity));
    folder().map(|folder| folder.join("protoseg").join(name))
}

/// The user's folder for what can be computed again.
fn folder() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if cfg!(target_arch = "wasm32") {
        None
    } else if cfg!(windows) {
        var("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        var("HOME").map(|home| home.join("Library/Caches"))
    } else {
        // The XDG rule: a relative path counts as none.
        let named = var("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        named.or_else(|| var("HOME").map(|home| home.join(".cache")))
    }
}

/// FNV-1a: the standard library's hash may differ from one version to the next.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// What the file holds; nothing if it is absent or damaged, since all of it can be measured again.
fn load(file: &Path) -> BTreeMap<Gemm, Tile> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    serde_json::from_str::<Vec<(Gemm, Tile)>>(&text).map(BTreeMap::from_iter).unwrap_or_default()
}

fn save(file: &Path, tiles: &BTreeMap<Gemm, Tile>) -> Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create the cache folder", folder, e))?;
    }
    let text = serde_json::to_string_pretty(&tiles.iter().collect::<Vec<_>>())
        .map_err(|e| Error::device(format!("the measured tiles are no JSON: {e}"), "report this"))?;
    write_atomic(file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::GemmKind;
    use crate::testing::TempDir;

    #[test]
    fn what_was_measured_is_found_again() {
        let temp = TempDir::new("tuning");
        let file = temp.path().join("below/tiles.json");
        let gemm = Gemm { rows: 7, columns: 8, depth: 9, kind: GemmKind::Match };
        let found = BTreeMap::from([(gemm, Tile::Wide)]);
        let tuning = Tuning::default();
        tuning.add(found.clone()).expect("nothing is kept before the start");
        assert_eq!(tuning.known(), None);
        tuning.start(Some(file.clone()));
        tuning.add(found.clone()).expect("a folder that can be made");
        let again = Tuning::default();
        again.start(Some(file.clone()));
        assert_eq!(again.known(), Some(found));
        std::fs::write(&file, "damaged").expect("writable");
        again.start(Some(file));
        assert_eq!(again.known(), Some(BTreeMap::new()));
    }

    #[test]
    fn files_are_told_apart_by_what_they_are_for() {
        assert_ne!(hash("a driver 1.0"), hash("a driver 1.1"));
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
    }
}
