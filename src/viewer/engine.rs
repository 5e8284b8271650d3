//! Models and their analyses of images, on a thread of their own: the window asks, goes on drawing and is told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use web_time::Instant;

use crate::data::RgbImage;
use crate::error::Result;
use crate::explain::live::{Basis, Counts};
use crate::gpu::Gpu;
use crate::infer::{Inspector, Maps};
use crate::model::ModelSpec;
use crate::model_file::ModelFile;
use crate::tape::Store;

use super::album::{ImageId, Truth};
use super::files::Files;
use super::news::{Bell, News};
use super::picture::Picture;
use super::task::{Inbox, Mailbox, mailbox, spawn};

/// Number of an opened model, never used twice.
pub type ModelId = u64;

/// What is known of a model without its weights.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// Its file.
    pub path: PathBuf,
    /// Its description.
    pub spec: ModelSpec,
    /// Bytes of the file.
    pub bytes: u64,
}

/// An image as a model sees it.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// The model's number.
    pub model: ModelId,
    /// The image's number.
    pub image: ImageId,
    /// On the device.
    pub maps: Arc<Maps>,
    /// Pixels per class and prototype, and against the labels.
    pub counts: Counts,
    /// Class of every pixel as analysed, `[H*W]`, if the image has labels.
    pub truth: Option<Arc<Vec<Option<u32>>>>,
    /// `[C,K,D]`, unit rows in the prototype head.
    pub protos: Arc<Vec<f32>>,
    /// Colours of the embedding.
    pub basis: Arc<Basis>,
    /// Seconds that the network took, a first run's compilation of kernels included.
    pub seconds: f64,
}

enum Job {
    Open(ModelId, PathBuf),
    Close(ModelId),
    Analyse { model: ModelId, picture: Arc<Picture>, limit: usize },
}

/// The window's end.
pub struct Engine {
    jobs: Mailbox<Job>,
}

impl Engine {
    /// Starts the thread; what it finds is told to `bell`.
    #[must_use]
    pub fn start(gpu: &Arc<Gpu>, files: &Arc<dyn Files>, bell: Bell) -> Self {
        let (jobs, inbox) = mailbox();
        spawn("engine", serve(Arc::clone(gpu), Arc::clone(files), inbox, bell));
        Self { jobs }
    }

    /// Opens a model file.
    pub fn open(&self, id: ModelId, path: PathBuf) {
        self.jobs.send(Job::Open(id, path), |_| false);
    }

    /// Forgets a model.
    pub fn close(&self, id: ModelId) {
        self.jobs.send(Job::Close(id), |job| matches!(job, Job::Analyse { model, .. } if *model == id));
    }

    /// Analyses a picture with its longer side at most `limit` pixels; takes the place of what the same model was to analyse
    /// and has not begun.
    pub fn analyse(&self, model: ModelId, picture: Arc<Picture>, limit: usize) {
        let job = Job::Analyse { model, picture, limit };
        self.jobs
            .send(job, |waiting| matches!(waiting, Job::Analyse { model: other, .. } if *other == model));
    }
}

struct Loaded {
    inspector: Inspector,
    store: Store,
    basis: Option<Arc<Basis>>,
}

async fn serve(gpu: Arc<Gpu>, files: Arc<dyn Files>, inbox: Inbox<Job>, bell: Bell) {
    let mut models: BTreeMap<ModelId, Loaded> = BTreeMap::new();
    while let Some(job) = inbox.next().await {
        match job {
            Job::Open(id, path) => {
                let found = load(&gpu, &*files, path).map(|(info, loaded)| {
                    models.insert(id, loaded);
                    info
                });
                bell.tell(News::Model(id, found.map(Box::new)));
            }
            Job::Close(id) => {
                models.remove(&id);
            }
            Job::Analyse { model, picture, limit } => {
                let Some(loaded) = models.get_mut(&model) else { continue };
                let Loaded { inspector, store, basis } = loaded;
                let seen = (&*picture.image, picture.truth.as_ref());
                let found = analyse(&gpu, inspector, store, basis, seen, limit, [model, picture.id]).await;
                bell.tell(News::Analysis(model, picture.id, limit, found.map(Box::new)));
            }
        }
    }
}

