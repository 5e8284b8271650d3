//! What the tests of several modules share.

mod folders;

pub use folders::{TempDir, shared};
