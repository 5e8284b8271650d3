//! Update and normalisation of prototypes.

use super::{Array, dot};

fn unit(row: &[f64]) -> Vec<f64> {
    let norm = dot(row, row).sqrt().max(1e-12);
    row.iter().map(|x| x / norm).collect()
}

/// Every row to unit length.
#[must_use]
pub fn prototype_normalise(protos: &Array) -> Array {
    Array::new(&protos.shape, (0..protos.rows()).flat_map(|j| unit(protos.row(j))).collect())
}

/// `p = mu*p + (1-mu)*m/|m|` where anything was counted, then every row to unit length; spec section 7.
#[must_use]
pub fn prototype_update(protos: &Array, sums: &Array, counts: &Array, momentum: f64) -> Array {
    let mut out = protos.clone();
    for j in (0..protos.rows()).filter(|&j| counts.data[j] > 0.0) {
        let mean = unit(sums.row(j));
        out.row_mut(j).iter_mut().zip(mean).for_each(|(p, m)| *p = momentum * *p + (1.0 - momentum) * m);
    }
    prototype_normalise(&out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Array, Array, Array) {
        let protos = prototype_normalise(&Array::new(&[1, 2, 2], vec![3.0, 4.0, -1.0, 2.0]));
        (protos, Array::new(&[1, 2, 2], vec![0.0, 5.0, 0.0, 0.0]), Array::new(&[1, 2], vec![7.0, 0.0]))
    }

    #[test]
    fn momentum_1_keeps_prototypes_and_0_takes_the_mean_direction() {
        let (protos, sums, counts) = sample();
        let kept = prototype_update(&protos, &sums, &counts, 1.0);
        assert!(std::iter::zip(&kept.data, &protos.data).all(|(a, b)| (a - b).abs() < 1e-15));
        let taken = prototype_update(&protos, &sums, &counts, 0.0);
        assert_eq!(taken.row(0), [0.0, 1.0]);
        assert!(std::iter::zip(taken.row(1), protos.row(1)).all(|(a, b)| (a - b).abs() < 1e-15));
    }

    #[test]
    fn rows_have_unit_length_afterwards() {
        let (protos, sums, counts) = sample();
        let new = prototype_update(&protos.map(|x| 0.02 * x), &sums, &counts, 0.9);
        (0..2).for_each(|j| assert!((dot(new.row(j), new.row(j)) - 1.0).abs() < 1e-12));
    }

    #[test]
    fn permuting_prototypes_permutes_the_update() {
        let (protos, sums, counts) = sample();
        let swap =
            |a: &Array, width: usize| Array::new(&a.shape, [&a.data[width..], &a.data[..width]].concat());
        let new = prototype_update(&protos, &sums, &counts, 0.9);
        let moved = prototype_update(&swap(&protos, 2), &swap(&sums, 2), &swap(&counts, 1), 0.9);
        assert_eq!(swap(&new, 2), moved);
    }
}
