//! Boundary F score: how well the outlines of classes are met, which IoU hardly shows for large regions.
//!
//! For each image and class, as in Csurka et al., *What is a good evaluation measure for semantic segmentation?* (BMVC
//! 2013), and in the contour measure of DAVIS (Perazzi et al., CVPR 2016):
//!
//! * A **boundary pixel** of class c is a pixel of c with a pixel of another class above, below, left or right of it. The
//!   edge of the image is no boundary, nor is the edge of an ignored region, which is not known to be the class's end.
//! * It is **matched** if the other map has a boundary pixel of c no further away than the tolerance, the Euclidean
//!   distance of pixel centres being at most [`BOUNDARY_TOLERANCE`] of the image's diagonal (not rounded to whole pixels:
//!   4.5 in an image of 480 x 360). Every pixel may match any number of others.
//! * Precision is the matched share of the predicted boundary pixels, recall that of the labelled ones, and
//!   `F = 2 precision recall / (precision + recall)`. Of no pixel at all the share is 1, as in DAVIS, so that a boundary
//!   in one of the maps only gives F = 0.
//! * Ignored pixels are cut out of the prediction as well. The true boundary may run through them, so boundary pixels
//!   within the tolerance of an ignored pixel are not counted; they still match others. Where ignored bands outline every
//!   object, as in VOC, little is left to count.
//!
//! A class's score is the mean of F over the images that have a boundary pixel of it to count in either map: a class that
//! is seen where it is not costs, as it does with IoU.

/// The tolerance as a fraction of the image's diagonal.
pub const BOUNDARY_TOLERANCE: f64 = 0.0075;

/// The label of pixels that are left out.
const IGNORED: u32 = u32::MAX;

/// Row and column.
type Pixel = [u32; 2];

/// Boundary F scores, summed up image by image.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundaryF {
    /// Sum of F, number of images, and whether a label was seen, per class.
    classes: Vec<(f64, u64, bool)>,
}

impl BoundaryF {
    /// No image yet.
    #[must_use]
    pub fn new(num_classes: usize) -> Self {
        Self { classes: vec![(0.0, 0, false); num_classes] }
    }

    /// Adds an image of `height` x `width`, row by row; a label outside `0..C` is ignored.
    ///
    /// # Panics
    /// If a map has other than `height * width` pixels.
    pub fn add(&mut self, labels: &[i32], predicted: &[u32], [height, width]: [usize; 2]) {
        assert!([labels.len(), predicted.len()] == [height * width; 2], "maps are [height * width]");
        let num_classes = self.classes.len();
        let known = |label: i32| u32::try_from(label).ok().filter(|&c| (c as usize) < num_classes);
        let truth: Vec<u32> = labels.iter().map(|&label| known(label).unwrap_or(IGNORED)).collect();
        let kept = |(&t, &p): (&u32, &u32)| if t == IGNORED { IGNORED } else { p };
        let found: Vec<u32> = truth.iter().zip(predicted).map(kept).collect();
        for &class in truth.iter().filter(|&&class| class != IGNORED) {
            self.classes[class as usize].2 = true;
        }
        let reach = reach(height, width);
        let ignored = ignored_edge(&truth, width);
        let [truth, found] = [truth, found].map(|map| boundaries(&map, width, num_classes));
        let share = |of: &[Pixel], others: &[Pixel]| {
            let counted = of.iter().filter(|&&pixel| !is_near(pixel, &ignored, &reach));
            let (all, matched) = counted.fold((0_u64, 0_u64), |(all, matched), &pixel| {
                (all + 1, matched + u64::from(is_near(pixel, others, &reach)))
            });
            (all > 0).then(|| matched as f64 / all as f64)
        };
        for ((sum, images, _), (truth, found)) in self.classes.iter_mut().zip(truth.iter().zip(&found)) {
            let (precision, recall) = match (share(found, truth), share(truth, found)) {
                (None, None) => continue,
                (precision, recall) => (precision.unwrap_or(1.0), recall.unwrap_or(1.0)),
            };
            *images += 1;
            if precision + recall > 0.0 {
                *sum += 2.0 * precision * recall / (precision + recall);
            }
        }
    }

    /// The score of every class, a fraction; `None` for one without a labelled pixel, or without a boundary to count.
    #[must_use]
    pub fn scores(&self) -> Vec<Option<f64>> {
        let score = |&(sum, images, labelled): &(f64, u64, bool)| {
            (labelled && images > 0).then(|| sum / images as f64)
        };
        self.classes.iter().map(score).collect()
    }

    /// Mean over the classes that have a score; `None` if none has.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let scores: Vec<f64> = self.scores().into_iter().flatten().collect();
        (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
    }
}

/// For a distance of 0, 1, ... rows, how many columns away a pixel within the tolerance may be.
fn reach(height: usize, width: usize) -> Vec<u32> {
    // 0.0075 is 3 / 400: in whole numbers a distance of exactly the tolerance is decided without rounding.
    let (height, width) = (height as u64, width as u64);
    let within = |rows: u64, columns: u64| {
        160_000 * (rows * rows + columns * columns) <= 9 * (height * height + width * width)
    };
    let columns = |rows: u64| (1..).find(|&columns| !within(rows, columns)).unwrap_or(1) as u32 - 1;
    (0..).take_while(|&rows| within(rows, 0)).map(columns).collect()
}

/// Whether one of `others`, which are in order, is within `reach` of `pixel`.
fn is_near([row, column]: Pixel, others: &[Pixel], reach: &[u32]) -> bool {
    let in_row = |row: u32, columns: u32| {
        let first = others.partition_point(|&other| other < [row, column.saturating_sub(columns)]);
        others.get(first).is_some_and(|&other| other <= [row, column + columns])
    };
    (0..).zip(reach).any(|(rows, &columns)| {
        in_row(row + rows, columns) || row.checked_sub(rows).is_some_and(|row| in_row(row, columns))
    })
}

