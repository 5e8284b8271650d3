//! The linear map from the backbone's features to embeddings in which the prototypes of classes are far apart.
//!
//! Directions in which the pixels of one class differ say nothing about the class. So the features are whitened within the
//! classes, each class's pixels are clustered there by their directions, and the embedding keeps the directions that those
//! centres span the most: a discriminant analysis of subclasses (Zhu and Martinez, PAMI 2006) for a model that compares by
//! cosines. All of it is solved, nothing iterated by gradient.

use crate::error::{Error, Result};
use crate::proto::ClassSamples;

use super::linear::{add_square, cholesky, dot, leading_directions, solve, solve_transposed};

/// Share of each feature's variance that is added to the variances within classes: the covariance of a few thousand pixels
/// is uncertain, and its smallest directions would be blown up the most.
const SHRINK: f64 = 0.2;

/// `x -> weight x + bias`.
pub(super) struct Projection {
    /// `[D,F]`.
    pub weight: Vec<f64>,
    /// `[D]`.
    pub bias: Vec<f64>,
}

impl Projection {
    /// The map to at most `dimension` numbers, from a sample of each class's features `[n,F]`, with `centres` clusters per
    /// class; fewer numbers where the centres span less.
    ///
    /// # Errors
    /// [`Error::Config`] where no class has a pixel.
    pub fn fit(samples: &ClassSamples, features: usize, centres: usize, dimension: usize) -> Result<Self> {
        let num_classes = samples.seen().count();
        let means: Vec<Option<Vec<f64>>> =
            (0..num_classes).map(|c| mean(samples.rows(c), features)).collect();
        let held = means.iter().flatten().count();
        if held == 0 {
            let problem = "no image that was looked at has a labelled pixel with finite features";
            return Err(Error::config(problem, "look at more --images, or use other weights"));
        }
        // Every class counts the same, as it does in the mean IoU.
        let mut origin = vec![0.0; features];
        for mean in means.iter().flatten() {
            origin.iter_mut().zip(mean).for_each(|(o, m)| *o += m / held as f64);
        }
        let whitening = whitening(samples, &means, features)?;
        let whitened = |row: &[f32]| {
            let mut row: Vec<f64> = row.iter().zip(&origin).map(|(&x, o)| f64::from(x) - o).collect();
            solve_transposed(&whitening, &mut row);
            unit(&row)
        };
        let mut clusters = vec![0.0_f32; num_classes * centres * features];
        let found = samples.map(features, whitened).fill(&mut clusters, centres);
        let rows = clusters.chunks_exact(centres * features).zip(found);
        let rows = rows.flat_map(|(rows, found)| &rows[..found * features]).map(|&x| f64::from(x)).collect();
        let mut weight = leading_directions(rows, features, dimension);
        weight.chunks_exact_mut(features).for_each(|row| solve(&whitening, row));
        let bias = weight.chunks_exact(features).map(|row| -dot(row, &origin)).collect();
        Ok(Self { weight, bias })
    }

    /// Numbers D of an embedding.
    pub fn dimension(&self) -> usize {
        self.bias.len()
    }

    /// The unit embedding of a pixel's features.
    pub fn embed(&self, row: &[f32]) -> Vec<f32> {
        let row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
        let rows = self.weight.chunks_exact(row.len()).zip(&self.bias);
        unit(&rows.map(|(weight, bias)| dot(weight, &row) + bias).collect::<Vec<f64>>())
    }
}

/// The Cholesky factor U of the covariance within classes, `Uᵀ U`, of a sample in which frequent classes count alike.
fn whitening(samples: &ClassSamples, means: &[Option<Vec<f64>>], features: usize) -> Result<Vec<f64>> {
    let mut covariance = vec![0.0; features * features];
    let mut pixels = 0;
    for (class, mean) in means.iter().enumerate().filter_map(|(c, mean)| Some((c, mean.as_ref()?))) {
        for row in samples.rows(class).chunks_exact(features) {
            let row: Vec<f64> = row.iter().zip(mean).map(|(&x, m)| f64::from(x) - m).collect();
            add_square(&mut covariance, &row);
            pixels += 1;
        }
    }
    covariance.iter_mut().for_each(|x| *x /= f64::from(pixels));
    let diagonal = || (0..features).map(|i| i * (features + 1));
    // A feature that never changes gets a little of the others' variance.
    let least = 1e-6 * diagonal().map(|at| covariance[at]).sum::<f64>() / features as f64 + 1e-12;
    for at in diagonal() {
        covariance[at] += SHRINK * covariance[at] + least;
    }
    cholesky(covariance, features).ok_or_else(|| {
        let problem = "the backbone's features are too large to be told apart";
        Error::config(problem, "use weights that were trained for this architecture")
    })
}

/// `None` without a row.
fn mean(rows: &[f32], features: usize) -> Option<Vec<f64>> {
    let mut sum = vec![0.0; features];
    for row in rows.chunks_exact(features) {
        sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let count = rows.len() / features;
    (count > 0).then(|| sum.into_iter().map(|x| x / count as f64).collect())
}

fn unit(row: &[f64]) -> Vec<f32> {
    let norm = dot(row, row).sqrt().max(1e-12);
    row.iter().map(|x| (x / norm) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    const F: usize = 6;

    /// Two classes that differ by 1 in feature 4, where their pixels deviate by 0.1, and not in feature 0, where they deviate by 5.
    fn samples() -> ClassSamples {
        let (mut samples, mut rng) = (ClassSamples::new(3, F, 7), Rng::new(1, 0));
        for i in 0..800 {
            let class = i % 2;
            let mut row: Vec<f32> = (0..F).map(|_| rng.normal()).collect();
            row[0] *= 5.0;
            row[4] = 3.0 + 0.1 * row[4] + class as f32;
            samples.add(&row, &[class]);
        }
        samples
    }

    #[test]
    fn what_classes_differ_in_counts_and_what_pixels_of_a_class_differ_in_does_not() {
        let samples = samples();
        let found = Projection::fit(&samples, F, 1, 2).expect("there are pixels");
        // One direction tells two centres apart, and theirs are opposite each other.
        assert!((1..=2).contains(&found.dimension()));
        let row = &found.weight[..F];
        assert!(row[4].abs() > 20.0 * row[0].abs() && row[4].abs() > 3.0 * row[2].abs(), "{row:?}");
        let sign = |class: usize| {
            let rows = samples.rows(class).chunks_exact(F).map(|row| found.embed(row)[0]);
            rows.filter(|&x| x > 0.0).count()
        };
        assert_eq!((sign(0).min(sign(1)), sign(0).max(sign(1))), (0, 400));
    }

    #[test]
    fn embeddings_are_unit_vectors_and_the_same_sample_gives_the_same_bits() {
        let [a, b] = [0, 1].map(|_| Projection::fit(&samples(), F, 3, 4).expect("there are pixels"));
        assert_eq!((&a.weight, &a.bias), (&b.weight, &b.bias));
        let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>();
        assert!((length(&a.embed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])) - 1.0).abs() < 1e-6);
        assert!(Projection::fit(&ClassSamples::new(2, F, 0), F, 3, 4).is_err());
    }
}
