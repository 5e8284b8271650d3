//! What the integration tests share: the adapter, temporary folders, reference data, short runs, the repository's own files.
#![allow(dead_code, unused_imports, reason = "each test takes the part that it needs")]

mod device;
mod dxc;
mod files;
#[path = "../../src/testing/folders.rs"]
mod folders;
mod launches;
pub mod reference;
mod runs;
mod torch_file;

pub use device::{gpu, gpu_of};
pub use dxc::Dxc;
pub use files::{Source, has_extension, root, sources};
pub use folders::{TempDir, shared, shared_files};
pub use launches::{Constants, Launches, launches};
pub use runs::{CONFIG, bytes, checkpoint, street, train, train_by};
pub use torch_file::{Py, View, archive, contiguous, entries, legacy};
