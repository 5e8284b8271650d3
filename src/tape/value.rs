//! Values: what nodes read and write.

use super::layout;

/// Index of a value on its tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(crate) u32);

impl ValueId {
    /// As an index into [`Tape::values`](super::Tape::values).
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Element types; all take 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    /// `f32`.
    F32,
    /// `u32`.
    U32,
    /// `i32`.
    I32,
}

/// Where a value's memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Computed by a node; its buffer is reused outside its lifetime.
    Temp,
    /// Filled from outside before a run.
    Input,
    /// A trained weight, kept in the store.
    Param,
    /// Other state, kept in the store.
    State,
    /// Another shape on the memory of this value.
    View(ValueId),
}

/// A typed array of static shape.
#[derive(Clone, Debug)]
pub struct Value {
    /// Unique for params and states; a label otherwise.
    pub name: String,
    /// Logical extents, outermost first; the channel axis is last (NHWC).
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
    /// Where its memory comes from.
    pub role: Role,
}

impl Value {
    /// Logical number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// True if it has no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True for what lives in the store: weights and state.
    #[must_use]
    pub const fn is_stored(&self) -> bool {
        matches!(self.role, Role::Param | Role::State)
    }

    /// Elements in memory, channel padding included.
    #[must_use]
    pub fn padded_len(&self) -> usize {
        layout::padded(&self.shape, self.dtype)
    }

    /// Bytes in memory, rounded up to a whole `vec4`.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.padded_len().max(1) as u64 * 4).next_multiple_of(16)
    }

    /// Length of the last axis (logical channels).
    #[must_use]
    pub fn channels(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// `vec4`s per row of channels.
    #[must_use]
    pub fn quads(&self) -> usize {
        self.channels().div_ceil(4)
    }

    /// Product of all axes but the last.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape[..self.shape.len().saturating_sub(1)].iter().product()
    }
}
