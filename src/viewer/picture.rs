//! Images that are read for the window, and their small pictures.

use std::sync::Arc;

use egui::ColorImage;

use crate::data::RgbImage;
use crate::error::Result;
use crate::explain::live::Photo;
use crate::gpu::Gpu;
use crate::pause;

use super::album::{ImageId, Origin, Truth};
use super::files::Files;
use super::news::{Bell, News};
use super::task::{Inbox, Mailbox, mailbox, spawn};

/// Longer side of a small picture, in pixels: twice the filmstrip's, for sharp screens.
const THUMB: usize = 160;

/// Longer side above which a photograph is kept at half its size too: composing a picture out of many pixels for each of the
/// window is slow.
const FAR: usize = 1600;

/// An image that can be shown.
pub struct Picture {
    /// Its number.
    pub id: ImageId,
    /// On the host.
    pub image: Arc<RgbImage>,
    /// On the device; smaller than the image where that is above the device's limits.
    pub photo: Photo,
    /// The same at a half, a quarter and so on, for when it is looked at from afar.
    reduced: Vec<Photo>,
    /// The labels that it came with.
    pub truth: Option<Truth>,
}

impl Picture {
    /// Reads an image and puts it on the device.
    ///
    /// # Errors
    /// Those of the file and of the device.
    pub fn load(gpu: &Gpu, files: &dyn Files, id: ImageId, origin: &Origin) -> Result<Self> {
        let (image, truth) = origin.load(files)?;
        let most = Photo::max_pixels(gpu);
        let pixels = image.width * image.height;
        let photo = if pixels > most {
            let factor = (most as f64 / pixels as f64).sqrt();
            let side = |side: usize| ((side as f64 * factor) as usize).max(1);
            Photo::new(gpu, &image.resized([side(image.height), side(image.width)]))?
        } else {
            Photo::new(gpu, &image)?
        };
        let mut reduced = Vec::new();
        let mut half = None;
        let mut size = photo.size;
        while size[0].max(size[1]) > FAR {
            let smaller = half.as_ref().unwrap_or(&image).resized(size.map(|side| side.div_ceil(2)));
            size = [smaller.height, smaller.width];
            reduced.push(Photo::new(gpu, &smaller)?);
            half = Some(smaller);
        }
        Ok(Self { id, image: Arc::new(image), photo, reduced, truth })
    }

    /// The photograph to look at with `zoom` window pixels per pixel of the image, and its number: of the reductions the
    /// smallest that has a pixel for every one of the window.
    #[must_use]
    pub fn seen_at(&self, zoom: f32) -> (usize, &Photo) {
        let width = zoom * self.image.width as f32;
        let enough = |photo: &&Photo| photo.size[1] as f32 >= width;
        match self.reduced.iter().rposition(|photo| enough(&photo)) {
            Some(index) => (index + 1, &self.reduced[index]),
            None => (0, &self.photo),
        }
    }

    /// Height and width.
    #[must_use]
    pub fn image_size(&self) -> [usize; 2] {
        [self.image.height, self.image.width]
    }
}

enum Job {
    Picture(ImageId, Origin),
    Thumb(ImageId, Origin),
}

/// Reads images beside the window.
pub struct Reader {
    pictures: Mailbox<Job>,
    thumbs: Mailbox<Job>,
}

impl Reader {
    /// Starts the threads: one for the image that is wanted now, one for small pictures.
    #[must_use]
    pub fn start(gpu: &Arc<Gpu>, files: &Arc<dyn Files>, bell: &Bell) -> Self {
        let start = |name: &str| {
            let (jobs, inbox) = mailbox();
            spawn(name, serve(Arc::clone(gpu), Arc::clone(files), inbox, bell.clone()));
            jobs
        };
        Self { pictures: start("images"), thumbs: start("thumbnails") }
    }

    /// Reads an image; takes the place of one that was wanted before and is not begun.
    pub fn read(&self, id: ImageId, origin: Origin) {
        self.pictures.send(Job::Picture(id, origin), |_| true);
    }

    /// Makes a small picture; `afresh` forgets those that are not begun.
    pub fn thumb(&self, id: ImageId, origin: Origin, afresh: bool) {
        self.thumbs.send(Job::Thumb(id, origin), |_| afresh);
    }
}

async fn serve(gpu: Arc<Gpu>, files: Arc<dyn Files>, inbox: Inbox<Job>, bell: Bell) {
    while let Some(job) = inbox.next().await {
        pause::breathe().await;
        match job {
            Job::Picture(id, origin) => {
                bell.tell(News::Picture(id, Picture::load(&gpu, &*files, id, &origin)))
            }
            Job::Thumb(id, origin) => {
                // The picture itself says what is wrong with a file once it is opened.
                let image = origin.load(&*files).map(|(image, _)| small(&image));
                bell.tell(News::Thumb(
                    id,
                    image.unwrap_or_else(|_| ColorImage::filled([1, 1], egui::Color32::TRANSPARENT)),
                ));
            }
        }
    }
}

fn small(image: &RgbImage) -> ColorImage {
    let longest = image.width.max(image.height).max(1);
    let side = |side: usize| (side * THUMB / longest).max(1);
    let small = if longest > THUMB { &image.resized([side(image.height), side(image.width)]) } else { image };
    ColorImage::from_rgb([small.width, small.height], &small.rgb)
}
