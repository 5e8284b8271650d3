//! A bounded sample of each class's embeddings, and the prototypes that are set from it: all of them at the start, unused
//! ones later on.

use crate::rng::{Rng, hash};

use super::kmeans::{nearest, seeds, spherical_kmeans};

/// Embeddings kept per class: some 50 for each of 10 prototypes, which places a mean well and costs little.
const MAX_SAMPLES: usize = 512;

/// Embeddings of all classes together, 1 GiB: thousands of classes keep fewer each.
const MAX_BYTES: usize = 1 << 30;

/// Keeps these draws apart from those of weights, order and augmentation.
const STREAM: u32 = 0x6b6d_6e73;

/// A uniform sample of the pixels of each class, of bounded size whatever the number of pixels offered. Which pixels are
/// in it is a function of the seed and of the order in which they were offered.
pub struct ClassSamples {
    d: usize,
    /// Pixels kept per class at most.
    most: usize,
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
        Self::of_at_most(
            (MAX_BYTES / (4 * num_classes * d).max(1)).clamp(1, MAX_SAMPLES),
            num_classes,
            d,
            seed,
        )
    }

    /// The same with up to `most` pixels of each class.
    #[must_use]
    pub fn of_at_most(most: usize, num_classes: usize, d: usize, seed: u32) -> Self {
        let seed = hash(seed ^ STREAM);
        let class = |c: usize| Reservoir { rng: Rng::new(seed, 2 * c as u32), seen: 0, rows: Vec::new() };
        Self { d, most, seed, classes: (0..num_classes).map(class).collect() }
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
            class.seen = class.seen.saturating_add(1);
            if class.rows.len() < self.most * self.d {
                class.rows.extend_from_slice(row);
                continue;
            }
            // Every pixel seen so far is in the sample with the same probability.
            let place = class.rng.below(class.seen) as usize;
            if place < self.most {
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
            let centres = spherical_kmeans(&self.points(c), self.d, num_protos, &mut rng);
            for (row, centre) in rows.chunks_exact_mut(self.d).zip(&centres) {
                row.iter_mut().zip(centre).for_each(|(x, &c)| *x = c as f32);
            }
            centres.len()
        };
        protos.chunks_exact_mut(num_protos * self.d).enumerate().map(fill).collect()
    }

    /// Moves those prototypes in `protos [C,K,D]` that are the nearest of their class to none of its pixels onto pixels that
    /// the others represent worst (k-means++ with the others given), and returns how many of each class, `[C]`. Two with a cosine
    /// above `merge_cosine`, where that is not 0, count as one: the one that is nearest to fewer pixels is moved too, as long as pixels are left. A class
    /// with fewer pixels than prototypes is left alone: there, being nearest to none says nothing.
    ///
    /// # Panics
    /// If `protos` does not have `C*K*D` elements.
    pub fn revive(&self, protos: &mut [f32], num_protos: usize, merge_cosine: f32) -> Vec<Moved> {
        assert_eq!(protos.len(), self.classes.len() * num_protos * self.d, "prototypes are [C,K,D]");
        let revive = |(c, rows): (usize, &mut [f32])| {
            let points = self.points(c);
            if points.len() < num_protos {
                return Moved::default();
            }
            let centres: Vec<Vec<f64>> = rows.chunks_exact(self.d).map(unit).collect();
            let mut uses = vec![0_usize; num_protos];
            points.iter().for_each(|point| uses[nearest(&centres, point)] += 1);
            let unused: Vec<usize> = (0..num_protos).filter(|&k| uses[k] == 0).collect();
            let (kept, twins) = merge(&centres, &uses, merge_cosine);
            let given: Vec<Vec<f64>> = kept.iter().map(|&k| centres[k].clone()).collect();
            let mut rng = Rng::new(self.seed, 2 * c as u32 + 1);
            let chosen = seeds(&points, &given, unused.len() + twins.len(), &mut rng);
            for (&k, &point) in unused.iter().chain(&twins).zip(&chosen) {
                rows[k * self.d..(k + 1) * self.d].copy_from_slice(points[point]);
            }
            Moved { all: chosen.len(), twins: chosen.len().saturating_sub(unused.len()) }
        };
        protos.chunks_exact_mut(num_protos * self.d).enumerate().map(revive).collect()
    }

    /// The pixels of `class` that are in the sample, `[n,D]`.
    #[must_use]
    pub fn rows(&self, class: usize) -> &[f32] {
        &self.classes[class].rows
    }

    /// The same pixels with `d` other numbers each, which `to` makes of a pixel's own.
    #[must_use]
    pub fn map(&self, d: usize, to: impl Fn(&[f32]) -> Vec<f32>) -> Self {
        let class = |class: &Reservoir| {
            let rows: Vec<f32> = class.rows.chunks_exact(self.d).flat_map(&to).collect();
            Reservoir { rng: class.rng.clone(), seen: class.seen, rows }
        };
        Self { d, most: self.most, seed: self.seed, classes: self.classes.iter().map(class).collect() }
    }

    fn points(&self, class: usize) -> Vec<&[f32]> {
        self.classes[class].rows.chunks_exact(self.d).collect()
    }
}

