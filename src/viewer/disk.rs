//! The machine's own files, and its dialogs.

use std::path::{Path, PathBuf};

use web_time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::fs_atomic::write_atomic;

use super::files::{Choice, Files, Placing};
use super::news::{Bell, News};
use super::task::spawn;

/// A dialog that ends sooner was not closed by a person: there is none.
const NO_DIALOG: Duration = Duration::from_millis(400);

/// The machine's own files.
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        crate::disk::read(path).map_err(|e| Error::io("read the file", path, e))
    }

    fn write(&self, path: &Path, content: &[u8]) -> Result<()> {
        write_atomic(path, content)
    }

    fn choose(&self, choice: Choice, bell: &Bell) {
        let bell = bell.clone();
        spawn("file dialog", async move {
            let dialog = rfd::AsyncFileDialog::new();
            let paths = |files: Option<Vec<rfd::FileHandle>>| {
                files.unwrap_or_default().iter().map(|file| file.path().to_path_buf()).collect()
            };
            let one = |file: Option<rfd::FileHandle>| file.map(|file| vec![file]);
            let chosen: Vec<PathBuf> = match choice {
                Choice::Model => {
                    let dialog = dialog.set_title("Open a model").add_filter("model", &["safetensors"]);
                    paths(one(dialog.pick_file().await))
                }
                Choice::Images => {
                    let dialog =
                        dialog.set_title("Open images").add_filter("images", &["png", "jpg", "jpeg"]);
                    paths(dialog.pick_files().await)
                }
                Choice::Folder => {
                    paths(one(dialog.set_title("Open a folder or data set").pick_folder().await))
                }
                Choice::Config => {
                    let dialog =
                        dialog.set_title("Open a configuration").add_filter("configuration", &["toml"]);
                    paths(one(dialog.pick_file().await))
                }
            };
            bell.tell(News::Chosen(chosen));
        });
    }

    /// On a system without a dialog it is the working folder, under a name that no file has yet.
    fn place(&self, name: &str) -> Placing {
        let name = name.to_owned();
        Box::pin(async move {
            let start = Instant::now();
            let dialog = rfd::AsyncFileDialog::new().set_title("Save").set_file_name(&name);
            match dialog.save_file().await {
                Some(file) => Some((file.path().to_path_buf(), "")),
                None if start.elapsed() > NO_DIALOG => None,
                None => Some((unused(Path::new(&name)), " (this system has no file dialog)")),
            }
        })
    }
}

/// The path, or the first of `name-2`, `name-3` and so on that no file has.
fn unused(path: &Path) -> PathBuf {
    let (stem, extension) = (path.file_stem().unwrap_or_default(), path.extension().unwrap_or_default());
    let numbered = |number: u32| {
        let name = format!("{}-{number}.{}", stem.to_string_lossy(), extension.to_string_lossy());
        path.with_file_name(name)
    };
    let mut names = std::iter::once(path.to_path_buf()).chain((2..).map(numbered));
    names.find(|path| !path.exists()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use crate::viewer::files::save;

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let dir = TempDir::new("save");
        let path = dir.join("a.csv");
        assert!(save(&Disk, &path, Ok(b"1".to_vec())).expect("written").ends_with("a.csv"));
        assert_eq!(unused(&path), dir.join("a-2.csv"));
        save(&Disk, &path, Err(Error::shape("figure", "nothing"))).unwrap_err();
        assert_eq!(std::fs::read(&path).expect("the old one"), b"1");
        assert_eq!(unused(&dir.join("b.csv")), dir.join("b.csv"));
    }
}
