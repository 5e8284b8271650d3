//! Kernels: a pipeline with its layout, by shader, entry point and constants, compiled once and side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use crate::error::{Error, Result};

use super::device::Gpu;
use super::record::Dispatch;
use super::reflect::{Access, Reflection};
use super::{shaders, threads};

/// Shader stem, entry point, constants (as bits, so that they compare exactly).
pub(super) type KernelKey = (&'static str, &'static str, Vec<(&'static str, u64)>);

/// A compiled kernel.
pub(super) struct Kernel {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    pub reflection: Reflection,
}

fn key(dispatch: &Dispatch) -> KernelKey {
    let constants = dispatch.constants.iter().map(|&(name, value)| (name, value.to_bits())).collect();
    (dispatch.shader, dispatch.entry, constants)
}

impl Gpu {
    /// Compiles the kernels of `dispatches` that are not known yet, as many at a time as there are cores.
    ///
    /// # Errors
    /// [`Error::Device`] if a shader is not valid or the driver refuses a kernel.
    pub(super) fn compile<'a>(&self, dispatches: impl Iterator<Item = &'a Dispatch>) -> Result<()> {
        let mut missing: BTreeMap<KernelKey, &Dispatch> = BTreeMap::new();
        {
            let known = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
            let unknown = dispatches.map(|d| (key(d), d)).filter(|(key, _)| !known.contains_key(key));
            missing.extend(unknown);
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut stems: BTreeSet<&'static str> = missing.keys().map(|key| key.0).collect();
        {
            let known = self.shaders.lock().unwrap_or_else(PoisonError::into_inner);
            stems.retain(|stem| !known.contains_key(stem));
        }
        let stems: Vec<_> = stems.into_iter().collect();
        let modules = threads::map(&stems, |stem| compile_shader(&self.device, stem));
        self.shaders.lock().unwrap_or_else(PoisonError::into_inner).extend(std::iter::zip(stems, modules));
        let wanted: Vec<_> = missing.values().copied().collect();
        let compiled = threads::map(&wanted, |dispatch| self.compile_kernel(dispatch));
        // The driver's complaints come before anything is kept.
        self.check()?;
        for (key, kernel) in missing.into_keys().zip(compiled) {
            let kernel = Arc::new(kernel?);
            self.kernels.lock().unwrap_or_else(PoisonError::into_inner).insert(key, kernel);
        }
        self.cache.save();
        Ok(())
    }

    /// The kernel of a dispatch that was compiled.
    pub(super) fn kernel(&self, dispatch: &Dispatch) -> Option<Arc<Kernel>> {
        self.kernels.lock().unwrap_or_else(PoisonError::into_inner).get(&key(dispatch)).map(Arc::clone)
    }

    fn compile_kernel(&self, dispatch: &Dispatch) -> Result<Kernel> {
        let module = self.shader(dispatch.shader)?;
        let entries = shaders::get(dispatch.shader).entries;
        let reflection = *entries.iter().find(|known| known.entry == dispatch.entry).ok_or_else(|| {
            Error::device(
                format!("shader `{}` has no entry `{}`", dispatch.shader, dispatch.entry),
                "this is our bug",
            )
        })?;
        let entry = |b: &super::Binding| wgpu::BindGroupLayoutEntry {
            binding: b.index,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: match b.access {
                    Access::Uniform => wgpu::BufferBindingType::Uniform,
                    Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
                    Access::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let entries: Vec<_> = reflection.bindings.iter().map(entry).collect();
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(dispatch.entry),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(dispatch.entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &dispatch.constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: self.cache.get(),
        });
        Ok(Kernel { pipeline, layout, reflection })
    }

    /// The shader module `stem`, compiled by [`Gpu::compile`].
    fn shader(&self, stem: &'static str) -> Result<wgpu::ShaderModule> {
        let known = self.shaders.lock().unwrap_or_else(PoisonError::into_inner).get(stem).cloned();
        known.ok_or_else(|| Error::device(format!("shader `{stem}` was not compiled"), "this is our bug"))
    }
}

fn compile_shader(device: &wgpu::Device, stem: &'static str) -> wgpu::ShaderModule {
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(stem),
        source: wgpu::ShaderSource::Wgsl(shaders::get(stem).source.into()),
    };
    // Counting the turns of every loop costs a GPU a tenth of a training step. Indices are checked as ever.
    let checks =
        wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
    // SAFETY: without the count, a loop that never ends would be undefined behaviour. Ours are shaders of this crate alone, and
    // each states its number of turns, which its sizes bound below 65,535.
    unsafe { device.create_shader_module_trusted(descriptor, checks) }
}

/// Says how a dispatch and its kernel disagree, if they do. Always our bug, so found at plan time, in words.
pub(super) fn mismatch(dispatch: &Dispatch, reflection: &Reflection) -> Option<String> {
    let declared = &reflection.uniform_fields;
    let given = dispatch.fields.iter().map(|&(name, offset, scalar)| (name, offset, Some(scalar)));
    if reflection.uniform_bytes > 0 && !declared.iter().copied().eq(given) {
        return Some(format!("uniform fields {:?} against the shader's {declared:?}", dispatch.fields));
    }
    if reflection.uniform_bytes > dispatch.uniform.len().next_multiple_of(16) {
        return Some(format!(
            "uniform of {} bytes, {} wanted",
            dispatch.uniform.len(),
            reflection.uniform_bytes
        ));
    }
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, _) in &dispatch.bindings {
        *names.entry(name).or_default() += 1;
    }
    for binding in reflection.bindings.iter().filter(|b| b.access != Access::Uniform) {
        if names.remove(binding.name) != Some(1) {
            return Some(format!("binding `{}` is not given exactly once", binding.name));
        }
    }
    names.keys().next().map(|name| format!("binding `{name}` is given, and the kernel does not use it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{Binding, Scalar, Slot, Uniform, uniform};

    uniform! {
        struct Right { count: u32, factor: f32, shift: i32 }
    }
    uniform! {
        struct Wrong { count: f32, factor: f32, shift: i32 }
    }

    fn dispatch<U: Uniform>(uniform: &U) -> Dispatch {
        Dispatch {
            shader: "planted",
            entry: "main",
            constants: Vec::new(),
            uniform: bytemuck::bytes_of(uniform).to_vec(),
            fields: U::FIELDS,
            bindings: vec![("y", Slot::Value(0))],
            groups: [1; 3],
            measured: None,
        }
    }

    #[test]
    fn a_uniform_of_another_type_is_found() {
        let found = Reflection {
            entry: "main",
            bindings: &[
                Binding { name: "params", index: 0, access: Access::Uniform },
                Binding { name: "y", index: 1, access: Access::ReadWrite },
            ],
            uniform_fields: &[
                ("count", 0, Some(Scalar::U32)),
                ("factor", 4, Some(Scalar::F32)),
                ("shift", 8, Some(Scalar::I32)),
            ],
            uniform_bytes: 12,
        };
        let right = dispatch(&Right { count: 1, factor: 1.0, shift: 1 });
        assert_eq!(mismatch(&right, &found), None);
        let wrong = dispatch(&Wrong { count: 1.0, factor: 1.0, shift: 1 });
        assert!(mismatch(&wrong, &found).is_some_and(|text| text.contains("uniform fields")));
    }
}
