//! A dispatch as plain data: which kernel, which buffers by name, which uniform, how many workgroups.

use super::tiles::Gemm;

/// A buffer that a dispatch names before any buffer exists: the plan gives every slot its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The value with this index on the tape.
    Value(u32),
    /// The node's own scratch buffer with this index.
    Scratch(u32),
}

/// One kernel launch.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// Stem of the shader file.
    pub shader: &'static str,
    /// Entry point in it.
    pub entry: &'static str,
    /// `override` constants by name.
    pub constants: Vec<(&'static str, f64)>,
    /// Bytes of the uniform struct `params`.
    pub uniform: Vec<u8>,
    /// Fields of the uniform struct, compared with the shader's own.
    pub fields: &'static [Field],
    /// WGSL variable name of every storage binding and the slot bound to it.
    pub bindings: Vec<(&'static str, Slot)>,
    /// Workgroups along x, y, z.
    pub groups: [u32; 3],
    /// The product of matrices whose tile this dispatch's time may decide.
    pub measured: Option<Gemm>,
}

/// Name, byte offset and type of a field of a uniform struct.
pub type Field = (&'static str, usize, Scalar);

/// Types of uniform fields; all take 4 bytes, so the wrong one has the right layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// `f32`.
    F32,
    /// `u32`.
    U32,
    /// `i32`.
    I32,
}

/// A Rust type that a uniform field can have.
pub trait UniformField {
    /// Its type in WGSL.
    const SCALAR: Scalar;
}

impl UniformField for f32 {
    const SCALAR: Scalar = Scalar::F32;
}

impl UniformField for u32 {
    const SCALAR: Scalar = Scalar::U32;
}

impl UniformField for i32 {
    const SCALAR: Scalar = Scalar::I32;
}

/// A uniform struct whose layout is known by name; made by the macro `uniform!`.
pub trait Uniform: bytemuck::Pod {
    /// Its fields, in order.
    const FIELDS: &'static [Field];
}

/// Declares a `#[repr(C)]` uniform struct of `f32`, `u32` and `i32` fields together with its field table.
macro_rules! uniform {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($field:ident : $ty:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
        $vis struct $name { $(pub $field: $ty),+ }
        impl $crate::gpu::Uniform for $name {
            const FIELDS: &'static [$crate::gpu::Field] = &[$((
                stringify!($field),
                ::std::mem::offset_of!($name, $field),
                <$ty as $crate::gpu::UniformField>::SCALAR,
            )),+];
        }
    };
}
pub(crate) use uniform;

/// Workgroups for `count` items at `per_group` items each, folded into y beyond 65,535 along x (WebGPU's limit per
/// dimension); the kernel recovers the linear index with `lib/index.wgsl`.
#[must_use]
pub fn grid(count: usize, per_group: usize) -> [u32; 3] {
    const MAX: usize = 65_535;
    let groups = count.div_ceil(per_group).max(1);
    let rows = groups.div_ceil(MAX);
    [groups.div_ceil(rows) as u32, rows as u32, 1]
}

#[cfg(test)]
mod tests {
    use super::grid;

    #[test]
    fn grid_covers_and_stays_within_the_limit() {
        for count in [0, 1, 64, 65, 64 * 65_535, 64 * 65_535 + 1, 1_000_000_007] {
            let [x, y, z] = grid(count, 64);
            assert!(x <= 65_535 && y <= 65_535 && z == 1);
            assert!(x as usize * y as usize * 64 >= count);
        }
    }
}
