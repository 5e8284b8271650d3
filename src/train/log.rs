//! `log.jsonl`: what happened in a run, one event a line, whatever stopped and resumed it in between.

use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::{Error, Result};
use crate::fs_atomic::write_atomic;

use super::event::Event;

/// The log of a run folder, on disk and in memory.
pub struct Log {
    path: PathBuf,
    begun: bool,
    events: Vec<Event>,
}

impl Log {
    /// The log of the run folder `out`; nothing is touched before the first event.
    #[must_use]
    pub fn new(out: &Path) -> Self {
        Self { path: out.join("log.jsonl"), begun: false, events: Vec::new() }
    }

    /// Adds an event. One that starts the run at step 0 starts the log anew; one that resumes it keeps the lines up to the
    /// checkpoint and drops those of the steps that were lost.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read or written.
    pub fn add(&mut self, event: &Event) -> Result<()> {
        let failed = |e| Error::io("write the log", &self.path, e);
        match event {
            Event::Tick { .. } | Event::Paused { .. } => return Ok(()),
            Event::Start { first_step, .. } => {
                self.events = if *first_step == 0 { Vec::new() } else { read(&self.path, *first_step)? };
                let lines: String = self.events.iter().map(line).collect();
                write_atomic(&self.path, lines.as_bytes())?;
                self.begun = true;
            }
            _ => {}
        }
        if self.begun {
            disk::append(&self.path, line(event).as_bytes()).map_err(failed)?;
        }
        self.events.push(event.clone());
        Ok(())
    }

    /// The events of the log in the run folder `out`; none where there is no log yet.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read.
    pub fn read(out: &Path) -> Result<Vec<Event>> {
        read(&out.join("log.jsonl"), u64::MAX)
    }

    /// All events of the run so far, from step 0 on.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}

fn line(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_default() + "\n"
}

/// The events of the log at `path` up to `step`. A line cut short by a crash is left out.
fn read(path: &Path, step: u64) -> Result<Vec<Event>> {
    let text = match disk::read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read the log", path, error)),
    };
    let events = text.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok());
    // Warnings and plans have no step of their own: they belong to the one told before them.
    let mut at = 0;
    Ok(events
        .take_while(|event| {
            at = event.step().unwrap_or(at);
            at <= step
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    fn start(first_step: u64) -> Event {
        Event::Start { adapter: "a".into(), first_step, steps: 9, images: [2, 1] }
    }

    fn step(step: u64) -> Event {
        Event::Step {
            step,
            loss: 1.0,
            ce: 1.0,
            ppc: 0.5,
            ppd: 0.5,
            aux: None,
            lr: 0.1,
            grad_norm: None,
            images_per_sec: 2.0,
            data_wait: Some(0.25),
        }
    }

    fn set(step: u64) -> Event {
        Event::PrototypesSet { step, batches: 1, of: 3, classes: Vec::new() }
    }

    fn steps(log: &Log) -> Vec<Option<u64>> {
        log.events().iter().map(Event::step).collect()
    }

    #[test]
    fn a_resumed_log_is_that_of_one_run() {
        let temp = TempDir::new("log");
        let mut log = Log::new(temp.path());
        for event in [start(0), step(2), step(4), Event::Tick { step: 5 }, set(5), step(6)] {
            log.add(&event).expect("written");
        }
        std::fs::write(temp.path().join("log.jsonl"), {
            let text = std::fs::read_to_string(temp.path().join("log.jsonl")).expect("log");
            text + "{\"event\":\"step\",\"st"
        })
        .expect("temporary folder");
        let mut log = Log::new(temp.path());
        for event in [start(4), set(5), step(6)] {
            log.add(&event).expect("written");
        }
        assert_eq!(steps(&log), [0, 2, 4, 4, 5, 6].map(Some));
        let text = std::fs::read_to_string(temp.path().join("log.jsonl")).expect("log");
        assert_eq!(text.lines().count(), 6);
    }

    #[test]
    fn a_loss_of_nan_stays_in_a_resumed_log() {
        let temp = TempDir::new("log");
        let nan = Event::Step {
            step: 2,
            loss: f32::NAN,
            ce: f32::NAN,
            ppc: 0.5,
            ppd: 0.5,
            aux: None,
            lr: 0.1,
            grad_norm: None,
            images_per_sec: 2.0,
            data_wait: None,
        };
        for events in [vec![start(0), nan, step(4)], vec![start(4), step(6)]] {
            let mut log = Log::new(temp.path());
            events.iter().for_each(|event| log.add(event).expect("written"));
            if events.len() == 2 {
                assert_eq!(steps(&log), [0, 2, 4, 4, 6].map(Some));
                assert!(matches!(log.events()[1], Event::Step { loss, ppc: 0.5, .. } if loss.is_nan()));
            }
        }
    }

    #[test]
    fn a_run_from_the_beginning_starts_anew() {
        let temp = TempDir::new("log");
        for _ in 0..2 {
            let mut log = Log::new(temp.path());
            for event in [start(0), step(2)] {
                log.add(&event).expect("written");
            }
            assert_eq!(steps(&log), [0, 2].map(Some));
        }
    }
}
