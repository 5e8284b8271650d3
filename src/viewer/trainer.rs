//! A training run on a thread of its own, which shares the device with the window and shows what it learns.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use web_time::{Duration, Instant};

use crate::data::Dataset;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::infer::Inspector;
use crate::model::ModelSpec;
use crate::tape::Store;
use crate::train::{Command, Config, Event, Log, Looking, Session, TensorBoard, Watcher};

use super::album::ImageId;
use super::engine::{ModelId, analyse};
use super::news::{Bell, News};
use super::picture::Picture;
use super::task::spawn_made;

/// Part of the time that looking at the model may take.
const SHARE: f64 = 0.15;
/// The first look at a size makes kernels and says little of the next one's time.
const FIRST: Duration = Duration::from_secs(1);
/// How often the window hears of steps.
const BEAT: Duration = Duration::from_millis(100);

const CONTINUE: u8 = 0;
const PAUSE: u8 = 1;
const STOP: u8 = 2;

/// What a run tells the window.
pub enum Told {
    /// It begins: the model's description, and the images that it is evaluated on.
    Ready(Box<ModelSpec>, Arc<Dataset>),
    /// Something happened in it; of steps only some.
    Event(Event),
    /// It ended.
    Ended(Result<()>),
}

/// The image to look at, and the limit of its longer side.
type Wanted = (Arc<Picture>, usize);

#[derive(Default)]
struct Control {
    command: AtomicU8,
    /// Whether the run's future is gone.
    gone: AtomicBool,
    /// Newest wins.
    wanted: Mutex<Option<Wanted>>,
}

impl Control {
    fn command(&self) -> Command {
        match self.command.load(Ordering::Relaxed) {
            PAUSE => Command::Pause,
            STOP => Command::Stop,
            _ => Command::Continue,
        }
    }
}

/// The window's end of a run.
pub struct Trainer {
    /// The number of its model.
    pub model: ModelId,
    control: Arc<Control>,
}

/// Says that the run is gone, also where it panics.
struct Guard(Arc<Control>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Release);
    }
}

/// What is to be trained.
pub struct Order {
    /// The configuration.
    pub config: Config,
    /// The run folder.
    pub out: PathBuf,
    /// Whether to go on from its checkpoint.
    pub resume: bool,
}

impl Trainer {
    /// Starts a run whose analyses come under the number `model`; what happens is told to `bell`.
    #[must_use]
    pub fn start(gpu: &Arc<Gpu>, order: Order, model: ModelId, bell: &Bell) -> Self {
        let control = Arc::new(Control::default());
        let looker = Looker::new(gpu, Arc::clone(&control), model, bell.clone());
        let (gpu, bell) = (Arc::clone(gpu), bell.clone());
        let guard = Guard(Arc::clone(&control));
        spawn_made("training", move || async move {
            let ended = train(&gpu, order, looker, &bell, model).await;
            bell.tell(News::Run(model, Told::Ended(ended)));
            drop(guard);
        });
        Self { model, control }
    }