/// The values above, left, right and below of the pixel at `at`, as far as they are in the image.
fn neighbours(map: &[u32], width: usize, at: usize) -> impl Iterator<Item = u32> {
    let column = at % width;
    let above = at.checked_sub(width);
    let left = (column > 0).then(|| at - 1);
    let right = (column + 1 < width).then(|| at + 1);
    let below = (at + width < map.len()).then(|| at + width);
    [above, left, right, below].into_iter().flatten().map(|at| map[at])
}

/// Row and column of what is at `at`.
fn place(at: usize, width: usize) -> Pixel {
    [(at / width) as u32, (at % width) as u32]
}

/// The boundary pixels of every class, in order.
fn boundaries(map: &[u32], width: usize, num_classes: usize) -> Vec<Vec<Pixel>> {
    let mut out = vec![Vec::new(); num_classes];
    for (at, &class) in map.iter().enumerate().filter(|&(_, &class)| class != IGNORED) {
        if neighbours(map, width, at).any(|other| other != class && other != IGNORED) {
            out[class as usize].push(place(at, width));
        }
    }
    out
}

/// The ignored pixels beside others, in order: the ignored pixel nearest to any other pixel is one of them.
fn ignored_edge(map: &[u32], width: usize) -> Vec<Pixel> {
    let ignored = map.iter().enumerate().filter(|&(_, &class)| class == IGNORED);
    let beside = ignored.filter(|&(at, _)| neighbours(map, width, at).any(|other| other != IGNORED));
    beside.map(|(at, _)| place(at, width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4 rows of 400 pixels (diagonal 400.02, tolerance 3.0002), class 0 left of column `edge` and class 1 from there on.
    fn halves(edge: usize) -> Vec<u32> {
        (0..1600).map(|at| u32::from(at % 400 >= edge)).collect()
    }

    fn scores(labels: &[u32], predicted: &[u32]) -> Vec<Option<f64>> {
        let mut boundary = BoundaryF::new(3);
        let labels: Vec<i32> = labels.iter().map(|&c| if c == IGNORED { -1 } else { c as i32 }).collect();
        boundary.add(&labels, predicted, [4, 400]);
        boundary.scores()
    }

    #[test]
    fn distances_at_the_tolerance_are_within_it() {
        // 240 x 320 has a diagonal of 400 and a tolerance of exactly 3: a disc of 29 pixels.
        assert_eq!(reach(240, 320), [3, 2, 2, 0]);
        // 480 x 360: 4.5. Two and four are sqrt(20) = 4.47 apart, three and four are 5.
        assert_eq!(reach(360, 480), [4, 4, 4, 3, 2]);
        // 64 x 48: 0.6, so that only the very pixel matches.
        assert_eq!(reach(48, 64), [0]);
    }

    #[test]
    fn an_edge_counts_up_to_the_tolerance() {
        assert_eq!(scores(&halves(100), &halves(100)), [Some(1.0), Some(1.0), None]);
        assert_eq!(scores(&halves(100), &halves(103)), [Some(1.0), Some(1.0), None]);
        assert_eq!(scores(&halves(100), &halves(104)), [Some(0.0), Some(0.0), None]);
    }

    #[test]
    fn precision_and_recall_by_hand() {
        // One pixel of class 1 in class 0, far from the edge: 5 boundary pixels more, none of them labelled.
        let mut predicted = halves(100);
        predicted[400 + 20] = 1;
        // Class 0: 4 of 8 predicted ones match, all 4 labelled ones. Class 1: 4 of 5, and 4 of 4.
        let f = |precision: f64| 2.0 * precision / (precision + 1.0);
        assert_eq!(scores(&halves(100), &predicted), [Some(f(0.5)), Some(f(0.8)), None]);
        assert_eq!(scores(&predicted, &halves(100)), [Some(f(0.5)), Some(f(0.8)), None]);
    }

    #[test]
    fn what_is_seen_where_it_is_not_costs_and_an_absent_class_has_no_score() {
        let mut boundary = BoundaryF::new(3);
        let labels: Vec<i32> = halves(100).iter().map(|&c| c as i32).collect();
        boundary.add(&labels, &halves(100), [4, 400]);
        // All labelled 0: class 1 is not there, and class 2 neither, though both are predicted.
        let three: Vec<u32> = (0..1600).map(|at| (at % 400 / 150) as u32).collect();
        boundary.add(&[0; 1600], &three, [4, 400]);
        assert_eq!(boundary.scores(), [Some(0.5), Some(0.5), None]);
        assert_eq!(boundary.mean(), Some(0.5));
    }

    #[test]
    fn ignored_pixels_have_no_boundary_and_hide_what_is_near() {
        // A band of ignored pixels over the labelled edge: where the prediction has its own near the band, nobody knows.
        let mut labels = halves(100);
        for (at, label) in labels.iter_mut().enumerate() {
            if (98..102).contains(&(at % 400)) {
                *label = IGNORED;
            }
        }
        for edge in [96, 100, 104] {
            assert_eq!(scores(&labels, &halves(edge)), [None; 3], "edge at {edge}");
        }
        // Class 1 begins at 105, more than the tolerance from the band's last column, 101; class 0 ends at 104, within it.
        assert_eq!(scores(&labels, &halves(105)), [None, Some(0.0), None]);
    }

    #[test]
    fn a_class_without_a_boundary_has_no_score() {
        assert_eq!(scores(&[1; 1600], &[1; 1600]), [None; 3]);
        assert_eq!(BoundaryF::new(2).mean(), None);
    }
}
