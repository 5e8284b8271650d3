//! An open device: queue, caches, and the place where driver errors become ours.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};

use super::adapter;
use super::browser;
use super::caps::Caps;
use super::kernel::{Kernel, KernelKey};
use super::pipeline_cache::PipelineCache;
use super::tiles::{Gemm, Tile, Tiles};
use super::tuning::{self, Tuning};
use super::variant::Variant;

/// A buffer on the device, with its size in bytes.
#[derive(Clone, Debug)]
pub struct Buffer {
    pub(super) raw: wgpu::Buffer,
    /// Size in bytes, a multiple of 16.
    pub bytes: u64,
}

/// An open device. Cheap to share behind an [`Arc`].
pub struct Gpu {
    pub(super) instance: wgpu::Instance,
    pub(super) adapter: wgpu::Adapter,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) shared: AtomicBool,
    pub(super) first_run: Mutex<Option<[u32; 2]>>,
    caps: Caps,
    name: String,
    pub(super) shaders: Mutex<HashMap<&'static str, wgpu::ShaderModule>>,
    pub(super) kernels: Mutex<HashMap<KernelKey, Arc<Kernel>>>,
    pub(super) cache: PipelineCache,
    trouble: Arc<Mutex<Option<String>>>,
    lost: Arc<AtomicBool>,
    tuning: Tuning,
}

