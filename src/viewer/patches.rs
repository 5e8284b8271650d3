//! The nearest patches of every prototype over the opened images, looked for beside the window, and their small pictures.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use egui::ColorImage;
use web_time::{Duration, Instant};

use crate::data::RgbImage;
use crate::error::Result;
use crate::explain::live::{Patch, nearest_patches};
use crate::gpu::Gpu;
use crate::infer::Inspector;
use crate::model_file::ModelFile;
use crate::pause;
use crate::tape::Store;

use super::album::{ImageId, Origin};
use super::engine::{ModelId, analyse};
use super::files::Files;
use super::news::{Bell, News};
use super::recent::Recent;
use super::task::{Inbox, Mailbox, mailbox, spawn};

/// Patches of one prototype.
const BEST: usize = 12;
/// Of these at most so many of one image.
const OF_ONE: usize = 3;
/// Side of a small picture, in pixels: twice that in the window, for sharp screens.
const SIDE: usize = 144;
/// A small picture shows a square of this part of the image's shorter side.
const PART: usize = 6;
/// Its least side in the image, in pixels.
const LEAST: usize = 24;
/// How often the window hears of a growing index.
const BEAT: Duration = Duration::from_millis(200);
/// How long a search gives way before each image.
const PATIENCE: Duration = Duration::from_secs(4);
/// Images that small pictures are cut from, kept at a time.
const MAX_IMAGES: usize = 4;

/// A patch of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The image.
    pub image: ImageId,
    /// Column and row in it, in its pixels.
    pub at: [f32; 2],
    /// Cosine to the prototype.
    pub cosine: f32,
    /// What the model takes the place for: class, and the nearest prototype of it.
    pub label: (usize, usize),
}

/// What a small picture is known by: image, column and row.
pub type Place = (ImageId, u32, u32);

impl Found {
    /// The small picture's key.
    #[must_use]
    pub fn place(&self) -> Place {
        (self.image, self.at[0] as u32, self.at[1] as u32)
    }
}

/// The nearest patches of every prototype, `[C*K]` lists, nearest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    /// The lists.
    pub best: Vec<Vec<Found>>,
    /// Images that were looked through, of all that are wanted.
    pub images: [usize; 2],
    /// Images that could not be read.
    pub failed: usize,
    /// Whether nothing more is to come.
    pub ended: bool,
}

impl Index {
    /// Adds the patches of one image, `[C*K]` lists.
    fn add(&mut self, found: &[Vec<Found>]) {
        self.best.resize(found.len(), Vec::new());
        for (best, found) in self.best.iter_mut().zip(found) {
            best.extend(found.iter().take(OF_ONE));
            // Of equals the earlier image's; the sort keeps the order within an image.
            best.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.image.cmp(&b.image)));
            best.truncate(BEST);
        }
    }
}

/// What is to be looked through.
pub struct Wanted {
    /// The model.
    pub model: ModelId,
    /// Its file.
    pub path: PathBuf,
    /// The images.
    pub images: Vec<(ImageId, Origin)>,
    /// Longer side at which they are analysed, at most.
    pub limit: usize,
}

/// The window's end.
pub struct Searcher {
    jobs: Mailbox<(u64, Wanted)>,
    cuts: Mailbox<(ImageId, Origin, Vec<Place>)>,
    /// The number of the search that is wanted; one with another number ends itself.
    current: Arc<AtomicU64>,
    /// Whether somebody waits for the device.
    hurry: Arc<AtomicBool>,
}

impl Searcher {
    /// Starts the threads; what they find is told to `bell`.
    #[must_use]
    pub fn start(gpu: &Arc<Gpu>, files: &Arc<dyn Files>, bell: &Bell) -> Self {
        let current = Arc::new(AtomicU64::new(0));
        let (jobs, inbox) = mailbox();
        let hurry = Arc::new(AtomicBool::new(false));
        let search = Search {
            gpu: Arc::clone(gpu),
            files: Arc::clone(files),
            bell: bell.clone(),
            hurry: Arc::clone(&hurry),
        };
        spawn("patches", serve(search, inbox, Arc::clone(&current)));
        let (cuts, cut_inbox) = mailbox();
        spawn("small patches", cut_all(Arc::clone(files), cut_inbox, bell.clone()));
        Self { jobs, cuts, current, hurry }
    }

