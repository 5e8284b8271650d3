//! Spherical k-means of unit vectors, on the CPU, in f64 and in a fixed order.

use crate::rng::Rng;

/// Lloyd rounds at most; on unit vectors the assignment mostly stands still before.
const MAX_ROUNDS: usize = 20;

/// Points nearer to a centre than this (`1 - cosine`) are the same point: embeddings are f32 and carry errors of 1e-7.
const SAME: f64 = 1e-6;

/// Up to `k` unit centres of the unit vectors `points` of `d` numbers each: k-means++ seeds (Arthur and Vassilvitskii 2007),
/// then Lloyd rounds whose means are normalised (Dhillon and Modha 2001). There are fewer centres than `k` where there are
/// fewer different points.
pub(super) fn spherical_kmeans(points: &[&[f32]], d: usize, k: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
    let mut centres: Vec<Vec<f64>> =
        seeds(points, &[], k, rng).into_iter().map(|chosen| wide(points[chosen])).collect();
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
            if norm > 1e-12 {
                *centre = sum.iter().map(|x| x / norm).collect();
            }
        }
    }
    centres
}

/// Indices of up to `k` of the points, far from the centres `given` and from each other: each with a probability proportional
/// to its squared distance to the nearest so far, which is `2 (1 - cosine)` for unit vectors; the first by chance alone where
/// nothing is given.
pub(super) fn seeds(points: &[&[f32]], given: &[Vec<f64>], k: usize, rng: &mut Rng) -> Vec<usize> {
    let mut chosen = Vec::new();
    // The largest that `1 - cosine` can be.
    let mut distances = vec![2.0; points.len()];
    for centre in given {
        approach(&mut distances, points, centre);
    }
    while chosen.len() < k {
        let total: f64 = distances.iter().sum();
        let mut left = f64::from(rng.uniform()) * total;
        let next = distances.iter().position(|&distance| {
            left -= distance;
            distance > 0.0 && left < 0.0
        });
        // Rounding may leave a rest behind the last point: then it is the last that can be chosen.
        let Some(next) = next.or_else(|| distances.iter().rposition(|&distance| distance > 0.0)) else {
            break;
        };
        approach(&mut distances, points, &wide(points[next]));
        chosen.push(next);
    }
    chosen
}

/// Lowers the distance of every point to that of one more centre.
fn approach(distances: &mut [f64], points: &[&[f32]], centre: &[f64]) {
    for (distance, point) in distances.iter_mut().zip(points) {
        let to_new = 1.0 - cosine(centre, point);
        *distance = distance.min(if to_new > SAME { to_new } else { 0.0 });
    }
}

/// Index of the centre with the highest cosine, the lowest on ties.
pub(super) fn nearest(centres: &[Vec<f64>], point: &[f32]) -> usize {
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

fn wide(point: &[f32]) -> Vec<f64> {
    point.iter().map(|&x| f64::from(x)).collect()
}
