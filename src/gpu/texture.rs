//! Pictures for a window that is drawn with the same device: buffers shown without a way over the host.

use super::device::{Buffer, Gpu};

/// Columns of a [`Texture`] are a multiple of this: WebGPU copies rows of whole 256 bytes, and a pixel has 4.
pub const TEXTURE_COLUMNS: usize = 64;

/// A picture of 8-bit RGBA pixels as stored values (no sRGB conversion), which a window can draw.
#[derive(Debug)]
pub struct Texture {
    raw: wgpu::Texture,
    view: wgpu::TextureView,
    width: u32,
    height: u32,
}

/// What a window needs to be drawn with the device that computes.
#[derive(Clone, Debug)]
pub struct WindowParts {
    /// The driver's door.
    pub instance: wgpu::Instance,
    /// The adapter.
    pub adapter: wgpu::Adapter,
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
}

impl Texture {
    /// Columns and rows.
    #[must_use]
    pub const fn size(&self) -> [usize; 2] {
        [self.width as usize, self.height as usize]
    }

    /// What a window's renderer binds.
    #[must_use]
    pub const fn view(&self) -> &wgpu::TextureView {
        &self.view
    }

    /// Pixels are drawn as they are.
    pub const NEAREST: wgpu::FilterMode = wgpu::FilterMode::Nearest;
}

impl Gpu {
    /// The device and all that belongs to it, for a window's renderer. Long work leaves it turns from here on
    /// ([`Gpu::share`]).
    #[must_use]
    pub fn window_parts(&self) -> WindowParts {
        self.share();
        WindowParts {
            instance: self.instance.clone(),
            adapter: self.adapter.clone(),
            device: self.device.clone(),
            queue: self.queue.clone(),
        }
    }

    /// A texture of at least `width` columns, rounded up to [`TEXTURE_COLUMNS`], and `height` rows.
    #[must_use]
    pub fn texture(&self, width: usize, height: usize) -> Texture {
        let most = self.device.limits().max_texture_dimension_2d;
        let width = (width.max(1).next_multiple_of(TEXTURE_COLUMNS) as u32).min(most);
        let height = (height.max(1) as u32).min(most);
        let raw = self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("picture"),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let view = raw.create_view(&wgpu::TextureViewDescriptor::default());
        Texture { raw, view, width, height }
    }

    /// Copies packed pixels (r, g, b, a from the low byte up), as many as the texture has, to it; returns without waiting.
    ///
    /// # Panics
    /// If the buffer is smaller than the texture.
    pub fn show(&self, pixels: &Buffer, texture: &Texture) {
        let needed = u64::from(texture.width) * u64::from(texture.height) * 4;
        assert!(pixels.bytes >= needed, "{} bytes for a texture of {needed}", pixels.bytes);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(texture.width * 4),
            rows_per_image: Some(texture.height),
        };
        encoder.copy_buffer_to_texture(
            wgpu::TexelCopyBufferInfo { buffer: &pixels.raw, layout },
            texture.raw.as_image_copy(),
            texture.raw.size(),
        );
        self.queue.submit([encoder.finish()]);
    }
}