    /// Looks through images, instead of what was looked through before; returns the search's number.
    pub fn search(&self, wanted: Wanted) -> u64 {
        let number = self.current.fetch_add(1, Ordering::Relaxed) + 1;
        self.jobs.send((number, wanted), |_| true);
        number
    }

    /// Lets the search wait before its next image, for what is wanted now.
    pub fn give_way(&self, hurry: bool) {
        self.hurry.store(hurry, Ordering::Relaxed);
    }

    /// Ends the search; returns the number that no search has.
    pub fn cancel(&self) -> u64 {
        self.current.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Cuts small pictures out of an image.
    pub fn cut(&self, image: ImageId, origin: Origin, places: Vec<Place>) {
        self.cuts.send((image, origin, places), |_| false);
    }
}

/// A model with what it was asked before.
struct Loaded {
    model: ModelId,
    inspector: Inspector,
    store: Store,
    /// At which limit the images were analysed.
    limit: usize,
    known: BTreeMap<ImageId, Vec<Vec<Found>>>,
}

/// What a search needs of the window.
struct Search {
    gpu: Arc<Gpu>,
    files: Arc<dyn Files>,
    bell: Bell,
    hurry: Arc<AtomicBool>,
}

async fn serve(search: Search, inbox: Inbox<(u64, Wanted)>, current: Arc<AtomicU64>) {
    let mut loaded: Option<Loaded> = None;
    while let Some((number, wanted)) = inbox.next().await {
        if loaded.as_ref().is_none_or(|known| known.model != wanted.model) {
            loaded = None;
            match search.load(&wanted) {
                Ok(found) => loaded = Some(found),
                Err(error) => search.bell.tell(News::Patches(number, Err(error))),
            }
        }
        if let Some(loaded) = &mut loaded {
            search.run(loaded, number, &wanted, &current).await;
        }
    }
}

impl Search {
    fn load(&self, wanted: &Wanted) -> Result<Loaded> {
        let file = ModelFile::from_bytes(&wanted.path, self.files.read(&wanted.path)?)?;
        let (inspector, store) = Inspector::open(&self.gpu, &file)?;
        Ok(Loaded { model: wanted.model, inspector, store, limit: wanted.limit, known: BTreeMap::new() })
    }

    async fn run(&self, loaded: &mut Loaded, number: u64, wanted: &Wanted, current: &AtomicU64) {
        if loaded.limit != wanted.limit {
            loaded.known.clear();
            loaded.limit = wanted.limit;
        }
        let mut index = Index { images: [0, wanted.images.len()], ..Index::default() };
        let mut told = Instant::now();
        for (image, origin) in &wanted.images {
            if current.load(Ordering::Relaxed) != number {
                return;
            }
            if !loaded.known.contains_key(image) {
                self.wait().await;
                match self.look(loaded, *image, origin).await {
                    Ok(found) => {
                        loaded.known.insert(*image, found);
                    }
                    // The image itself says what is wrong with it once it is shown.
                    Err(_) => index.failed += 1,
                }
            }
            if let Some(found) = loaded.known.get(image) {
                index.add(found);
            }
            index.images[0] += 1;
            if told.elapsed() >= BEAT {
                told = Instant::now();
                self.bell.tell(News::Patches(number, Ok(index.clone())));
            }
        }
        index.ended = true;
        self.bell.tell(News::Patches(number, Ok(index)));
    }