impl Gpu {
    /// Opens the adapter that `wanted` names (index or part of its name), or the fastest one.
    ///
    /// `variant` names the family of kernels, so that each can be run wherever the adapter has what it takes; the default
    /// is the one that suits the adapter and computes in `f32`.
    ///
    /// # Errors
    /// [`Error::Device`] if there is no adapter (with the driver package to install), it cannot run `variant` or it
    /// cannot be opened.
    pub async fn open(wanted: Option<&str>, variant: Option<Variant>) -> Result<Arc<Self>> {
        let (instance, adapter) = adapter::choose(wanted).await?;
        let described = browser::describe().await;
        // A program's kernels where the browser's words tell of one and wgpu's do not.
        let wanted = variant.or(described.software.then_some(Variant::Floor));
        let mut caps = adapter::caps(&adapter, wanted)?;
        caps.software |= described.software;
        let offered = adapter.limits();
        let mut features =
            adapter.features() & (wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::PIPELINE_CACHE);
        if caps.subgroups {
            features |= wgpu::Features::SUBGROUP;
        }
        if matches!(caps.variant, Variant::F16 | Variant::Matrix) {
            features |= wgpu::Features::SHADER_F16;
        }
        let experimental_features = if caps.variant == Variant::Matrix {
            features |= wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
            // SAFETY: the user asked for this family by name; its shaders are our own and never leave their buffers.
            unsafe { wgpu::ExperimentalFeatures::enabled() }
        } else {
            wgpu::ExperimentalFeatures::disabled()
        };
        let limits = wgpu::Limits {
            max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
            max_buffer_size: offered.max_buffer_size,
            min_uniform_buffer_offset_alignment: offered.min_uniform_buffer_offset_alignment,
            max_compute_workgroup_storage_size: if caps.variant == Variant::Matrix {
                adapter::MATRIX_WORKGROUP_BYTES
            } else {
                wgpu::Limits::default().max_compute_workgroup_storage_size
            },
            ..wgpu::Limits::default()
        };
        let info = adapter.get_info();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("protoseg"),
            required_features: features,
            required_limits: limits,
            experimental_features,
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|e| {
            Error::device(format!("cannot open `{}`: {e}", info.name), "choose another one with --adapter")
        })?;
        let trouble = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&trouble);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| keep_first(&seen, error.to_string())));
        let (seen, lost) = (Arc::clone(&trouble), Arc::new(AtomicBool::new(false)));
        let gone = Arc::clone(&lost);
        device.set_device_lost_callback(move |reason, text| {
            gone.store(true, Ordering::Release);
            // Dropping the device at the end of a program is reported here too, and is no trouble.
            if reason != wgpu::DeviceLostReason::Destroyed {
                keep_first(&seen, format!("the device was lost ({reason:?}): {text}"));
            }
        });
        let name = if cfg!(target_arch = "wasm32") {
            let known = if described.name.is_empty() { &info.name } else { &described.name };
            format!("{} (WebGPU)", if known.is_empty() { "adapter without a name" } else { known })
        } else {
            format!("{} ({}, {})", info.name, info.backend, info.driver_info)
        };
        let (shaders, kernels) = (Mutex::default(), Mutex::default());
        let cache = PipelineCache::open(&device, &info);
        let tuning = Tuning::default();
        let shared = AtomicBool::new(false);
        Ok(Arc::new(Self {
            instance,
            adapter,
            device,
            queue,
            shared,
            first_run: Mutex::default(),
            caps,
            name,
            shaders,
            kernels,
            cache,
            trouble,
            lost,
            tuning,
        }))
    }

    /// Adapter name, backend and driver, for messages and published numbers.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Capabilities.
    #[must_use]
    pub const fn caps(&self) -> &Caps {
        &self.caps
    }

    /// From here on tiles are measured for every product of matrices that is new, and kept in the user's cache folder.
    ///
    /// # Errors
    /// [`Error::Device`] if the family of kernels has no tiles to choose from, or the device has no timestamps.
    pub fn measure_tiles(&self) -> Result<()> {
        let variant = self.caps.variant;
        if !variant.is_parallel() {
            return Err(Error::device(
                format!(
                    "the kernels of the variant `{variant}` have fixed tiles, so nothing can be measured"
                ),
                "leave --autotune out, or give a variant for GPUs such as --variant gpu",
            ));
        }
        if !self.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            let problem = format!("`{}` cannot time kernels", self.name);
            return Err(Error::device(problem, "leave --autotune out: tiles come from a table then"));
        }
        let identity = format!("{} {variant} protoseg {}", self.name, env!("CARGO_PKG_VERSION"));
        self.tuning.start(tuning::file(&identity));
        Ok(())
    }

    /// [`Gpu::measure_tiles`] without a file, for tests.
    #[doc(hidden)]
    pub fn measure_in_memory(&self) {
        self.tuning.start(None);
    }

    /// Tiles measured so far; `None` if none are to be.
    #[must_use]
    pub fn measured_tiles(&self) -> Option<BTreeMap<Gemm, Tile>> {
        self.tuning.known()
    }

    /// Keeps what was measured.
    ///
    /// # Errors
    /// [`Error::Io`] if the cache folder cannot be written.
    pub fn keep_tiles(&self, found: BTreeMap<Gemm, Tile>) -> Result<()> {
        self.tuning.add(found)
    }

    /// Capabilities with the tiles measured so far.
    #[must_use]
    pub fn tuned_caps(&self) -> Caps {
        Caps { tiles: Tiles::measured(self.measured_tiles().unwrap_or_default()), ..self.caps.clone() }
    }

    /// The first error that the driver reported since the last call, as ours. That the device is lost is told at every call.
    ///
    /// # Errors
    /// [`Error::Device`] for a validation error, memory that ran out or a lost device.
    pub fn check(&self) -> Result<()> {
        let told = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        match told.or_else(|| self.is_lost().then(|| "the device is lost".to_owned())) {
            None => Ok(()),
            Some(text) => Err(Error::device(
                format!("`{}` reported: {}", self.name, text.lines().collect::<Vec<_>>().join(" ")),
                "try a smaller batch or crop, or another --adapter; if it stays, please report it",
            )),
        }
    }

    /// True once the device is lost: a driver was reset or updated, a card unplugged. Nothing of it can be used again, and
    /// opening a new one is the way on.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Destroys the device, which then is lost as after a driver's reset: for tests of what follows.
    #[doc(hidden)]
    pub fn lose(&self) {
        self.device.destroy();
    }

    /// A zeroed storage buffer of at least `bytes`, rounded up to 16.
    ///
    /// # Errors
    /// [`Error::Device`] if it is above the device's limits.
    pub fn buffer(&self, label: &str, bytes: u64) -> Result<Buffer> {
        let bytes = bytes.max(16).next_multiple_of(16);
        let limit = self.caps.max_binding_bytes.min(self.caps.max_buffer_bytes);
        if bytes > limit {
            return Err(Error::device(
                format!("`{label}` needs {bytes} bytes in one binding and the device allows {limit}"),
                "use a smaller batch, crop or image",
            ));
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let descriptor =
            wgpu::BufferDescriptor { label: Some(label), size: bytes, usage, mapped_at_creation: false };
        Ok(Buffer { raw: self.device.create_buffer(&descriptor), bytes })
    }

    /// Uploads `data` to the start of `buffer`; done before the next submission.
    pub fn write(&self, buffer: &Buffer, data: &[u8]) {
        self.queue.write_buffer(&buffer.raw, 0, data);
    }

    /// Copies each pair's first buffer to its second, as much as both have, on the device; returns without waiting.
    pub fn copy<'a>(&self, pairs: impl IntoIterator<Item = (&'a Buffer, &'a Buffer)>) {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for (from, to) in pairs {
            encoder.copy_buffer_to_buffer(&from.raw, 0, &to.raw, 0, from.bytes.min(to.bytes));
        }
        self.queue.submit([encoder.finish()]);
    }

    /// What `pending`, which resolves when submitted work is done, gives. In a browser the errors of that work are known only
    /// then; natively, waiting is what makes it resolve.
    pub(super) async fn settled<T>(&self, pending: impl Future<Output = T>) -> Result<T> {
        let value = if self.is_shared() {
            self.poll_until(pending).await?
        } else {
            self.wait()?;
            pending.await
        };
        self.check()?;
        Ok(value)
    }

    /// Waits until all submitted work is done. In a browser it returns at once: there, callbacks run by themselves.
    ///
    /// # Errors
    /// [`Error::Device`] if the device reported trouble.
    pub fn wait(&self) -> Result<()> {
        if !cfg!(target_arch = "wasm32") {
            self.guarded(|| self.device.poll(wgpu::PollType::wait_indefinitely()));
        }
        self.check()
    }

    /// Calls `poll` unless the device is lost, and keeps what went wrong for [`Gpu::check`]. wgpu panics where a driver
    /// loses the device during a poll: that is a lost device like any other, and nothing of it is used again.
    pub(super) fn guarded<T, E: std::fmt::Display>(&self, poll: impl FnOnce() -> std::result::Result<T, E>) {
        if self.is_lost() {
            return;
        }
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => keep_first(&self.trouble, error.to_string()),
            Err(panic) => {
                self.lost.store(true, Ordering::Release);
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text =
                    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
                keep_first(&self.trouble, format!("the device was lost: {text}"));
            }
        }
    }
}

