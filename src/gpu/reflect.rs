//! What a kernel declares: its bindings by name, and the layout of its uniform struct. Read by naga when the crate is built
//! (`build.rs`).

use super::record::Scalar;

/// How a kernel uses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `var<uniform>`.
    Uniform,
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

/// One binding of group 0 that an entry point uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// WGSL variable name.
    pub name: &'static str,
    /// `@binding` number.
    pub index: u32,
    /// Access.
    pub access: Access,
}

/// What one entry point declares.
#[derive(Clone, Copy, Debug)]
pub struct Reflection {
    /// The entry point's name.
    pub entry: &'static str,
    /// Bindings in use, by increasing number.
    pub bindings: &'static [Binding],
    /// Fields of the struct behind the uniform variable: name, byte offset and type, `None` for one that is no 4-byte scalar.
    pub uniform_fields: &'static [(&'static str, usize, Option<Scalar>)],
    /// Bytes of that struct, 0 if there is none.
    pub uniform_bytes: usize,
}