    /// Gives way, but not for ever: something may be wanted all the time.
    async fn wait(&self) {
        let start = Instant::now();
        while self.hurry.load(Ordering::Relaxed) && start.elapsed() < PATIENCE {
            pause::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Analyses one image: its patches, and the counts of its pixels for the other panels.
    async fn look(&self, loaded: &mut Loaded, id: ImageId, origin: &Origin) -> Result<Vec<Vec<Found>>> {
        let (image, truth) = origin.load(&*self.files)?;
        let Loaded { model, inspector, store, limit, .. } = loaded;
        let seen = (&image, truth.as_ref());
        let analysis = analyse(&self.gpu, inspector, store, &mut None, seen, *limit, [*model, id]).await?;
        let patches = nearest_patches(&self.gpu, &analysis.maps, OF_ONE).await?;
        self.bell.tell(News::Counted(*model, id, analysis.protos, analysis.maps.shape, analysis.counts));
        let size = [image.width as f32, image.height as f32];
        let [height, width] = analysis.maps.size;
        let labels = self.gpu.read(&analysis.maps.label, (4 * height * width) as u64).await?;
        let labels: Vec<u32> = bytemuck::pod_collect_to_vec(&labels);
        let found = |patch: Patch| {
            let along = |share: f32, side: usize| ((share * side as f32) as usize).min(side - 1);
            let label = labels[along(patch.at[1], height) * width + along(patch.at[0], width)];
            Found {
                image: id,
                at: [patch.at[0] * size[0], patch.at[1] * size[1]],
                cosine: patch.cosine,
                label: ((label & 0xffff) as usize, (label >> 16) as usize),
            }
        };
        Ok(patches.into_iter().map(|list| list.into_iter().map(found).collect()).collect())
    }
}

async fn cut_all(files: Arc<dyn Files>, inbox: Inbox<(ImageId, Origin, Vec<Place>)>, bell: Bell) {
    let mut images: Recent<ImageId, RgbImage> = Recent::new(MAX_IMAGES);
    while let Some((id, origin, places)) = inbox.next().await {
        if images.get(&id).is_none()
            && let Ok((image, _)) = origin.load(&*files)
        {
            images.put(id, image);
        }
        pause::breathe().await;
        for place in places {
            let cut = images.get(&id).map(|image| cut(image, [place.1 as usize, place.2 as usize]));
            let none = || ColorImage::filled([1, 1], egui::Color32::TRANSPARENT);
            bell.tell(News::Cut(place, cut.unwrap_or_else(none)));
        }
    }
}

/// A square around a pixel, moved into the image where it would stand over.
fn cut(image: &RgbImage, [x, y]: [usize; 2]) -> ColorImage {
    let shorter = image.width.min(image.height);
    let side = (shorter / PART).max(LEAST).min(shorter).max(1);
    let first = |at: usize, of: usize| at.saturating_sub(side / 2).min(of - side);
    let (left, top) = (first(x, image.width), first(y, image.height));
    let row = |y: usize| {
        let start = 3 * (y * image.width + left);
        &image.rgb[start..start + 3 * side]
    };
    let rgb = (top..top + side).flat_map(row).copied().collect();
    let part = RgbImage { width: side, height: side, rgb }.resized([SIDE, SIDE]);
    ColorImage::from_rgb([SIDE, SIDE], &part.rgb)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(image: ImageId, cosine: f32) -> Found {
        Found { image, at: [1.0, 2.0], cosine, label: (0, 0) }
    }

    #[test]
    fn the_nearest_of_all_images_stay() {
        let mut index = Index::default();
        index.add(&[vec![found(0, 0.9), found(0, 0.8), found(0, 0.7), found(0, 0.6)], vec![]]);
        assert_eq!(index.best[0].len(), OF_ONE, "an image does not fill the list");
        for image in 1..6 {
            index.add(&[vec![found(image, 0.8), found(image, 0.5)], vec![found(image, 0.1)]]);
        }
        let of = |list: &[Found]| list.iter().map(|f| f.image).collect::<Vec<_>>();
        assert_eq!(of(&index.best[0]), [0, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4], "of equals the earlier image's");
        assert_eq!(of(&index.best[1]), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn squares_stay_in_the_image() {
        let rgb = (0..60 * 48).flat_map(|i| [(i % 60) as u8 * 4, (i / 60) as u8 * 5, 0]).collect();
        let image = RgbImage { width: 60, height: 48, rgb };
        for at in [[0, 0], [59, 47], [30, 20]] {
            let cut = cut(&image, at);
            assert_eq!(cut.size, [SIDE, SIDE]);
            // The middle of a square of 24 pixels.
            let middle = cut.pixels[SIDE / 2 * SIDE + SIDE / 2];
            let want = [at[0].clamp(12, 48), at[1].clamp(12, 36)];
            let found = [f32::from(middle.r()) / 4.0, f32::from(middle.g()) / 5.0];
            assert!(
                (found[0] - want[0] as f32).abs() <= 1.0 && (found[1] - want[1] as f32).abs() <= 1.0,
                "{found:?} {want:?}"
            );
        }
        let tiny = RgbImage { width: 1, height: 1, rgb: vec![9, 8, 7] };
        assert_eq!(cut(&tiny, [0, 0]).pixels[77], egui::Color32::from_rgb(9, 8, 7));
    }
}