fn keep_first(place: &Mutex<Option<String>>, text: String) {
    place.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_panic_while_waiting_is_a_lost_device() {
        let gpu = testing::gpu();
        let buffer = gpu.buffer("some", 16).expect("16 bytes");
        gpu.guarded(|| -> Result<()> { panic!("In Device::poll: {}", "Parent device is lost") });
        assert!(gpu.is_lost());
        let error = gpu.wait().expect_err("the device is lost").to_string();
        assert!(error.contains("Parent device is lost"), "{error}");
        // What was told is told again in fewer words, without another poll.
        gpu.guarded(|| -> Result<()> { unreachable!("a lost device is not polled") });
        assert!(gpu.wait().is_err() && gpu.check().is_err());
        assert!(pollster::block_on(gpu.read(&buffer, 16)).is_err());
    }

    #[test]
    fn trouble_that_comes_with_the_answer_is_told() {
        let gpu = testing::gpu();
        let late = async { keep_first(&gpu.trouble, "told late".to_owned()) };
        let error = pollster::block_on(gpu.settled(late)).expect_err("there was trouble").to_string();
        assert!(error.contains("told late"), "{error}");
        assert_eq!(pollster::block_on(gpu.settled(async { 1 })).expect("no trouble is left"), 1);
    }
}
