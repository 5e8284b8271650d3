//! The library's one error type.
//!
//! Every message says what was being done, with what, and what to do about it, in one sentence (for a file that cannot
//! be read or written, the system's own reason tells that): the command line prints it as it stands and exits with
//! status 1. User data never panics; a panic is a bug of ours.

use std::path::{Path, PathBuf};

/// Shorthand used by the whole crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {action} `{}`: {source}", .path.display())]
    Io {
        /// What was tried, as a verb phrase ("read the image", "create the folder").
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// An image, a mask or a data set is not what it should be.
    #[error("`{}`: {problem}; {remedy}", .path.display())]
    Data {
        /// The offending file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What the user can do.
        remedy: String,
    },
    /// A model or weights file does not hold what is needed.
    #[error("model file `{}`: {problem}; {remedy}", .path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What the user can do.
        remedy: String,
    },
    /// A configuration cannot be used.
    #[error("configuration: {problem}; {remedy}")]
    Config {
        /// What is wrong, with the key's name.
        problem: String,
        /// What the user can do.
        remedy: String,
    },
    /// No adapter, a lost device, memory that does not fit, a validation error.
    #[error("device: {problem}; {remedy}")]
    Device {
        /// What happened.
        problem: String,
        /// What the user can do.
        remedy: String,
    },
    /// Shapes that do not go together.
    #[error("{op}: {problem}; change the sizes or options that lead there, or report it if you set none")]
    Shape {
        /// The operation's stem.
        op: &'static str,
        /// What was found and what was wanted, with the shapes.
        problem: String,
    },
    /// A number that should be finite is not.
    #[error("step {step}: {problem}; {remedy}")]
    Numeric {
        /// The training step, counted from 0.
        step: u64,
        /// What was found, with the node's name.
        problem: String,
        /// What the user can do.
        remedy: String,
    },
}

impl Error {
    /// An [`Error::Io`] for `path`.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.as_ref().to_path_buf(), source }
    }

    /// An [`Error::Data`] for `path`.
    pub fn data(path: impl AsRef<Path>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Data { path: path.as_ref().to_path_buf(), problem: problem.into(), remedy: remedy.into() }
    }

    /// An [`Error::Model`] for `path`.
    pub fn model(path: impl AsRef<Path>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Model { path: path.as_ref().to_path_buf(), problem: problem.into(), remedy: remedy.into() }
    }

    /// An [`Error::Config`].
    pub fn config(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Config { problem: problem.into(), remedy: remedy.into() }
    }

    /// An [`Error::Device`].
    pub fn device(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Device { problem: problem.into(), remedy: remedy.into() }
    }

    /// An [`Error::Shape`] for the operation `op`.
    pub fn shape(op: &'static str, problem: impl Into<String>) -> Self {
        Self::Shape { op, problem: problem.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_says_what_to_do() {
        let io = std::io::Error::other("it is gone");
        let errors = [
            Error::data("a.png", "it is no picture", "give another file"),
            Error::model("a.safetensors", "it is cut off", "give another file"),
            Error::config("the key is unknown", "remove it there"),
            Error::device("there is none", "install a driver"),
            Error::shape("add", "[1] and [2]"),
            Error::Numeric { step: 1, problem: "the loss is NaN".into(), remedy: "lower the rate".into() },
        ];
        for error in errors {
            let text = error.to_string();
            let (problem, remedy) = text.rsplit_once("; ").unwrap_or_else(|| panic!("`{text}` ends early"));
            assert!(!problem.is_empty() && remedy.contains(' '), "{text}");
        }
        assert_eq!(
            Error::io("read the file", "a.png", io).to_string(),
            "cannot read the file `a.png`: it is gone"
        );
    }
}
