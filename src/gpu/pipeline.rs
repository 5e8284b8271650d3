//! Kernels (pipeline + layout, cached by shader, entry point and constants) and prepared command lists.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use crate::error::{Error, Result};

use super::device::{Buffer, Gpu, ShaderEntry};
use super::record::{Dispatch, Slot};
use super::reflect::{Access, Reflection, reflect};
use super::shaders;
use super::variant::Variant;

/// Shader stem, entry point, constants (as bits, so that they compare exactly).
pub(super) type KernelKey = (&'static str, &'static str, Vec<(&'static str, u64)>);

/// A compiled kernel.
pub(super) struct Kernel {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    reflection: Reflection,
}

/// What naga lets the shaders of a family use.
fn capabilities(variant: Variant) -> naga::valid::Capabilities {
    use naga::valid::Capabilities as Can;
    match variant {
        Variant::Floor | Variant::Gpu => Can::empty(),
        Variant::Software | Variant::Subgroup => Can::SUBGROUP,
        Variant::F16 => Can::SHADER_FLOAT16,
        Variant::Matrix => Can::SUBGROUP | Can::SHADER_FLOAT16 | Can::COOPERATIVE_MATRIX,
    }
}

pub(super) fn compile_shader(device: &wgpu::Device, stem: &'static str) -> Result<ShaderEntry> {
    let shader = shaders::get(stem);
    let source = shader.source;
    let reflections = reflect(stem, source, capabilities(shader.variant()))?;
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(stem),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    Ok((module, reflections))
}

/// One dispatch with everything bound.
struct Step {
    kernel: Arc<Kernel>,
    bind_group: wgpu::BindGroup,
    groups: [u32; 3],
    label: String,
}

/// GPU time of one dispatch.
#[derive(Clone, Debug)]
pub struct KernelTime {
    /// The step's label.
    pub label: String,
    /// Time on the device in seconds.
    pub seconds: f64,
}

/// Dispatches bound to buffers, ready to be run any number of times without an allocation.
pub struct Commands {
    gpu: Arc<Gpu>,
    steps: Vec<Step>,
    /// How many dispatches go into one submission: a driver's watchdog counts the time of one.
    per_submission: usize,
}

impl Gpu {
    fn kernel(&self, dispatch: &Dispatch) -> Result<Arc<Kernel>> {
        let constants = dispatch.constants.iter().map(|&(name, value)| (name, value.to_bits())).collect();
        let key = (dispatch.shader, dispatch.entry, constants);
        if let Some(kernel) = self.kernels.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(kernel));
        }
        let shader = self.shader(dispatch.shader)?;
        let reflection = shader.1.get(dispatch.entry).cloned().ok_or_else(|| {
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
            module: &shader.0,
            entry_point: Some(dispatch.entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &dispatch.constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        self.check()?;
        let kernel = Arc::new(Kernel { pipeline, layout, reflection });
        self.kernels.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&kernel));
        Ok(kernel)
    }
}

/// Says how a dispatch and its kernel disagree, if they do. Always our bug, so found at plan time, in words.
pub(super) fn mismatch(dispatch: &Dispatch, reflection: &Reflection) -> Option<String> {
    let declared = &reflection.uniform_fields;
    let given = dispatch.fields.iter().map(|&(name, offset, scalar)| (name, offset, Some(scalar)));
    if reflection.uniform_bytes > 0 && !declared.iter().map(|(n, o, s)| (n.as_str(), *o, *s)).eq(given) {
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
        if names.remove(binding.name.as_str()) != Some(1) {
            return Some(format!("binding `{}` is not given exactly once", binding.name));
        }
    }
    names.keys().next().map(|name| format!("binding `{name}` is given, and the kernel does not use it"))
}

impl Commands {
    /// Binds `dispatches` to buffers: `place` gives each dispatch's slots their buffer. Uniforms go into one buffer.
    ///
    /// # Errors
    /// [`Error::Device`] if a kernel does not compile or a dispatch does not fit its kernel.
    pub fn new(
        gpu: &Arc<Gpu>,
        dispatches: &[(String, Dispatch)],
        per_submission: usize,
        place: impl Fn(usize, Slot) -> Buffer,
    ) -> Result<Self> {
        let align = gpu.caps().uniform_align.max(16) as usize;
        let mut bytes = Vec::new();
        let mut offsets = Vec::with_capacity(dispatches.len());
        for (_, dispatch) in dispatches {
            bytes.resize(bytes.len().next_multiple_of(align), 0);
            offsets.push(bytes.len());
            bytes.extend_from_slice(&dispatch.uniform);
            bytes.resize(bytes.len().next_multiple_of(16), 0);
        }
        let uniforms = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("uniforms"),
            size: (bytes.len().max(16)) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        gpu.queue.write_buffer(&uniforms, 0, &bytes);
        let mut steps = Vec::with_capacity(dispatches.len());
        for (index, (label, dispatch)) in dispatches.iter().enumerate() {
            let kernel = gpu.kernel(dispatch)?;
            if let Some(problem) = mismatch(dispatch, &kernel.reflection) {
                let what = format!("kernel {}/{} of {label}: {problem}", dispatch.shader, dispatch.entry);
                return Err(Error::device(what, "this is our bug"));
            }
            let find = |name: &str| dispatch.bindings.iter().find(|(n, _)| *n == name).map(|(_, slot)| *slot);
            let buffers: Vec<_> = kernel
                .reflection
                .bindings
                .iter()
                .map(|b| find(&b.name).map(|slot| place(index, slot)))
                .collect();
            let entries: Vec<_> = std::iter::zip(&kernel.reflection.bindings, &buffers)
                .map(|(binding, buffer)| wgpu::BindGroupEntry {
                    binding: binding.index,
                    resource: match buffer {
                        Some(buffer) => buffer.raw.as_entire_binding(),
                        None => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                            buffer: &uniforms,
                            offset: offsets[index] as u64,
                            size: std::num::NonZeroU64::new(
                                dispatch.uniform.len().next_multiple_of(16) as u64
                            ),
                        }),
                    },
                })
                .collect();
            let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &kernel.layout,
                entries: &entries,
            });
            steps.push(Step { kernel, bind_group, groups: dispatch.groups, label: label.clone() });
        }
        gpu.check()?;
        Ok(Self { gpu: Arc::clone(gpu), steps, per_submission: per_submission.max(1) })
    }

    /// Submits every dispatch in order; returns without waiting.
    pub fn run(&self) {
        self.run_part(0..self.steps.len());
    }

    /// Submits the dispatches with these indices, in order; returns without waiting.
    pub fn run_part(&self, part: Range<usize>) {
        for chunk in self.steps[part].chunks(self.per_submission) {
            let mut encoder =
                self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                for step in chunk {
                    record(&mut pass, step);
                }
            }
            self.gpu.queue.submit([encoder.finish()]);
        }
    }

    /// Runs every dispatch in a pass of its own between two timestamps; `None` if the device has no timestamps.
    ///
    /// # Errors
    /// [`Error::Device`] if the device reported trouble.
    pub async fn profile(&self) -> Result<Option<Vec<KernelTime>>> {
        let gpu = &self.gpu;
        if !gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Ok(None);
        }
        // A query set holds at most 4096 queries, two per dispatch.
        const CHUNK: usize = 2048;
        let mut times = Vec::with_capacity(self.steps.len());
        let queries = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("kernel times"),
            ty: wgpu::QueryType::Timestamp,
            count: 2 * CHUNK as u32,
        });
        for chunk in self.steps.chunks(CHUNK) {
            let bytes = chunk.len() as u64 * 16;
            let resolved = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("kernel times"),
                size: bytes,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            for (index, step) in chunk.iter().enumerate() {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: Some(&step.label),
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &queries,
                        beginning_of_pass_write_index: Some(2 * index as u32),
                        end_of_pass_write_index: Some(2 * index as u32 + 1),
                    }),
                });
                record(&mut pass, step);
            }
            encoder.resolve_query_set(&queries, 0..2 * chunk.len() as u32, &resolved, 0);
            gpu.queue.submit([encoder.finish()]);
            let raw = gpu.read(&Buffer { raw: resolved, bytes }, bytes).await?;
            let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&raw);
            let period_secs = f64::from(gpu.queue.get_timestamp_period()) * 1e-9;
            for (pair, step) in std::iter::zip(ticks.chunks_exact(2), chunk) {
                let seconds = pair[1].saturating_sub(pair[0]) as f64 * period_secs;
                times.push(KernelTime { label: step.label.clone(), seconds });
            }
        }
        Ok(Some(times))
    }
}

fn record(pass: &mut wgpu::ComputePass<'_>, step: &Step) {
    pass.set_pipeline(&step.kernel.pipeline);
    pass.set_bind_group(0, &step.bind_group, &[]);
    pass.dispatch_workgroups(step.groups[0], step.groups[1], step.groups[2]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{Uniform, uniform};

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
        let source = "struct Params { count: u32, factor: f32, shift: i32 }
            @group(0) @binding(0) var<uniform> params: Params;
            @group(0) @binding(1) var<storage, read_write> y: array<f32>;
            @compute @workgroup_size(1) fn main() { y[params.count] = params.factor; }";
        let found = reflect("planted", source, naga::valid::Capabilities::empty()).expect("valid");
        let right = dispatch(&Right { count: 1, factor: 1.0, shift: 1 });
        assert_eq!(mismatch(&right, &found["main"]), None);
        let wrong = dispatch(&Wrong { count: 1.0, factor: 1.0, shift: 1 });
        assert!(mismatch(&wrong, &found["main"]).is_some_and(|text| text.contains("uniform fields")));
    }
}
