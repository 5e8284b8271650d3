//! Confusion matrix and what is read off it.

use serde::{Deserialize, Serialize};

/// Pixels by true class (row) and predicted class (column).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    num_classes: usize,
    counts: Vec<u64>,
}

/// Scores of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// Class name.
    pub name: String,
    /// Intersection over union, a fraction; `None` for a class without a labelled pixel in the split.
    pub iou: Option<f64>,
    /// Share of the class's pixels that are found; `None` as for `iou`.
    pub acc: Option<f64>,
    /// Labelled pixels.
    pub pixels: u64,
}

/// Scores over a split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Mean IoU over the classes that the split holds.
    pub miou: f64,
    /// Mean accuracy over those classes.
    pub macc: f64,
    /// Share of all labelled pixels that are right.
    pub aacc: f64,
    /// One entry per class.
    pub classes: Vec<ClassScore>,
}

/// Pixels of one class that were taken for another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mistake {
    /// True class.
    pub label: usize,
    /// The class they were taken for.
    pub predicted: usize,
    /// How many.
    pub pixels: u64,
    /// Their share of the true class's labelled pixels.
    pub share: f64,
}

impl Confusion {
    /// All zero.
    #[must_use]
    pub fn new(num_classes: usize) -> Self {
        Self { num_classes, counts: vec![0; num_classes * num_classes] }
    }

    /// Counts pixels; a label outside `0..C` is ignored.
    pub fn add(&mut self, labels: &[i32], predicted: &[u32]) {
        for (&label, &class) in std::iter::zip(labels, predicted) {
            if let Ok(label) = usize::try_from(label)
                && label < self.num_classes
                && (class as usize) < self.num_classes
            {
                self.counts[label * self.num_classes + class as usize] += 1;
            }
        }
    }

    /// Pixels by predicted class, for each true class in order.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks_exact(self.num_classes.max(1))
    }

    /// The `limit` worst confusions: those of the largest share of the true class's pixels, of equal ones that of more
    /// pixels first.
    #[must_use]
    pub fn worst(&self, limit: usize) -> Vec<Mistake> {
        let mut found = Vec::new();
        for (label, row) in self.rows().enumerate() {
            let all: u64 = row.iter().sum();
            for (predicted, &pixels) in row.iter().enumerate() {
                if predicted != label && pixels > 0 {
                    found.push(Mistake { label, predicted, pixels, share: pixels as f64 / all as f64 });
                }
            }
        }
        found.sort_by(|a, b| b.share.total_cmp(&a.share).then(b.pixels.cmp(&a.pixels)));
        found.truncate(limit);
        found
    }

    /// The scores; `names` in class order.
    #[must_use]
    pub fn scores(&self, names: &[String]) -> Scores {
        let c = self.num_classes;
        let row = |i: usize| self.counts[i * c..(i + 1) * c].iter().sum::<u64>();
        let column = |j: usize| (0..c).map(|i| self.counts[i * c + j]).sum::<u64>();
        let right = |i: usize| self.counts[i * c + i];
        let classes: Vec<_> = (0..c)
            .map(|i| {
                let present = row(i) > 0;
                ClassScore {
                    name: names[i].clone(),
                    iou: present.then(|| right(i) as f64 / (row(i) + column(i) - right(i)) as f64),
                    acc: present.then(|| right(i) as f64 / row(i) as f64),
                    pixels: row(i),
                }
            })
            .collect();
        let mean = |pick: fn(&ClassScore) -> Option<f64>| {
            let values: Vec<f64> = classes.iter().filter_map(pick).collect();
            if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
        };
        let total: u64 = self.counts.iter().sum();
        let hits: u64 = (0..c).map(right).sum();
        Scores {
            miou: mean(|s| s.iou),
            macc: mean(|s| s.acc),
            aacc: if total == 0 { 0.0 } else { hits as f64 / total as f64 },
            classes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_by_hand() {
        let mut confusion = Confusion::new(3);
        // Class 2 never occurs; -1 and 7 are ignored.
        confusion.add(&[0, 0, 0, 1, 1, -1, 7], &[0, 0, 1, 1, 2, 0, 0]);
        let scores = confusion.scores(&["a".into(), "b".into(), "c".into()]);
        assert_eq!(scores.classes[0].iou, Some(2.0 / 3.0));
        assert_eq!(scores.classes[1].iou, Some(1.0 / 3.0));
        assert_eq!(scores.classes[2].iou, None);
        assert!((scores.miou - 0.5).abs() < 1e-12);
        assert!((scores.aacc - 3.0 / 5.0).abs() < 1e-12);
        assert!((scores.macc - (2.0 / 3.0 + 0.5) / 2.0).abs() < 1e-12);
        assert_eq!(confusion.rows().collect::<Vec<_>>(), [[2, 1, 0], [0, 1, 1], [0, 0, 0]]);
    }

    #[test]
    fn the_worst_confusions_come_first() {
        let mut confusion = Confusion::new(3);
        // Class 0: 4 pixels, 1 taken for 1 and 1 for 2. Class 1: 2 pixels, both taken for 0. Class 2: 8, 2 taken for 0.
        confusion.add(&[0, 0, 0, 0, 1, 1], &[0, 1, 2, 0, 0, 0]);
        confusion.add(&[2; 8], &[2, 2, 2, 0, 0, 2, 2, 2]);
        let worst: Vec<_> =
            confusion.worst(3).iter().map(|m| (m.label, m.predicted, m.pixels, m.share)).collect();
        assert_eq!(worst, [(1, 0, 2, 1.0), (2, 0, 2, 0.25), (0, 1, 1, 0.25)]);
        assert_eq!(confusion.worst(9).len(), 4);
    }
}