fn load(gpu: &Arc<Gpu>, files: &dyn Files, path: PathBuf) -> Result<(ModelInfo, Loaded)> {
    let content = files.read(&path)?;
    let bytes = content.len() as u64;
    let file = ModelFile::from_bytes(&path, content)?;
    let (inspector, store) = Inspector::open(gpu, &file)?;
    let info = ModelInfo { spec: inspector.spec().clone(), path, bytes };
    Ok((info, Loaded { inspector, store, basis: None }))
}

/// Analyses an image, which may have labels, with its longer side at most `limit` pixels. `basis` is made where it is not there yet;
/// the numbers are the model's and the image's.
///
/// # Errors
/// Those of the device.
pub async fn analyse(
    gpu: &Arc<Gpu>,
    inspector: &mut Inspector,
    store: &mut Store,
    basis: &mut Option<Arc<Basis>>,
    (whole, truth): (&RgbImage, Option<&Truth>),
    limit: usize,
    ids: [u64; 2],
) -> Result<Analysis> {
    let start = Instant::now();
    let size = inspector.size([whole.height, whole.width], limit)?;
    let reduced;
    let image = if size == [whole.height, whole.width] {
        whole
    } else {
        reduced = whole.resized(size);
        &reduced
    };
    let maps = inspector.analyse(store, image).await?;
    let seconds = start.elapsed().as_secs_f64();
    let truth = truth.map(|truth| known(truth, whole, size, inspector.spec()));
    // Labels none of which is a class of the model say nothing about it.
    let truth = truth.filter(|truth| truth.iter().any(Option::is_some));
    look(gpu, Arc::new(maps), truth, basis, ids, seconds).await
}

/// Counts the pixels of `maps` and reads the prototypes: what an [`Analysis`] has beside its maps.
///
/// # Errors
/// Those of the device.
async fn look(
    gpu: &Arc<Gpu>,
    maps: Arc<Maps>,
    truth: Option<Vec<Option<u32>>>,
    basis: &mut Option<Arc<Basis>>,
    [model, image]: [u64; 2],
    seconds: f64,
) -> Result<Analysis> {
    let counts = Counts::of(gpu, &maps, truth.as_deref()).await?;
    let [c, k, d] = maps.shape;
    let padded = d.next_multiple_of(4);
    let held: Vec<f32> =
        bytemuck::pod_collect_to_vec(&gpu.read(&maps.protos, (c * k * padded * 4) as u64).await?);
    let protos: Vec<f32> = held.chunks_exact(padded).flat_map(|row| row[..d].to_vec()).collect();
    let basis = Arc::clone(basis.get_or_insert_with(|| Arc::new(Basis::of(&protos, d))));
    let (truth, protos) = (truth.map(Arc::new), Arc::new(protos));
    Ok(Analysis { model, image, maps, counts, truth, protos, basis, seconds })
}

/// The labels at the size of the analysis, as classes of the model: those of the same name.
fn known(truth: &Truth, whole: &RgbImage, [height, width]: [usize; 2], spec: &ModelSpec) -> Vec<Option<u32>> {
    let classes = &spec.classes.classes;
    // The first of a name is its class.
    let ids: BTreeMap<String, u32> =
        classes.iter().rev().map(|class| (class.name.to_ascii_lowercase(), class.id.into())).collect();
    let map: Vec<Option<u32>> =
        truth.names.iter().map(|name| ids.get(&name.to_ascii_lowercase()).copied()).collect();
    let at = |i: usize, from: usize, to: usize| ((2 * i + 1) * from / (2 * to)).min(from - 1);
    let columns: Vec<usize> = (0..width).map(|x| at(x, whole.width, width)).collect();
    let row = |y: usize| {
        let first = at(y, whole.height, height) * whole.width;
        let map = &map;
        columns.iter().map(move |x| {
            let label = truth.labels[first + x];
            map.get(usize::from(label)).copied().flatten()
        })
    };
    (0..height).flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_met_by_name_and_reduced_by_nearest() {
        let json = r#"{"classes": [{"id": 0, "name": "car"}, {"id": 1, "name": "Sky"}]}"#;
        let spec = crate::viewer::testing::spec(json);
        let names = ["Sky", "Tree", "Car"].map(str::to_owned).to_vec();
        let truth = Truth { labels: vec![0, 0, 1, 1, 2, 2, 255, 255], names };
        let whole = RgbImage { width: 4, height: 2, rgb: vec![0; 24] };
        assert_eq!(known(&truth, &whole, [2, 2], &spec), [Some(1), None, Some(0), None]);
        assert_eq!(known(&truth, &whole, [1, 4], &spec), [Some(0), Some(0), None, None]);
    }
}
