//! Python's pickle format, as far as PyTorch's files of weights use it, without the danger in it.
//!
//! A pickle is a program for a stack machine, one of whose instructions calls any function of any module by name. Here that
//! instruction knows the few names of [`globals`], each of which stands for a case of [`machine`]; the first other name ends the
//! reading. Nothing of the file is ever run, and nothing is reserved because the file claims to be long: what it makes is
//! bounded by its own bytes.

mod globals;
mod machine;
mod reader;
mod value;

pub use machine::{Pickle, unpickle};
pub use value::{Graph, Id, Node, Storage, View};

/// Why a pickle is not read further: what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub problem: String,
    /// What the user can do.
    pub remedy: &'static str,
}

/// The remedy for a file that holds more than weights.
pub const WEIGHTS_ONLY: &str = "nothing in it was run; if you trust its source, save the weights alone in Python (torch.save(model.state_dict(), FILE) or \
     safetensors.torch.save_file) and import that file";

/// The remedy for a file that does not hang together.
pub const AGAIN: &str = "copy or download it again";

impl Refusal {
    /// Something that weights have no need of.
    pub(super) fn forbidden(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: WEIGHTS_ONLY }
    }

    /// Something that no program wrote like that.
    pub(super) fn damaged(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: AGAIN }
    }
}

/// What the parts of the reader return.
pub type Read<T> = std::result::Result<T, Refusal>;
