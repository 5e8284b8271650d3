//! What became of every tensor of a file.

use std::fmt;

use serde::Serialize;

use crate::words::counted;

/// Names of a list that are shown where not all are asked for.
const SHOWN: usize = 5;

/// What became of every tensor of a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The file's name.
    pub source: String,
    /// What kind of file it is.
    pub format: &'static str,
    /// What it was read for.
    pub arch: String,
    /// Whose names it has.
    pub names: &'static str,
    /// What stands before all of its names.
    pub prefix: String,
    /// How long the lists are.
    pub counts: Counts,
    /// Taken under their own names.
    pub used: Vec<String>,
    /// Taken under other names.
    pub renamed: Vec<Renamed>,
    /// Left out.
    pub unused: Vec<String>,
    /// What the network needs and the file has not.
    pub missing: Vec<String>,
    /// What the network can do without, as its classifier, and the file has not.
    pub absent: Vec<String>,
    /// What the file has in a shape that the network cannot use.
    pub wrong_shape: Vec<WrongShape>,
    /// What is common to lack, and starts from first values.
    pub fresh: Vec<String>,
    /// What differs beside the names.
    pub notes: Vec<String>,
}

/// How long the lists of a [`Report`] are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Of [`Report::used`].
    pub used: usize,
    /// Of [`Report::renamed`].
    pub renamed: usize,
    /// Of [`Report::unused`].
    pub unused: usize,
    /// Of [`Report::missing`].
    pub missing: usize,
    /// Of [`Report::absent`].
    pub absent: usize,
    /// Of [`Report::wrong_shape`].
    pub wrong_shape: usize,
    /// Of [`Report::fresh`].
    pub fresh: usize,
}

/// A tensor under a new name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Renamed {
    /// The file's tensors that it is made of.
    pub from: Vec<String>,
    /// The network's name.
    pub to: String,
    /// What was done beside renaming, such as `joined`, `part 2 of 3` or `reordered`; empty for nothing.
    pub change: String,
}

/// A tensor in a shape that does not serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrongShape {
    /// The network's name.
    pub name: String,
    /// The file's names.
    pub from: Vec<String>,
    /// The shape that they give.
    pub found: Vec<usize>,
    /// The shape that is needed.
    pub needed: Vec<usize>,
    /// Whether the network is nothing without it.
    pub required: bool,
}

impl Report {
    /// Counts the lists.
    pub(super) const fn count(&mut self) {
        self.counts = Counts {
            used: self.used.len(),
            renamed: self.renamed.len(),
            unused: self.unused.len(),
            missing: self.missing.len(),
            absent: self.absent.len(),
            wrong_shape: self.wrong_shape.len(),
            fresh: self.fresh.len(),
        };
    }

    /// The report as text, with all of its lists or their starts.
    #[must_use]
    pub fn text(&self, all: bool) -> String {
        Text { report: self, all }.to_string()
    }
}

struct Text<'a> {
    report: &'a Report,
    all: bool,
}

impl Text<'_> {
    fn list(&self, f: &mut fmt::Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
        if lines.is_empty() {
            return Ok(());
        }
        writeln!(f, "{} {title}", lines.len())?;
        let shown = if self.all { lines.len() } else { SHOWN };
        for line in lines.iter().take(shown) {
            writeln!(f, "  {line}")?;
        }
        match lines.len().saturating_sub(shown) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more (--verbose)"),
        }
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { counts, names, prefix, .. } = self.report;
        let behind = if prefix.is_empty() { String::new() } else { format!(" behind `{prefix}`") };
        let Report { source, format, arch, .. } = self.report;
        writeln!(f, "{source} ({format}) as {arch}: names of {names}{behind}")?;
        let Counts { used, renamed, unused, missing, absent, wrong_shape, fresh } = counts;
        writeln!(
            f,
            "{} used, {renamed} renamed, {unused} unused, {missing} missing, {wrong_shape} of wrong shape; {absent} optional absent, \
             {fresh} fresh",
            counted(*used, "tensor")
        )?;
        self.list(f, "used", if self.all { &self.report.used } else { &[] })?;
        let renamed: Vec<String> = self.report.renamed.iter().map(ToString::to_string).collect();
        self.list(f, "renamed", &renamed)?;
        self.list(f, "unused", &self.report.unused)?;
        self.list(f, "missing", &self.report.missing)?;
        self.list(f, "absent, which the network can do without", &self.report.absent)?;
        let wrong: Vec<String> = self.report.wrong_shape.iter().map(ToString::to_string).collect();
        self.list(f, "of wrong shape", &wrong)?;
        self.list(f, "fresh, from first values", &self.report.fresh)?;
        self.report.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))
    }
}

impl fmt::Display for Renamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from.join(" + "), self.to)?;
        if self.change.is_empty() { Ok(()) } else { write!(f, " ({})", self.change) }
    }
}

impl fmt::Display for WrongShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, from, found, needed, .. } = self;
        write!(f, "{name}: {found:?} from {} where {needed:?} is needed", from.join(" + "))
    }
}
