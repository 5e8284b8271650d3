//! The training configuration: one struct is the TOML file, the defaults and the resolved copy in the run folder.

mod data;
mod help;
mod optimisation;
mod refusal;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::{AugmentSettings, Normalisation};
use crate::disk;
use crate::error::{Error, Result};
use crate::fs_atomic::write_atomic;
use crate::head::HeadConfig;
use crate::model::{NetOptions, usual_normalisation};

pub use data::DataConfig;
pub use optimisation::{OptimiserKind, Schedule, TrainConfig};

/// A training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Images and labels.
    pub data: DataConfig,
    /// The network.
    #[serde(default)]
    pub model: NetOptions,
    /// What classifies the embeddings: a profile, and what departs from it.
    #[serde(default)]
    pub head: HeadConfig,
    /// How training images are varied.
    #[serde(default)]
    pub augment: AugmentSettings,
    /// Mean and deviation of the input. The default is what the architecture's usual weights were trained with: 0.5 for the
    /// ViTs of `patch16_224`, ImageNet's for all others.
    #[serde(default)]
    pub normalisation: Normalisation,
    /// Schedule and optimiser.
    #[serde(default)]
    pub train: TrainConfig,
}

impl Config {
    /// Reads a configuration and applies `key.key=value` overrides.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Config`] for anything wrong in it, with line and key.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self> {
        let text = disk::read_text(path).map_err(|e| Error::io("read the configuration", path, e))?;
        let mut config = parse(&text, path, overrides)?;
        // A path in the file is relative to the file; one given on the command line to where the user stands.
        let base = path.parent().unwrap_or(Path::new(""));
        let given =
            |key: &str| overrides.iter().any(|o| o.split('=').next().is_some_and(|k| k.trim() == key));
        if !given("data.root") {
            config.data.root = base.join(&config.data.root);
        }
        if !given("train.weights") {
            config.train.weights = config.train.weights.map(|w| base.join(w));
        }
        config.check()?;
        Ok(config)
    }

    /// Checks what the types do not.
    fn check(&self) -> Result<()> {
        self.augment.validate()?;
        self.normalisation.validate()?;
        self.train.check()?;
        self.model.check()?;
        let head = self.head.resolve()?;
        head.check_dimension(self.model.dimension(&head))
    }

    /// The same with every default filled in, those of the profile too.
    ///
    /// # Errors
    /// [`Error::Config`] for an option of the head that is out of range.
    pub fn resolved(&self) -> Result<Self> {
        Ok(Self { head: self.head.resolved()?, ..self.clone() })
    }

    /// Writes the resolved configuration with its paths made absolute, so that it can be used from where it lies.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let absolute = |p: &PathBuf| std::path::absolute(p).unwrap_or_else(|_| p.clone());
        let mut config = self.resolved()?;
        config.data.root = absolute(&config.data.root);
        config.train.weights = config.train.weights.as_ref().map(absolute);
        let text = toml::to_string(&config).map_err(|e| Error::config(e.to_string(), "report this"))?;
        write_atomic(path, text.as_bytes())
    }

    /// Every key with its default, and above it what it means, as TOML.
    #[must_use]
    pub fn keys() -> String {
        let text = "[data]\nroot = \"FOLDER\"\n[train]\nweights = \"FILE\"\n";
        let config: Result<Self> = toml::from_str::<Self>(text)
            .map_err(|e| Error::config(e.to_string(), "report this"))
            .and_then(|config| config.resolved())
            .map(|config| Self { head: HeadConfig::every_key(), ..config });
        let toml = config.ok().and_then(|config| toml::to_string(&config).ok()).unwrap_or_default();
        help::explained(&toml)
    }
}

/// The configuration in `text`, the content of `path`, with `overrides` applied.
fn parse(text: &str, path: &Path, overrides: &[String]) -> Result<Config> {
    let name = path.display();
    let in_file = |e: toml::de::Error| {
        let place = e.span().map_or(String::new(), |span| {
            let line = text[..span.start].matches('\n').count();
            format!(" line {} (`{}`)", line + 1, text.lines().nth(line).unwrap_or_default().trim())
        });
        let message = refusal::in_words(e.message());
        Error::config(format!("{name}{place}: {message}"), "`protoseg train --help` lists every key")
    };
    let mut table: toml::Table = toml::from_str(text).map_err(in_file)?;
    let read = |table: &toml::Table| Config::deserialize(table.clone());
    for given in overrides {
        let before = table.clone();
        let broken = read(&before).err();
        set(&mut table, given, true)?;
        // What is broken already, by a key that a later override gives, cannot tell whether this one fits.
        if let (Err(error), None) = (read(&table), &broken) {
            table = before;
            set(&mut table, given, false)?;
            if read(&table).is_err() {
                return Err(Error::config(
                    format!("--set {given}: {}", refusal::in_words(error.message())),
                    "`protoseg train --help` lists every key",
                ));
            }
        }
    }
    let mut config: Config = if overrides.is_empty() {
        toml::from_str(text).map_err(in_file)?
    } else {
        read(&table).map_err(|error| match toml::from_str::<Config>(text) {
            Err(in_text) if in_text.message() == error.message() => in_file(in_text),
            _ => Error::config(
                format!("{name}: {}", refusal::in_words(error.message())),
                "`protoseg train --help` lists every key",
            ),
        })?
    };
    if !table.contains_key("normalisation") {
        config.normalisation = usual_normalisation(config.model.arch);
    }
    Ok(config)
}

/// Sets `a.b=value`; the value is read as TOML if `as_toml` and if it can be, and as a string otherwise.
fn set(table: &mut toml::Table, text: &str, as_toml: bool) -> Result<()> {
    let bad = |problem: String| Error::config(problem, "write --set section.key=value");
    let (key, value) = text.split_once('=').ok_or_else(|| bad(format!("--set `{text}` has no `=`")))?;
    let value = value.trim();
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}")).ok().and_then(|mut t| t.remove("v"));
    let value = parsed.filter(|_| as_toml).unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut path: Vec<&str> = key.trim().split('.').collect();
    let last = path.pop().unwrap_or_default();
    if key.split('.').any(|part| part.trim().is_empty()) {
        return Err(bad(format!("--set `{text}` names no key")));
    }
    let mut place = table;
    for part in path {
        let entry = place.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        place = entry.as_table_mut().ok_or_else(|| bad(format!("--set {key}: `{part}` is not a section")))?;
    }
    place.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_and_falls_as_scheduled() {
        let base = TrainConfig { steps: 100, lr: 0.1, power: 1.0, ..TrainConfig::default() };
        let near = |config: &TrainConfig, step, want: f32| {
            let found = config.lr_at(step);
            assert!((found - want).abs() < 1e-6, "{step}: {found}, {want} expected");
        };
        near(&base, 0, 0.1);
        near(&base, 75, 0.025);
        let floor = TrainConfig { min_lr: 0.02, warmup_steps: 3, ..base.clone() };
        near(&floor, 0, 0.025);
        near(&floor, 50, 0.06);
        near(&floor, 100, 0.02);
        let cosine = TrainConfig { schedule: Schedule::Cosine, ..base };
        near(&cosine, 0, 0.1);
        near(&cosine, 25, 0.085_355_34);
        near(&cosine, 50, 0.05);
    }
}