    /// Lets it wait after this step, or go on.
    pub fn pause(&self, pause: bool) {
        let _ = self.control.command.compare_exchange(
            if pause { CONTINUE } else { PAUSE },
            if pause { PAUSE } else { CONTINUE },
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// Lets it save a checkpoint and end.
    pub fn stop(&self) {
        self.control.command.store(STOP, Ordering::Relaxed);
    }

    /// The image whose analyses are wanted from now on.
    pub fn look_at(&self, picture: &Arc<Picture>, limit: usize) {
        let mut wanted = self.control.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted.as_ref().is_none_or(|(known, size)| known.id != picture.id || *size != limit) {
            *wanted = Some((Arc::clone(picture), limit));
        }
    }

    /// Whether it is gone, by itself or by a panic.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.control.gone.load(Ordering::Acquire)
    }

    /// Stops it and waits for its checkpoint, at most `most`; returns whether it ended in time. In a browser, whose pages are
    /// gone when they are closed, it does not wait.
    pub fn finish(&mut self, most: Duration) -> bool {
        self.stop();
        let end = Instant::now() + most;
        while !cfg!(target_arch = "wasm32") && !self.is_gone() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.is_gone()
    }
}

async fn train(gpu: &Arc<Gpu>, order: Order, mut looker: Looker, bell: &Bell, model: ModelId) -> Result<()> {
    let Order { config, out, resume } = order;
    let tell = |told| bell.tell(News::Run(model, told));
    let data = Arc::new(config.data.open(&config.data.val)?);
    let board = config.train.tensorboard;
    let mut session = Session::new(gpu, config, &out, resume).await?;
    tell(Told::Ready(Box::new(session.spec().clone()), data));
    let (mut log, mut board) = (Log::new(&out), board.then(|| TensorBoard::new(&out)));
    let control = Arc::clone(&looker.control);
    let (mut failed, mut beat, mut paused) = (None, Instant::now(), false);
    let mut listen = |event: &Event| {
        let written = log.add(event).and_then(|()| board.as_mut().map_or(Ok(()), |board| board.add(event)));
        if let Err(error) = written {
            failed.get_or_insert(error);
            return Command::Stop;
        }
        let quiet = match event {
            Event::Tick { .. } => beat.elapsed() < BEAT,
            Event::Paused { .. } => paused,
            _ => false,
        };
        paused = matches!(event, Event::Paused { .. });
        if !quiet {
            beat = Instant::now();
            tell(Told::Event(event.clone()));
        }
        control.command()
    };
    session.run_watched(&mut listen, Some(&mut looker)).await?;
    failed.map_or(Ok(()), Err)
}

/// Whether `out` holds a run that can be gone on with.
pub fn is_begun(out: &Path) -> bool {
    crate::train::has_checkpoint(out)
}

/// When to look, so that looking takes no more than its share.
struct Budget {
    /// Image, limit and step of the last look.
    seen: Option<(ImageId, usize, u64)>,
    ended: Instant,
    cost: Duration,
}

impl Budget {
    fn allows(&self, wanted: (ImageId, usize), step: u64, now: Instant) -> bool {
        match self.seen {
            Some((image, limit, seen)) if (image, limit) == wanted => {
                let rest = self.cost.mul_f64((1.0 - SHARE) / SHARE);
                step != seen && now.duration_since(self.ended) >= rest
            }
            _ => true,
        }
    }

    fn note(&mut self, wanted: (ImageId, usize), step: u64, start: Instant, end: Instant) {
        let took = end - start;
        let same = self.seen.is_some_and(|(image, limit, _)| (image, limit) == wanted);
        (self.cost, self.ended) = (if same { took } else { took.min(FIRST) }, end);
        self.seen = Some((wanted.0, wanted.1, step));
    }
}

/// Analyses the wanted image with the model as it is.
struct Looker {
    gpu: Arc<Gpu>,
    control: Arc<Control>,
    model: ModelId,
    bell: Bell,
    inspector: Option<Inspector>,
    budget: Budget,
}

impl Looker {
    fn new(gpu: &Arc<Gpu>, control: Arc<Control>, model: ModelId, bell: Bell) -> Self {
        let budget = Budget { seen: None, ended: Instant::now(), cost: Duration::ZERO };
        Self { gpu: Arc::clone(gpu), control, model, bell, inspector: None, budget }
    }

    fn wanted(&self) -> Option<Wanted> {
        self.control.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Watcher for Looker {
    fn wants(&mut self, step: u64) -> bool {
        let wanted = self.wanted();
        wanted.is_some_and(|(picture, limit)| self.budget.allows((picture.id, limit), step, Instant::now()))
    }

    fn look<'a>(&'a mut self, step: u64, spec: &'a ModelSpec, store: &'a mut Store) -> Looking<'a> {
        Box::pin(async move {
            let Some((picture, limit)) = self.wanted() else { return };
            let start = Instant::now();
            let (gpu, model) = (&self.gpu, self.model);
            let inspector = self.inspector.get_or_insert_with(|| Inspector::new(gpu, spec));
            // Directions of the prototypes as they are now: those of the start mean nothing soon.
            let seen = (&*picture.image, picture.truth.as_ref());
            let found = analyse(gpu, inspector, store, &mut None, seen, limit, [model, picture.id]).await;
            self.budget.note((picture.id, limit), step, start, Instant::now());
            self.bell.tell(News::Analysis(model, picture.id, limit, found.map(Box::new)));
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_takes_its_share_and_a_new_image_is_looked_at_at_once() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut budget = Budget { seen: None, ended: start, cost: Duration::ZERO };
        assert!(budget.allows((1, 512), 0, start));
        budget.note((1, 512), 0, at(0), at(9000));
        assert!(!budget.allows((1, 512), 5, at(10_000)), "the first look counts for a second at most");
        assert!(budget.allows((1, 512), 5, at(15_000)));
        budget.note((1, 512), 5, at(15_000), at(15_150));
        assert!(!budget.allows((1, 512), 9, at(15_900)));
        assert!(budget.allows((1, 512), 9, at(16_001)));
        assert!(!budget.allows((1, 512), 5, at(99_000)), "nothing changed since");
        assert!(budget.allows((2, 512), 5, at(15_151)) && budget.allows((1, 768), 5, at(15_151)));
    }
}
