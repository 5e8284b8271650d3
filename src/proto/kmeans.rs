//! First prototypes from pixels, on the CPU: a bounded sample of each class's embeddings, and spherical k-means on it.

use crate::rng::{Rng, hash};

/// Embeddings kept per class: some 50 for each of 10 prototypes, which places a mean well and costs little.
const MAX_SAMPLES: usize = 512;

/// Lloyd rounds at most; on unit vectors the assignment mostly stands still before.
const MAX_ROUNDS: usize = 20;

/// Points nearer to a centre than this (`1 - cosine`) are the same point: embeddings are f32 and carry errors of 1e-7.
const SAME: f64 = 1e-6;

/// Keeps these draws apart from those of weights, order and augmentation.
const STREAM: u32 = 0x6b6d_6e73;

/// A uniform sample of the pixels of each class, of bounded size whatever the number of pixels offered. Which pixels are
/// in it is a function of the seed and of the order in which they were offered.
pub struct ClassSamples {
    d: usize,
    seed: u32,
    classes: Vec<Reservoir>,
}

struct Reservoir {
    rng: Rng,
    seen: u32,
    rows: Vec<f32>,
}

impl ClassSamples {
    /// No pixel yet, of `num_classes` classes and embeddings of `d` numbers.
    #[must_use]
    pub fn new(num_classes: usize, d: usize, seed: u32) -> Self {
        let seed = hash(seed ^ STREAM);
        let class = |c: usize| Reservoir { rng: Rng::new(seed, 2 * c as u32), seen: 0, rows: Vec::new() };
        Self { d, seed, classes: (0..num_classes).map(class).collect() }
    }

    /// Offers the pixels `emb [N,D]` with classes `labels [N]`; labels outside `0..C` are ignored.
    ///
    /// # Panics
    /// If the two do not have the same number of pixels.
    pub fn add(&mut self, emb: &[f32], labels: &[i32]) {
        assert_eq!(emb.len(), labels.len() * self.d, "embeddings are [N,D], labels [N]");
        for (row, &label) in emb.chunks_exact(self.d).zip(labels) {
            let class = usize::try_from(label).ok().and_then(|c| self.classes.get_mut(c));
            // What is not finite is reported by the training step, which has the same weights.
            let Some(class) = class.filter(|_| row.iter().all(|x| x.is_finite())) else { continue };
            class.seen += 1;
            if class.rows.len() < MAX_SAMPLES * self.d {
                class.rows.extend_from_slice(row);
                continue;
            }
            // Every pixel seen so far is in the sample with the same probability.
            let place = class.rng.below(class.seen) as usize;
            if place < MAX_SAMPLES {
                class.rows[place * self.d..(place + 1) * self.d].copy_from_slice(row);
            }
        }
    }

    /// Pixels of each class that were offered.
    pub fn seen(&self) -> impl Iterator<Item = u32> {
        self.classes.iter().map(|class| class.seen)
    }

    /// Overwrites prototypes in `protos [C,K,D]` with the centres of their class and returns how many of each class, `[C]`: K,
    /// or as many as the class has different embeddings. The others stay where they are, since copies of a centre would be
    /// twins that no pixel can tell apart, while a prototype in a direction of its own gets its share from the clustering of
    /// the first batch that has enough pixels.
    ///
    /// # Panics
    /// If `protos` does not have `C*K*D` elements.
    pub fn fill(&self, protos: &mut [f32], num_protos: usize) -> Vec<usize> {
        assert_eq!(protos.len(), self.classes.len() * num_protos * self.d, "prototypes are [C,K,D]");
        let fill = |(c, rows): (usize, &mut [f32])| {
            let mut rng = Rng::new(self.seed, 2 * c as u32 + 1);
            let centres = spherical_kmeans(&self.classes[c].rows, self.d, num_protos, &mut rng);
            rows[..centres.len()].copy_from_slice(&centres);
            centres.len() / self.d
        };
        protos.chunks_exact_mut(num_protos * self.d).enumerate().map(fill).collect()
    }
}

/// Up to `k` unit centres `[<=k,D]` of the unit vectors `points [N,D]`: k-means++ seeds (Arthur and Vassilvitskii 2007), then
/// Lloyd rounds whose means are normalised (Dhillon and Modha 2001), in f64 and in a fixed order. There are fewer centres
/// than `k` where there are fewer different points.
fn spherical_kmeans(points: &[f32], d: usize, k: usize, rng: &mut Rng) -> Vec<f32> {
    let points: Vec<&[f32]> = points.chunks_exact(d).collect();
    let mut centres = seeds(&points, k, rng);
    let mut assigned = vec![usize::MAX; points.len()];
    for _ in 0..MAX_ROUNDS {
        let mut sums = vec![vec![0.0; d]; centres.len()];
        let mut moved = false;
        for (point, assigned) in points.iter().zip(&mut assigned) {
            let nearest = nearest(&centres, point);
            moved |= std::mem::replace(assigned, nearest) != nearest;
            for (sum, &x) in sums[nearest].iter_mut().zip(*point) {
                *sum += f64::from(x);
            }
        }
        if !moved {
            break;
        }
        for (centre, sum) in centres.iter_mut().zip(sums) {
            let norm = sum.iter().map(|x| x * x).sum::<f64>().sqrt();
            // A centre that lost its points, or whose points cancel out, stays.
            if norm > SAME {
                *centre = sum.iter().map(|x| x / norm).collect();
            }
        }
    }
    centres.iter().flatten().map(|&x| x as f32).collect()
}

