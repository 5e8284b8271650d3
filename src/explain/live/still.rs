//! What is seen, kept for a file while the window goes on.

use std::sync::Arc;

use glam::vec2;

use crate::data::RgbImage;
use crate::error::Result;
use crate::gpu::{Buffer, Gpu};

use super::layer::{Layer, Painted};
use super::screen::{Photo, Screen, View};

/// Pixels that are drawn and read back at a time: a photograph of any size needs no buffer of its own size, and a window on the
/// same device has its turns in between.
const PIECE: usize = 1 << 19;

/// A photograph and its colours as they were when it was taken.
pub struct Still {
    gpu: Arc<Gpu>,
    photo: Photo,
    layer: Option<Painted>,
}

impl Still {
    /// Takes it; returns without waiting. Labels and photograph never change, so only the colours are copied.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if there is no memory.
    pub fn take(gpu: &Arc<Gpu>, photo: &Photo, layer: Option<&Layer>) -> Result<Self> {
        let layer = match layer.map(Layer::painted) {
            Some(painted) => {
                let colors = gpu.buffer("colours of a picture", painted.colors.bytes)?;
                gpu.copy([(&painted.colors, &colors)]);
                Some(Painted { colors, ..painted })
            }
            None => None,
        };
        Ok(Self { gpu: Arc::clone(gpu), photo: photo.clone(), layer })
    }

    /// The whole photograph at `[H,W]`, its colours laid over it as `view` says, whose place and zoom do not matter.
    ///
    /// # Errors
    /// Those of recording and of the device.
    pub async fn draw(&self, view: &View, [height, width]: [usize; 2]) -> Result<RgbImage> {
        let rows = (PIECE / width.max(1)).clamp(1, height.max(1));
        let mut screen = Screen::of(&self.gpu, &self.photo, [self.layer.clone(), None], [rows, width])?;
        let zoom = height as f32 / self.photo.size[0] as f32;
        let mut rgb = Vec::with_capacity(3 * width * height);
        for top in (0..height).step_by(rows) {
            let view = View { origin: vec2(0.0, top as f32 / zoom), zoom, ..*view };
            screen.draw(&view, true);
            let count = rows.min(height - top) * width;
            let bytes = self.gpu.read(screen.pixels(), 4 * count as u64).await?;
            rgb.extend(opaque(&bytes));
        }
        Ok(RgbImage { width, height, rgb })
    }
}

/// The red, green and blue of packed colours.
fn opaque(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.as_chunks::<4>().0.iter().flat_map(|&[r, g, b, _]| [r, g, b])
}

impl Screen {
    /// Keeps the screen as it is now; returns without waiting.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if there is no memory.
    pub fn still(&self, gpu: &Gpu) -> Result<Buffer> {
        let copy = gpu.buffer("the window's picture", self.pixels().bytes)?;
        gpu.copy([(self.pixels(), &copy)]);
        Ok(copy)
    }
}

/// The first `[height, width]` pixels of a still screen with `columns` columns.
///
/// # Errors
/// Those of the device.
pub async fn read_screen(
    gpu: &Gpu,
    still: &Buffer,
    columns: usize,
    [height, width]: [usize; 2],
) -> Result<RgbImage> {
    let bytes = gpu.read(still, (4 * columns * height) as u64).await?;
    let rgb = bytes.chunks_exact(4 * columns).flat_map(|row| opaque(&row[..4 * width])).collect();
    Ok(RgbImage { width, height, rgb })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn noise(width: usize, height: usize) -> RgbImage {
        let rgb =
            (0..3 * width * height).map(|i| (crate::rng::uniform(1, 0, i as u32) * 256.0) as u8).collect();
        RgbImage { width, height, rgb }
    }

    #[test]
    fn a_bare_photograph_comes_back_as_it_is() {
        let gpu = testing::gpu();
        // Several pieces, the last of them not full.
        for [height, width] in [[701, 900], [1, 1], [3, 5]] {
            let image = noise(width, height);
            let photo = Photo::new(&gpu, &image).expect("it fits");
            let still = Still::take(&gpu, &photo, None).expect("taken");
            let found = pollster::block_on(still.draw(&View::default(), [height, width])).expect("drawn");
            assert_eq!([found.height, found.width], [height, width]);
            let wrong = found.rgb.iter().zip(&image.rgb).filter(|(a, b)| a != b).count();
            assert_eq!(wrong, 0, "{width}x{height}");
        }
    }

    #[test]
    fn a_screen_is_read_without_its_padding() {
        let gpu = testing::gpu();
        let image = noise(4, 3);
        let photo = Photo::new(&gpu, &image).expect("it fits");
        let mut screen = Screen::new(&gpu, &photo, [None, None], [5, 8]).expect("planned");
        screen.draw(&View::default(), true);
        let still = screen.still(&gpu).expect("copied");
        let found = pollster::block_on(read_screen(&gpu, &still, 8, [3, 4])).expect("read");
        assert!(found.rgb == image.rgb, "{:?}\n{:?}", found.rgb, image.rgb);
    }
}
