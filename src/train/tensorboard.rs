//! `tensorboard/`: the numbers of a run as [TensorBoard](https://www.tensorflow.org/tensorboard) draws them.
//!
//! | tag | what |
//! |---|---|
//! | `loss/total`, `loss/ce`, `loss/ppc`, `loss/ppd` | the losses of a log line; contrast and distance loss not weighted, and only in steps that have them |
//! | `loss/aux` | that of the auxiliary head, not weighted, with `train.aux_weight` |
//! | `train/learning_rate`, `train/images_per_sec` | the head's learning rate, the throughput |
//! | `train/grad_norm` | norm of all gradients together before it was bounded, with `train.clip_norm` |
//! | `train/data_wait` | share of the time in which the device waited for images |
//! | `val/miou`, `val/macc`, `val/aacc` | the scores of an evaluation, fractions |
//! | `prototypes/effective_mean`, `prototypes/effective_min` | how many prototypes of a class do the work in the evaluated images (exp of the entropy of their shares), over the classes that are predicted there |
//! | `prototypes/cosine_mean`, `prototypes/cosine_max` | cosine of two prototypes of a class: mean over pairs and classes, and the closest pair's |
//! | `prototypes/revived`, `prototypes/merged` | how many were moved onto pixels before this step: all, and the twins among them (`head.revive_every`, `head.merge_cosine`) |
//! | `prototypes_effective/CLASS`, `prototypes_cosine/CLASS` | the effective number and the mean cosine of one class |
//! | `prototypes_usage/CLASS/k` | share of prototype k, from 1 on, of what is predicted as the class |
//!
//! A resumed run reads as one that was never stopped: what was written beyond its checkpoint is cut off the files, and a
//! new file begins with the mark at which a TensorBoard that has seen those points drops them.

mod record;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use web_time::{SystemTime, UNIX_EPOCH};

use crate::disk;
use crate::error::{Error, Result};
use crate::protobuf::{Field, Message, fields};

use super::event::{ClassPrototypes, Event};
use record::{frame, messages};

/// TensorBoard looks for `tfevents` in a file's name and reads the files of a folder in the order of their names. Files
/// without our ending are not touched.
const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".protoseg";

/// Field numbers of TensorFlow's `event.proto` and `summary.proto`.
mod field {
    pub(super) const WALL_TIME: u64 = 1;
    pub(super) const STEP: u64 = 2;
    pub(super) const FILE_VERSION: u64 = 3;
    pub(super) const SUMMARY: u64 = 5;
    pub(super) const SESSION_LOG: u64 = 7;
    /// In `SessionLog`; the value 1 is `START`.
    pub(super) const STATUS: u64 = 1;
    /// In `Summary`.
    pub(super) const VALUE: u64 = 1;
    /// In `Summary.Value`.
    pub(super) const TAG: u64 = 1;
    pub(super) const SIMPLE_VALUE: u64 = 2;
}

/// Writes the scalars of a run folder.
pub struct TensorBoard {
    folder: PathBuf,
    /// The file being written; none before the first scalar.
    file: Option<PathBuf>,
    /// First step whose points are still to come.
    next_step: u64,
}

impl TensorBoard {
    /// That of the run folder `out`; nothing is touched before the first event.
    #[must_use]
    pub fn new(out: &Path) -> Self {
        Self { folder: out.join("tensorboard"), file: None, next_step: 0 }
    }

    /// Writes what `event` has to draw. One that starts the run at step 0 removes the files of an earlier one; one that
    /// resumes it keeps the points up to the checkpoint.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be read or written.
    pub fn add(&mut self, event: &Event) -> Result<()> {
        if let Event::Start { first_step, .. } = event {
            self.file = None;
            // The points of the checkpoint's own step are kept, so the new ones begin behind it.
            self.next_step = if *first_step == 0 { 0 } else { first_step + 1 };
            for path in self.files()? {
                cut(&path, self.next_step)?;
            }
        }
        let scalars = scalars(event);
        if let (false, Some(step)) = (scalars.is_empty(), event.step()) {
            self.write(step, &scalars)?;
        }
        Ok(())
    }

    /// The files of this run in the order of their names, which is that of their beginnings.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let failed = |e| Error::io("list the folder", &self.folder, e);
        let mut out = match disk::list(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        out.retain(|path| started(path).is_some());
        out.sort();
        Ok(out)
    }