/// Prototypes of a class that were moved onto pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// How many.
    pub all: usize,
    /// Those of them that some pixel was nearest to, and that were another's twins.
    pub twins: usize,
}

/// The prototypes in use, most used first, of which those with a cosine above `merge_cosine` to one before them are split off
/// if that is not 0.
fn merge(centres: &[Vec<f64>], uses: &[usize], merge_cosine: f32) -> (Vec<usize>, Vec<usize>) {
    let mut used: Vec<usize> = (0..uses.len()).filter(|&k| uses[k] > 0).collect();
    // The sort is stable: the lower index goes first on ties.
    used.sort_by_key(|&k| std::cmp::Reverse(uses[k]));
    let (mut kept, mut twins): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    for k in used {
        let cosine =
            |&other: &usize| std::iter::zip(&centres[k], &centres[other]).map(|(a, b)| a * b).sum::<f64>();
        let is_twin = merge_cosine > 0.0 && kept.iter().any(|other| cosine(other) > f64::from(merge_cosine));
        if is_twin { &mut twins } else { &mut kept }.push(k);
    }
    (kept, twins)
}

fn unit(row: &[f32]) -> Vec<f64> {
    let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt().max(1e-12);
    row.iter().map(|&x| f64::from(x) / norm).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: usize = 8;

    fn scaled(mut row: Vec<f32>) -> Vec<f32> {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
        row
    }

    /// `count` unit vectors around the axes, in turn; `spread` is the deviation of each component.
    fn planted(axes: &[usize], count: usize, spread: f32) -> Vec<f32> {
        let mut rng = Rng::new(5, 0);
        let point = |i: usize| {
            let axis = axes[i % axes.len()];
            scaled((0..D).map(|j| f32::from(u8::from(j == axis)) + spread * rng.normal()).collect())
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
    fn unused_prototypes_move_to_what_is_represented_worst() {
        let mut samples = ClassSamples::new(3, D, 1);
        samples.add(&planted(&[0, 3, 5], 300, 0.05), &[0; 300]);
        samples.add(&planted(&[1], 2, 0.0), &[1; 2]);
        samples.add(&planted(&[2, 4, 6], 300, 0.05), &[2; 300]);
        // Class 0 has a prototype at one of its clusters and two opposite to all, class 2 one near each cluster.
        let opposite = scaled(vec![-1.0; D]);
        let near = [
            [planted(&[0], 1, 0.0), opposite.clone(), opposite].concat(),
            planted(&[0, 1, 2], 3, 0.0),
            planted(&[2, 4, 6], 3, 0.0),
        ]
        .concat();
        let mut protos = near.clone();
        let moved = |counts: [usize; 3]| counts.map(|all| Moved { all, twins: 0 });
        assert_eq!(samples.revive(&mut protos, 3, 0.0), moved([2, 0, 0]));
        let mut axes: Vec<usize> = protos[..3 * D].chunks_exact(D).map(|row| axis_of(row).0).collect();
        assert_eq!((axes[0], &protos[..D], &protos[3 * D..]), (0, &near[..D], &near[3 * D..]));
        axes.sort_unstable();
        assert_eq!(axes, [0, 3, 5]);
        let mut again = near.clone();
        samples.revive(&mut again, 3, 0.0);
        assert_eq!(again, protos);
    }

    #[test]
    fn of_twins_the_less_used_one_moves_to_what_is_represented_worst() {
        let mut samples = ClassSamples::new(1, D, 1);
        samples.add(&planted(&[0, 3], 300, 0.02), &[0; 300]);
        // Both stand for axis 0; the second one leans towards axis 3 and is the nearest to the pixels there.
        let lean = |x: f32| {
            scaled((0..D).map(|j| [1.0, 0.0, 0.0, x][j.min(3)] * f32::from(u8::from(j < 4))).collect())
        };
        let twins = [lean(-0.02), lean(0.1), planted(&[6], 1, 0.0)].concat();
        let mut protos = twins.clone();
        assert_eq!(samples.revive(&mut protos, 3, 0.0), [Moved { all: 1, twins: 0 }]);
        assert_eq!(protos[..2 * D], twins[..2 * D]);
        let mut protos = twins.clone();
        assert_eq!(samples.revive(&mut protos, 3, 0.98), [Moved { all: 2, twins: 1 }]);
        let axes: Vec<usize> = protos.chunks_exact(D).map(|row| axis_of(row).0).collect();
        // One of the two stays where it was, and one stands for axis 3 now.
        assert!(
            axes.contains(&3)
                && [0, 1].iter().filter(|k| protos[*k * D..][..D] == twins[*k * D..][..D]).count() == 1
        );
        let mut again = twins;
        samples.revive(&mut again, 3, 0.98);
        assert_eq!(again, protos);
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
