//! The page's files under their final names: everything but `index.html` goes to `assets/` and carries a hash of its content in its
//! name, so that a browser may keep it for ever; the names are rewritten where other files name them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use crc::{CRC_64_XZ, Crc};

use crate::kind::kind;
use crate::references::references;

/// The one file that keeps its name: where the page begins.
pub const INDEX: &str = "index.html";
/// The folder of all others.
pub const ASSETS: &str = "assets";

/// Files by plain name (before) or by path below the folder of the site (after).
pub type Files = BTreeMap<String, Vec<u8>>;

/// What the site consists of.
#[derive(Debug)]
pub struct Site {
    /// By path below the folder of the site: `index.html`, `assets/NAME-HASH.EXT`.
    pub files: Files,
    /// Plain names of files that no other names: most likely left behind.
    pub unnamed: Vec<String>,
}

/// The site made of these files, which all lie in one folder as far as they name each other.
///
/// # Errors
/// No `index.html`; a file of unknown kind; a file that names one that is not there; files that name each other in a circle.
pub fn lay_out(sources: &Files) -> Result<Site> {
    ensure!(sources.contains_key(INDEX), "the page has no {INDEX}, and that is where a browser begins");
    let mut layout = Layout { sources, done: BTreeMap::new(), path: Vec::new(), files: Files::new() };
    for name in sources.keys() {
        layout.place(name)?;
    }
    let named = |name: &String| name == INDEX || layout.done[name.as_str()].is_named;
    let unnamed = sources.keys().filter(|name| !named(name)).cloned().collect();
    Ok(Site { files: layout.files, unnamed })
}

/// The hash that goes into a name: 16 hexadecimal digits.
pub fn hash(content: &[u8]) -> String {
    format!("{:016x}", Crc::<u64>::new(&CRC_64_XZ).checksum(content))
}

/// True for a name that this module made: it can be kept for ever.
pub fn is_hashed(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let digits = stem.rsplit_once('-').map_or("", |(_, digits)| digits);
    digits.len() == 16 && digits.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
}

struct Placed {
    hashed: String,
    is_named: bool,
}

struct Layout<'a> {
    sources: &'a Files,
    done: BTreeMap<&'a str, Placed>,
    /// The files that are being rewritten, each named by the one before.
    path: Vec<&'a str>,
    files: Files,
}

impl<'a> Layout<'a> {
    /// Gives the file and all that it names their final names; a file's hash is that of its final content.
    fn place(&mut self, name: &'a str) -> Result<()> {
        if self.done.contains_key(name) {
            return Ok(());
        }
        let kind = kind(name).with_context(|| {
            format!("`{name}` is of no kind that the page can use: take it out of web/page")
        })?;
        if let Some(at) = self.path.iter().position(|&above| above == name) {
            let circle = [&self.path[at..], &[name]].concat().join(" -> ");
            bail!(
                "these files name each other in a circle, so none can carry its hash in its name: {circle}"
            );
        }
        self.path.push(name);
        let source = &self.sources[name];
        let content = if kind.has_references {
            let text = std::str::from_utf8(source).with_context(|| format!("`{name}` is not UTF-8"))?;
            self.rewrite(name, text)?.into_bytes()
        } else {
            source.clone()
        };
        self.path.pop();
        let (stem, extension) = name.rsplit_once('.').expect("a file with a kind has an extension");
        let hashed = format!("{stem}-{}.{extension}", hash(&content));
        let place = if name == INDEX { INDEX.to_owned() } else { format!("{ASSETS}/{hashed}") };
        self.files.insert(place, content);
        self.done.insert(name, Placed { hashed, is_named: false });
        Ok(())
    }

    fn rewrite(&mut self, name: &'a str, text: &str) -> Result<String> {
        let found = references(text).map_err(|address| {
            anyhow::anyhow!("`{name}` names `{address}`: files of the page are named by `./NAME`, in one piece and without folders")
        })?;
        let (mut rewritten, mut end) = (String::with_capacity(text.len()), 0);
        for range in found {
            let target = &text[range.clone()];
            ensure!(target != INDEX, "`{name}` names `{INDEX}`: link to `./` instead");
            let (target, _) = self
                .sources
                .get_key_value(target)
                .with_context(|| format!("`{name}` names `{target}`, and the page has no such file"))?;
            self.place(target)?;
            let placed = self.done.get_mut(target.as_str()).expect("just placed");
            placed.is_named = true;
            rewritten.push_str(&text[end..range.start]);
            if name == INDEX {
                rewritten.push_str(ASSETS);
                rewritten.push('/');
            }
            rewritten.push_str(&placed.hashed);
            end = range.end;
        }
        rewritten.push_str(&text[end..]);
        Ok(rewritten)
    }
}

#[cfg(test)]
mod tests;