    fn write(&mut self, step: u64, scalars: &[(Cow<'_, str>, f64)]) -> Result<()> {
        if self.file.is_none() {
            self.file = Some(begin(&self.folder, self.files()?.last(), self.next_step)?);
        }
        let Some(path) = &self.file else { return Ok(()) };
        let mut summary = Message::default();
        for (tag, value) in scalars {
            let value = Message::default()
                .bytes(field::TAG, tag.as_bytes())
                .float(field::SIMPLE_VALUE, *value as f32);
            summary = summary.bytes(field::VALUE, &value.finish());
        }
        let event = message(step).bytes(field::SUMMARY, &summary.finish());
        let written = disk::append(path, &frame(&event.finish()));
        written.map_err(|e| Error::io("write the TensorBoard events", path.as_path(), e))
    }
}

/// Starts a file in `folder` behind the one called `last`: its version, and the mark that whatever was read of
/// `next_step` and later steps is to be dropped.
fn begin(folder: &Path, last: Option<&PathBuf>, next_step: u64) -> Result<PathBuf> {
    disk::create_folders(folder).map_err(|e| Error::io("create the folder", folder, e))?;
    let after_last = last.and_then(|path| started(path)).map_or(0, |secs| secs.saturating_add(1));
    let secs = (now_secs() as u64).max(after_last);
    // Ten digits, so that the order of names is the order of seconds.
    let path = folder.join(format!("{PREFIX}{secs:010}{SUFFIX}"));
    let failed = |e| Error::io("write the TensorBoard events", &path, e);
    let version =
        Message::default().double(field::WALL_TIME, now_secs()).bytes(field::FILE_VERSION, b"brain.Event:2");
    let status = Message::default().integer(field::STATUS, 1);
    let start = message(next_step).bytes(field::SESSION_LOG, &status.finish());
    let head = [version, start].map(|event| frame(&event.finish())).concat();
    disk::append(&path, &head).map_err(failed)?;
    Ok(path)
}

/// When the file of this name was started, in seconds since 1970; `None` for a file that is not ours.
fn started(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
}

/// The beginning of an event of `step`.
fn message(step: u64) -> Message {
    Message::default().double(field::WALL_TIME, now_secs()).integer(field::STEP, step)
}

fn now_secs() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Cuts the file at `path` before its first event of `next_step` or later, or where it is damaged; without a point left it is removed.
fn cut(path: &Path, next_step: u64) -> Result<()> {
    let failed = |e| Error::io("cut the TensorBoard events", path, e);
    let bytes = disk::read(path).map_err(failed)?;
    let (mut end, mut points) = (0, 0);
    for (event, behind) in messages(&bytes) {
        let step = fields(event).find_map(|found| match found {
            (field::STEP, Field::Integer(step)) => Some(step),
            _ => None,
        });
        if step.is_some_and(|step| step >= next_step) {
            break;
        }
        points += u32::from(fields(event).any(|(number, _)| number == field::SUMMARY));
        end = behind;
    }
    if points == 0 {
        return disk::remove(path).map_err(failed);
    }
    if end < bytes.len() {
        disk::cut(path, end).map_err(failed)?;
    }
    Ok(())
}

/// What is drawn of an event, by tag.
fn scalars(event: &Event) -> Vec<(Cow<'static, str>, f64)> {
    let fixed = |scalars: &[(&'static str, f64)]| scalars.iter().map(|&(tag, x)| (tag.into(), x)).collect();
    match event {
        Event::Step { loss, ce, aux, lr, grad_norm, images_per_sec, data_wait, .. } => {
            let mut out: Vec<(Cow<'static, str>, f64)> = fixed(&[
                ("loss/total", f64::from(*loss)),
                ("loss/ce", f64::from(*ce)),
                ("train/learning_rate", f64::from(*lr)),
                ("train/images_per_sec", *images_per_sec),
            ]);
            if let Some([ppc, ppd]) = event.prototype_losses() {
                out.extend([("loss/ppc".into(), f64::from(ppc)), ("loss/ppd".into(), f64::from(ppd))]);
            }
            out.extend(aux.map(|aux| ("loss/aux".into(), f64::from(aux))));
            out.extend(grad_norm.map(|norm| ("train/grad_norm".into(), f64::from(norm))));
            out.extend(data_wait.map(|share| ("train/data_wait".into(), share)));
            out
        }
        Event::Evaluation { scores, .. } => {
            fixed(&[("val/miou", scores.miou), ("val/macc", scores.macc), ("val/aacc", scores.aacc)])
        }
        Event::PrototypesRevived { classes, .. } => fixed(&[
            ("prototypes/revived", classes.iter().map(|c| c.set).sum::<usize>() as f64),
            ("prototypes/merged", classes.iter().map(|c| c.merged).sum::<usize>() as f64),
        ]),
        Event::Prototypes { mean_cosine, classes, .. } => prototypes(*mean_cosine, classes),
        _ => Vec::new(),
    }
}

/// Classes whose prototypes get curves of their own, at most: of 10,000 they would be 120,000.
const MAX_TAGGED: usize = 256;

fn prototypes(mean_cosine: f64, classes: &[ClassPrototypes]) -> Vec<(Cow<'static, str>, f64)> {
    let mut out = vec![("prototypes/cosine_mean".into(), mean_cosine)];
    out.extend(classes.iter().map(|c| c.max).reduce(f64::max).map(|x| ("prototypes/cosine_max".into(), x)));
    let effective: Vec<f64> = classes.iter().filter_map(|c| c.effective).collect();
    if let Some(min) = effective.iter().copied().reduce(f64::min) {
        let mean = effective.iter().sum::<f64>() / effective.len() as f64;
        out.extend([("prototypes/effective_mean".into(), mean), ("prototypes/effective_min".into(), min)]);
    }
    if classes.len() > MAX_TAGGED {
        return out;
    }
    for class in classes {
        let name = &class.name;
        out.push((format!("prototypes_cosine/{name}").into(), class.mean));
        let Some(effective) = class.effective else { continue };
        out.push((format!("prototypes_effective/{name}").into(), effective));
        let shares = class.usage.iter().enumerate();
        out.extend(shares.map(|(k, &share)| (format!("prototypes_usage/{name}/{}", k + 1).into(), share)));
    }
    out
}

#[cfg(test)]
mod tests;
