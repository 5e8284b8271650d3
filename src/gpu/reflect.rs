//! What a kernel declares: its bindings by name, and the layout of its uniform struct, read by naga.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// WGSL variable name.
    pub name: String,
    /// `@binding` number.
    pub index: u32,
    /// Access.
    pub access: Access,
}

/// What one entry point declares.
#[derive(Clone, Debug)]
pub struct Reflection {
    /// Bindings in use, by increasing number.
    pub bindings: Vec<Binding>,
    /// Fields of the struct behind the uniform variable: name, byte offset and type, `None` for one that is no 4-byte scalar.
    pub uniform_fields: Vec<(String, usize, Option<Scalar>)>,
    /// Bytes of that struct, 0 if there is none.
    pub uniform_bytes: usize,
}

/// Parses and validates `source`; one [`Reflection`] per entry point, by name.
///
/// # Errors
/// [`Error::Device`] with naga's message when the shader is not valid with the tier's capabilities.
pub fn reflect(
    stem: &str,
    source: &str,
    capabilities: naga::valid::Capabilities,
) -> Result<BTreeMap<String, Reflection>> {
    let broken =
        |text: String| Error::device(format!("shader `{stem}` is not valid: {text}"), "this is our bug");
    let module = naga::front::wgsl::parse_str(source).map_err(|e| broken(e.emit_to_string(source)))?;
    let mut validator = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
    validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
    validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    let info = validator.validate(&module).map_err(|e| broken(e.emit_to_string(source)))?;
    let mut out = BTreeMap::new();
    for (index, entry) in module.entry_points.iter().enumerate() {
        let used = info.get_entry_point(index);
        let mut reflection =
            Reflection { bindings: Vec::new(), uniform_fields: Vec::new(), uniform_bytes: 0 };
        for (handle, variable) in module.global_variables.iter() {
            let Some(binding) = variable.binding else { continue };
            if used[handle].is_empty() {
                continue;
            }
            let access = match variable.space {
                naga::AddressSpace::Uniform => Access::Uniform,
                naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => {
                    Access::ReadWrite
                }
                _ => Access::Read,
            };
            if access == Access::Uniform
                && let naga::TypeInner::Struct { members, span } = &module.types[variable.ty].inner
            {
                reflection.uniform_bytes = *span as usize;
                let field = |m: &naga::StructMember| {
                    (m.name.clone().unwrap_or_default(), m.offset as usize, scalar(&module.types[m.ty].inner))
                };
                reflection.uniform_fields = members.iter().map(field).collect();
            }
            let name = variable.name.clone().unwrap_or_default();
            reflection.bindings.push(Binding { name, index: binding.binding, access });
        }
        reflection.bindings.sort_by_key(|b| b.index);
        out.insert(entry.name.clone(), reflection);
    }
    Ok(out)
}

fn scalar(ty: &naga::TypeInner) -> Option<Scalar> {
    match *ty {
        naga::TypeInner::Scalar(naga::Scalar::F32) => Some(Scalar::F32),
        naga::TypeInner::Scalar(naga::Scalar::U32) => Some(Scalar::U32),
        naga::TypeInner::Scalar(naga::Scalar::I32) => Some(Scalar::I32),
        _ => None,
    }
}
