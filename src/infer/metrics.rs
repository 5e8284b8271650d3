//! Confusion matrix and what is read off it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Pixels by true class and predicted class. Only pairs that occur are held: of 10,000 classes the whole matrix would be 800 MB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    num_classes: usize,
    counts: BTreeMap<[u32; 2], u64>,
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
        Self { num_classes, counts: BTreeMap::new() }
    }

    /// Counts pixels; a label outside `0..C` is ignored.
    pub fn add(&mut self, labels: &[i32], predicted: &[u32]) {
        let known = |class: u32| (class as usize) < self.num_classes;
        let num_pixels = labels.len().min(predicted.len());
        let mut start = 0;
        // Regions are wide: one look into the map per run of equal pixels is few.
        while start < num_pixels {
            let pair = (labels[start], predicted[start]);
            let equal = |&i: &usize| (labels[i], predicted[i]) == pair;
            let run = (start..num_pixels).take_while(equal).count();
            if let (Some(label), class) = (u32::try_from(pair.0).ok().filter(|&l| known(l)), pair.1)
                && known(class)
            {
                *self.counts.entry([label, class]).or_default() += run as u64;
            }
            start += run;
        }
    }

    /// True class, predicted class and pixels of every pair that occurs, in order.
    pub fn pairs(&self) -> impl Iterator<Item = [u64; 3]> {
        self.counts.iter().map(|(&[label, class], &pixels)| [label.into(), class.into(), pixels])
    }

    /// Pixels by predicted class, for each true class in order: the whole matrix, `C * C` numbers.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<u64>> {
        let mut rows = vec![vec![0; self.num_classes]; self.num_classes];
        for [label, class, pixels] in self.pairs() {
            rows[label as usize][class as usize] = pixels;
        }
        rows
    }

    /// Labelled, predicted and rightly predicted pixels of every class.
    fn sums(&self) -> [Vec<u64>; 3] {
        let [mut labelled, mut predicted, mut right] = [(); 3].map(|()| vec![0; self.num_classes]);
        for [label, class, pixels] in self.pairs() {
            labelled[label as usize] += pixels;
            predicted[class as usize] += pixels;
            if label == class {
                right[label as usize] = pixels;
            }
        }
        [labelled, predicted, right]
    }

    /// The `limit` worst confusions: those of the largest share of the true class's pixels, of equal ones that of more
    /// pixels first.
    #[must_use]
    pub fn worst(&self, limit: usize) -> Vec<Mistake> {
        let [labelled, ..] = self.sums();
        let mistakes = self.pairs().filter(|[label, predicted, _]| label != predicted);
        let mut found: Vec<Mistake> = mistakes
            .map(|[label, predicted, pixels]| {
                let (label, predicted) = (label as usize, predicted as usize);
                Mistake { label, predicted, pixels, share: pixels as f64 / labelled[label] as f64 }
            })
            .collect();
        found.sort_by(|a, b| b.share.total_cmp(&a.share).then(b.pixels.cmp(&a.pixels)));
        found.truncate(limit);
        found
    }

    /// The scores; `names` in class order.
    #[must_use]
    pub fn scores(&self, names: &[String]) -> Scores {
        let [labelled, predicted, right] = self.sums();
        let classes: Vec<_> = (0..self.num_classes)
            .map(|i| {
                let present = labelled[i] > 0;
                ClassScore {
                    name: names[i].clone(),
                    iou: present.then(|| right[i] as f64 / (labelled[i] + predicted[i] - right[i]) as f64),
                    acc: present.then(|| right[i] as f64 / labelled[i] as f64),
                    pixels: labelled[i],
                }
            })
            .collect();
        let mean = |pick: fn(&ClassScore) -> Option<f64>| {
            let values: Vec<f64> = classes.iter().filter_map(pick).collect();
            if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
        };
        let total: u64 = labelled.iter().sum();
        let hits: u64 = right.iter().sum();
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
        assert_eq!(confusion.rows(), [[2, 1, 0], [0, 1, 1], [0, 0, 0]]);
    }

    #[test]
    fn ten_thousand_classes_take_the_memory_of_the_pairs_that_occur() {
        const C: usize = 10_000;
        let mut confusion = Confusion::new(C);
        let labels: Vec<i32> = (0..200_000).map(|i| i / 7 % 10_007).collect();
        let predicted: Vec<u32> = (0..200_000).map(|i| i / 5 % 10_001).collect();
        confusion.add(&labels, &predicted);
        let mut dense = BTreeMap::new();
        for (&l, &p) in labels.iter().zip(&predicted).filter(|&(&l, &p)| l < 10_000 && p < 10_000) {
            *dense.entry((l, p)).or_insert(0_u64) += 1;
        }
        assert!(confusion.pairs().count() == dense.len() && dense.len() > 40_000);
        let names: Vec<String> = (0..C).map(|i| i.to_string()).collect();
        let scores = confusion.scores(&names);
        let right: u64 = dense.iter().filter(|((l, p), _)| *l as u32 == *p).map(|(_, n)| n).sum();
        assert!((scores.aacc - right as f64 / dense.values().sum::<u64>() as f64).abs() < 1e-15);
        assert_eq!(scores.classes.len(), C);
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
