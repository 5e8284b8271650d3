//! Puts the site where it is served from, all of it or nothing of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::site::{ASSETS, Files, INDEX};

/// Makes sure that nothing of value is lost when a site takes the place of `out`: it is not there, or empty, or an earlier site.
///
/// # Errors
/// It holds something else.
pub fn check(out: &Path) -> Result<()> {
    ensure!(
        is_replaceable(out)?,
        "{} holds something else than an earlier page, and that would be lost: name another folder with --out",
        out.display()
    );
    Ok(())
}

/// Writes the site beside `out` and then takes the place of what was there: whoever opens the page meets the old one or the new one,
/// and a build that fails leaves the old one.
///
/// # Errors
/// As [`check`], or the disk refuses.
pub fn publish(files: &Files, out: &Path) -> Result<()> {
    check(out)?;
    let (fresh, old) = (beside(out, "new")?, beside(out, "old")?);
    clear(&fresh)?;
    for (path, content) in files {
        let path = fresh.join(path);
        let folder = path.parent().expect("below the new folder");
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    clear(&old)?;
    if out.exists() {
        rename(out, &old)?;
    }
    rename(&fresh, out)?;
    clear(&old)
}

fn is_replaceable(out: &Path) -> Result<bool> {
    if !out.exists() {
        return Ok(true);
    }
    let unreadable = || format!("cannot read the folder {}", out.display());
    for entry in fs::read_dir(out).with_context(unreadable)? {
        let name = entry.with_context(unreadable)?.file_name();
        if name != INDEX && name != ASSETS {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `.dist-new` beside `dist`.
fn beside(out: &Path, mark: &str) -> Result<PathBuf> {
    let name = out.file_name().with_context(|| format!("{} has no name to write beside", out.display()))?;
    Ok(out.with_file_name(format!(".{}-{mark}", name.to_string_lossy())))
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove the folder {}", folder.display()))?;
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    fn site(text: &str) -> Files {
        let file = |path: &str| (path.to_owned(), text.as_bytes().to_vec());
        [file("index.html"), file(&format!("assets/{text}.js"))].into()
    }

    #[test]
    fn the_new_site_replaces_the_old() {
        let folder = TempDir::new("publish-replaces");
        let out = folder.path().join("some/where/dist");
        publish(&site("one"), &out).expect("the first");
        publish(&site("two"), &out).expect("the second");
        assert_eq!(fs::read(out.join("index.html")).expect("the page"), b"two");
        assert!(out.join("assets/two.js").exists() && !out.join("assets/one.js").exists());
        let left = fs::read_dir(out.parent().expect("a parent")).expect("a folder").count();
        assert_eq!(left, 1, "nothing is left beside the site");
    }

    #[test]
    fn other_things_are_never_removed() {
        let folder = TempDir::new("publish-refuses");
        fs::write(folder.path().join("thesis.txt"), "years of work").expect("a file");
        let refusal = publish(&site("one"), folder.path()).expect_err("refused").to_string();
        assert!(refusal.contains("holds something else than an earlier page"), "{refusal}");
        assert!(folder.path().join("thesis.txt").exists());
    }

    #[test]
    fn a_failure_leaves_the_old_site() {
        let folder = TempDir::new("publish-fails");
        let out = folder.path().join("dist");
        publish(&site("one"), &out).expect("the first");
        let mut broken = site("two");
        // A file and a folder of one name.
        broken.insert("assets/two.js/more.js".into(), Vec::new());
        publish(&broken, &out).expect_err("the disk refuses");
        assert_eq!(fs::read(out.join("index.html")).expect("the page"), b"one");
    }
}
