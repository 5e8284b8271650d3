//! What a verification found: the JSON document of the command line's contract, and a table for people.

use std::fmt;

use serde::Serialize;

use crate::error::Error;

/// One tensor of a file against the device.
#[derive(Clone, Debug, Serialize)]
pub struct TensorReport {
    /// Name in the file.
    pub name: String,
    /// Largest absolute difference; `f64::MAX` where one side is no number or the shapes differ.
    pub max_abs: f64,
    /// The same over the reference's largest magnitude; equal to `max_abs` where the reference is zero.
    pub max_rel: f64,
    /// Bound on `max_abs`, or on `max_rel` for losses, gradients, `q0`, network inputs and feature maps.
    pub tolerance: f64,
    /// Whether the tensor is within it, or what is beyond it is excused by `note`.
    pub ok: bool,
    /// Whether the tolerance bounds `max_rel`.
    #[serde(skip)]
    pub relative: bool,
    /// What is to be known beside the numbers: why they cannot be compared, or what excuses them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl TensorReport {
    /// The number that the tolerance bounds.
    #[must_use]
    pub const fn deviation(&self) -> f64 {
        if self.relative { self.max_rel } else { self.max_abs }
    }

    /// A tensor that cannot be compared, and why.
    #[must_use]
    pub(super) fn incomparable(name: &str, reason: impl Into<String>) -> Self {
        let (name, note) = (name.to_owned(), Some(reason.into()));
        Self { name, max_abs: f64::MAX, max_rel: f64::MAX, tolerance: 0.0, ok: false, relative: false, note }
    }

    /// The same numbers with the verdict of `rest`, a comparison without what `note` excuses.
    #[must_use]
    pub(super) fn excused(self, rest: &Self, note: String) -> Self {
        Self { ok: rest.ok, note: Some(note), ..self }
    }

    /// Deviation over tolerance, for finding the worst; exact tensors count by their deviation.
    fn strain(&self) -> f64 {
        if self.tolerance > 0.0 { self.deviation() / self.tolerance } else { self.deviation() }
    }
}

/// One file.
#[derive(Clone, Debug, Serialize)]
pub struct FileReport {
    /// Path as it was given.
    pub file: String,
    /// Its tensors, in the order of their names; inputs are not listed.
    pub tensors: Vec<TensorReport>,
    /// Whether there are any and all of them agree.
    pub ok: bool,
    /// Why nothing was compared; absent where something was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl FileReport {
    pub(super) fn new(file: String, tensors: Vec<TensorReport>) -> Self {
        let ok = !tensors.is_empty() && tensors.iter().all(|t| t.ok);
        let error = tensors.is_empty().then(|| "it holds nothing to compare".to_owned());
        Self { file, tensors, ok, error }
    }

    /// A file that cannot be compared.
    pub(super) fn failed(file: String, error: &Error) -> Self {
        Self { file, tensors: Vec::new(), ok: false, error: Some(error.to_string()) }
    }

    /// The tensor that is nearest to its tolerance, or furthest above it.
    #[must_use]
    pub fn worst(&self) -> Option<&TensorReport> {
        self.tensors.iter().max_by(|a, b| b.ok.cmp(&a.ok).then(a.strain().total_cmp(&b.strain())))
    }
}

/// Every file, and the adapter that was compared.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// In the order given.
    pub files: Vec<FileReport>,
    /// Name, backend and driver.
    pub adapter: String,
}

impl Verification {
    /// Whether there are files and every tensor of every one agrees.
    #[must_use]
    pub fn ok(&self) -> bool {
        !self.files.is_empty() && self.files.iter().all(|f| f.ok)
    }
}

impl fmt::Display for TensorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.relative { "of its maximum" } else { "absolute" };
        if self.max_abs == f64::MAX {
            write!(f, "{}", self.name)?;
        } else {
            write!(
                f,
                "{} off by {:.1e} {kind} (tolerance {:.0e})",
                self.name,
                self.deviation(),
                self.tolerance
            )?;
        }
        self.note.as_ref().map_or(Ok(()), |note| write!(f, ": {note}"))
    }
}

impl fmt::Display for FileReport {
    /// A line for the file with its worst tensor, then every failure and every note.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.file.rsplit(['/', '\\']).next().unwrap_or(&self.file);
        if let Some(error) = &self.error {
            return write!(f, "{name:40} FAILED: {error}");
        }
        let failed = self.tensors.iter().filter(|t| !t.ok).count();
        let verdict = if self.ok { "ok".to_owned() } else { format!("{failed} WRONG") };
        write!(f, "{name:40} {:4} tensors  {verdict}", self.tensors.len())?;
        if let (true, Some(worst)) = (self.ok, self.worst()) {
            write!(f, "  worst: {worst}")?;
        }
        for tensor in self.tensors.iter().filter(|t| !t.ok || t.note.is_some()) {
            write!(f, "\n    {} {tensor}", if tensor.ok { "note: " } else { "WRONG:" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            writeln!(f, "{file}")?;
        }
        let good = self.files.iter().filter(|file| file.ok).count();
        write!(f, "{good} of {} files agree on {}", self.files.len(), self.adapter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_compared_is_no_agreement() {
        let none = FileReport::new("empty".into(), Vec::new());
        assert!(!none.ok && none.error.is_some());
        assert!(!Verification { files: Vec::new(), adapter: String::new() }.ok());
    }
}
