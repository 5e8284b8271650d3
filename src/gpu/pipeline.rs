//! Prepared command lists: dispatches bound to buffers.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};

use super::device::{Buffer, Gpu};
use super::kernel::{Kernel, mismatch};
use super::record::{Dispatch, Slot};
use super::turns::Durations;

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
    pub(super) durations: Durations,
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
        gpu.compile(dispatches.iter().map(|(_, dispatch)| dispatch))?;
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
            let uncompiled = || {
                let what = format!("kernel {}/{} was not compiled", dispatch.shader, dispatch.entry);
                Error::device(what, "this is our bug")
            };
            let kernel = gpu.kernel(dispatch).ok_or_else(uncompiled)?;
            if let Some(problem) = mismatch(dispatch, &kernel.reflection) {
                let what = format!("kernel {}/{} of {label}: {problem}", dispatch.shader, dispatch.entry);
                return Err(Error::device(what, "this is our bug"));
            }
            let find = |name: &str| dispatch.bindings.iter().find(|(n, _)| *n == name).map(|(_, slot)| *slot);
            let buffers: Vec<_> = kernel
                .reflection
                .bindings
                .iter()
                .map(|b| find(b.name).map(|slot| place(index, slot)))
                .collect();
            let entries: Vec<_> = std::iter::zip(kernel.reflection.bindings, &buffers)
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
        let durations = Durations::new(steps.len());
        Ok(Self { gpu: Arc::clone(gpu), steps, per_submission: per_submission.max(1), durations })
    }

    pub(super) const fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// Number of dispatches.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.steps.len()
    }

    /// True if there is nothing to run.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Submits the dispatches with these indices, in order; returns without waiting.
    pub fn run_part(&self, part: Range<usize>) {
        for chunk in self.steps[part].chunks(self.per_submission) {
            let mut encoder =
                self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                for (index, step) in chunk.iter().enumerate() {
                    // Neighbours often share a kernel, an optimiser's above all.
                    let same = index > 0 && Arc::ptr_eq(&chunk[index - 1].kernel, &step.kernel);
                    record(&mut pass, step, same);
                }
            }
            self.gpu.queue.submit([encoder.finish()]);
        }
    }

    /// Runs each dispatch of `part` in a pass of its own between two timestamps; `None` if the device has no timestamps.
    ///
    /// # Errors
    /// [`Error::Device`] if the device reported trouble.
    pub async fn profile(&self, part: Range<usize>) -> Result<Option<Vec<KernelTime>>> {
        let gpu = &self.gpu;
        if !gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Ok(None);
        }
        // A query set holds at most 4096 queries, two per dispatch.
        const CHUNK: usize = 2048;
        let mut times = Vec::with_capacity(part.len());
        let queries = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("kernel times"),
            ty: wgpu::QueryType::Timestamp,
            count: 2 * CHUNK as u32,
        });
        for chunk in self.steps[part].chunks(CHUNK) {
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
                record(&mut pass, step, false);
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

/// `same`: the pipeline is set already.
fn record(pass: &mut wgpu::ComputePass<'_>, step: &Step, same: bool) {
    if !same {
        pass.set_pipeline(&step.kernel.pipeline);
    }
    pass.set_bind_group(0, &step.bind_group, &[]);
    pass.dispatch_workgroups(step.groups[0], step.groups[1], step.groups[2]);
}