/// Up to `k` of the points: the first by chance, each further one with a probability proportional to its squared distance
/// to the nearest so far, which is `2 (1 - cosine)` for unit vectors.
fn seeds(points: &[&[f32]], k: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
    let mut centres: Vec<Vec<f64>> = Vec::new();
    let mut distances = vec![1.0; points.len()];
    while centres.len() < k {
        let total: f64 = distances.iter().sum();
        let mut left = f64::from(rng.uniform()) * total;
        // Rounding may leave a rest behind the last point: then it is the last that can be chosen.
        let chosen = distances.iter().position(|&distance| {
            left -= distance;
            distance > 0.0 && left < 0.0
        });
        let Some(chosen) = chosen.or_else(|| distances.iter().rposition(|&distance| distance > 0.0)) else {
            break;
        };
        let centre: Vec<f64> = points[chosen].iter().map(|&x| f64::from(x)).collect();
        for (distance, point) in distances.iter_mut().zip(points) {
            let to_new = 1.0 - cosine(&centre, point);
            *distance = distance.min(if to_new > SAME { to_new } else { 0.0 });
        }
        centres.push(centre);
    }
    centres
}

/// Index of the centre with the highest cosine, the lowest on ties.
fn nearest(centres: &[Vec<f64>], point: &[f32]) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, centre) in centres.iter().enumerate() {
        let cosine = cosine(centre, point);
        if cosine > best.1 {
            best = (index, cosine);
        }
    }
    best.0
}

fn cosine(centre: &[f64], point: &[f32]) -> f64 {
    centre.iter().zip(point).map(|(a, &b)| a * f64::from(b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: usize = 8;

    fn unit(mut row: Vec<f32>) -> Vec<f32> {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
        row
    }

    /// `count` unit vectors around the axes, in turn; `spread` is the deviation of each component.
    fn planted(axes: &[usize], count: usize, spread: f32) -> Vec<f32> {
        let mut rng = Rng::new(5, 0);
        let point = |i: usize| {
            let axis = axes[i % axes.len()];
            unit((0..D).map(|j| f32::from(u8::from(j == axis)) + spread * rng.normal()).collect())
        };
        (0..count).flat_map(point).collect()
    }

    fn axis_of(row: &[f32]) -> (usize, f32) {
        let (axis, &x) = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).expect("not empty");
        (axis, x)
    }

    /// Prototypes that no pixel moved are recognised by their value.
    fn filled(samples: &ClassSamples, num_protos: usize) -> (Vec<f32>, Vec<usize>) {
        let mut protos = vec![-7.0; samples.classes.len() * num_protos * D];
        let found = samples.fill(&mut protos, num_protos);
        (protos, found)
    }

    #[test]
    fn planted_clusters_are_found_by_every_seed() {
        for seed in 0..20 {
            let mut samples = ClassSamples::new(2, D, seed);
            for (class, axes) in [(0, &[0, 3, 5][..]), (1, &[1, 2, 7])] {
                let points = planted(axes, 300, 0.1);
                samples.add(&points, &vec![class; 300]);
            }
            let (protos, found) = filled(&samples, 3);
            assert_eq!(found, [3, 3]);
            for (rows, axes) in protos.chunks_exact(3 * D).zip([[0, 3, 5], [1, 2, 7]]) {
                let mut centres: Vec<_> = rows.chunks_exact(D).map(axis_of).collect();
                centres.sort_by_key(|c| c.0);
                assert_eq!(centres.iter().map(|c| c.0).collect::<Vec<_>>(), axes, "seed {seed}");
                assert!(centres.iter().all(|c| c.1 > 0.99), "seed {seed}: {centres:?}");
            }
        }
    }

    #[test]
    fn the_same_pixels_give_the_same_bits_and_the_seed_counts() {
        let run = |seed| {
            let mut samples = ClassSamples::new(1, D, seed);
            samples.add(&planted(&[0, 1, 2, 3], 2000, 0.5), &vec![0; 2000]);
            filled(&samples, 4).0
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    #[test]
    fn a_class_with_few_different_pixels_keeps_the_rest_and_an_absent_one_all() {
        let mut samples = ClassSamples::new(3, D, 0);
        let two = [planted(&[0], 1, 0.0), planted(&[1], 1, 0.0)].concat();
        samples.add(&two.repeat(50), &[2; 100]);
        samples.add(&planted(&[4], 6, 0.0), &[-1, 3, 255, 0, 0, 0]);
        let (protos, found) = filled(&samples, 4);
        assert_eq!((found, samples.seen().collect::<Vec<_>>()), (vec![1, 0, 2], vec![3, 0, 100]));
        let kept = |c: usize, k: usize| protos[(c * 4 + k) * D..][..D].iter().all(|&x| x == -7.0);
        assert!((0..4).all(|k| kept(1, k)) && (1..4).all(|k| kept(0, k)) && (2..4).all(|k| kept(2, k)));
        assert!(!kept(0, 0) && !kept(2, 0) && !kept(2, 1));
    }

    #[test]
    fn the_sample_is_bounded_uniform_and_free_of_what_is_not_finite() {
        let mut samples = ClassSamples::new(1, 1, 9);
        let rows: Vec<f32> =
            (0..20_000_u16).map(|i| if i % 2 == 0 { f32::from(i) } else { f32::NAN }).collect();
        samples.add(&rows, &vec![0; rows.len()]);
        let kept = &samples.classes[0];
        assert_eq!((kept.seen, kept.rows.len()), (10_000, MAX_SAMPLES));
        // The mean of 512 uniform numbers is within 4 of its deviations, 256 each.
        let mean = kept.rows.iter().sum::<f32>() / MAX_SAMPLES as f32;
        assert!((mean - 10_000.0).abs() < 1024.0, "{mean}");
    }
}
