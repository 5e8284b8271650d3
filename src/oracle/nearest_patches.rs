//! Where an image comes nearest to every prototype.

use super::{Array, dot};

/// Stands for "no place is left".
const LOWEST: f64 = -3e38_f32 as f64;

/// `cosine [C,K,R]` and `place [C,K,R]` (`y * w + x`): the R = `count` places of `emb [1,h,w,D]` with the highest cosine to each
/// of `protos [C,K,D]`, none within `radius` rows and columns of one before it.
#[must_use]
pub fn nearest_patches(emb: &Array, protos: &Array, count: usize, radius: usize) -> [Array; 2] {
    let width = emb.shape[2];
    let shape = [protos.shape[0], protos.shape[1], count];
    let (mut cosine, mut place) = (Array::zeros(&shape).map(|_| LOWEST), Array::zeros(&shape));
    for p in 0..protos.rows() {
        let score = |n: usize| {
            let e = emb.row(n);
            dot(e, protos.row(p)) / dot(e, e).sqrt().max(1e-12)
        };
        let mut order: Vec<(usize, f64)> = (0..emb.rows()).map(|n| (n, score(n))).collect();
        // Stable: lower places stay first among equals.
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut taken: Vec<usize> = Vec::new();
        for (n, score) in order {
            let near =
                |&m: &usize| (n / width).abs_diff(m / width).max((n % width).abs_diff(m % width)) <= radius;
            if taken.len() < count && !taken.iter().any(near) {
                cosine.row_mut(p)[taken.len()] = score;
                place.row_mut(p)[taken.len()] = n as f64;
                taken.push(n);
            }
        }
    }
    [cosine, place]
}
