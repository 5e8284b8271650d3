//! Sinkhorn-Knopp as the formulas state it: the full matrix of one class at a time.

use super::Array;

/// `(q [N,K], r [C,K])` from `own [N,K]` and `gt [N]`; spec section 5, normative order of steps.
#[must_use]
pub fn sinkhorn(
    own: &Array,
    gt: &Array,
    num_classes: usize,
    iterations: usize,
    kappa: f64,
) -> (Array, Array) {
    let num_protos = own.channels();
    let (mut q, mut r) = (Array::zeros(&own.shape), Array::zeros(&[num_classes, num_protos]));
    for class in 0..num_classes {
        let pixels: Vec<usize> = (0..own.rows()).filter(|&n| gt.data[n] == class as f64).collect();
        if pixels.is_empty() {
            continue;
        }
        let exps: Vec<Vec<f64>> =
            pixels.iter().map(|&n| own.row(n).iter().map(|s| (s / kappa).exp()).collect()).collect();
        let (plan, rows) = transport(&exps, iterations);
        for (&n, column) in std::iter::zip(&pixels, &plan) {
            q.row_mut(n).iter_mut().zip(column).for_each(|(q, l)| *q = pixels.len() as f64 * l);
        }
        let top = rows.iter().copied().fold(0.0, f64::max);
        r.row_mut(class).iter_mut().zip(rows).for_each(|(r, row)| *r = row / top);
    }
    (q, r)
}

/// `L^T` (pixels by prototypes) and the factor of each of L's rows, from `exps = E^T`.
fn transport(exps: &[Vec<f64>], iterations: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    let (count, num_protos) = (exps.len() as f64, exps[0].len());
    let all: f64 = exps.iter().flatten().sum();
    let mut plan: Vec<Vec<f64>> =
        exps.iter().map(|column| column.iter().map(|e| e / all).collect()).collect();
    let mut rows = vec![1.0; num_protos];
    for _ in 0..iterations {
        for (k, row) in rows.iter_mut().enumerate() {
            let mass = plan.iter().map(|column| column[k]).sum::<f64>() * num_protos as f64;
            plan.iter_mut().for_each(|column| column[k] /= mass);
            *row /= mass;
        }
        for column in &mut plan {
            let mass = column.iter().sum::<f64>() * count;
            column.iter_mut().for_each(|l| *l /= mass);
        }
    }
    (plan, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn problem(pixels: usize, num_protos: usize) -> (Array, Array) {
        let mut rng = Rng::new(11, 0);
        let own = (0..pixels * num_protos).map(|_| f64::from(rng.range(-1.0, 1.0))).collect();
        (Array::new(&[pixels, num_protos], own), Array::zeros(&[pixels]))
    }

    fn worst(a: &Array, b: &Array) -> f64 {
        std::iter::zip(&a.data, &b.data).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn columns_sum_to_one_and_rows_tend_to_equal_shares() {
        let (own, gt) = problem(60, 4);
        let unevenness = |iterations| {
            let q = sinkhorn(&own, &gt, 1, iterations, 0.05).0;
            (0..60).for_each(|n| assert!((q.row(n).iter().sum::<f64>() - 1.0).abs() < 1e-12));
            let shares = (0..4).map(|k| (0..60).map(|n| q.row(n)[k]).sum::<f64>());
            shares.map(|share| (share - 15.0).abs()).fold(0.0, f64::max)
        };
        let (few, many) = (unevenness(3), unevenness(300));
        assert!(many < 0.05 && many < few / 10.0, "{few} after 3 rounds, {many} after 300");
    }

    #[test]
    fn a_constant_per_prototype_is_removed_and_one_per_pixel_is_not() {
        let (own, gt) = problem(30, 3);
        let shifted = |per_proto: f64, per_pixel: f64| {
            let data = own.data.iter().enumerate();
            let shift = |(i, s): (usize, &f64)| s + per_proto * (i % 3) as f64 + per_pixel * (i / 3) as f64;
            Array::new(&own.shape, data.map(shift).collect())
        };
        for iterations in 1..=3 {
            let q = |own: &Array| sinkhorn(own, &gt, 1, iterations, 0.05).0;
            assert!(worst(&q(&own), &q(&shifted(0.2, 0.0))) < 1e-12);
            assert!(worst(&q(&own), &q(&shifted(0.0, 0.01))) > 1e-3);
        }
    }

    #[test]
    fn permuting_prototypes_permutes_the_assignment() {
        let (own, gt) = problem(30, 3);
        let permute = |a: &Array| {
            let rows = (0..a.rows()).flat_map(|n| [a.row(n)[2], a.row(n)[0], a.row(n)[1]]);
            Array::new(&a.shape, rows.collect())
        };
        let (q, r) = sinkhorn(&own, &gt, 1, 3, 0.05);
        let (moved_q, moved_r) = sinkhorn(&permute(&own), &gt, 1, 3, 0.05);
        assert!(worst(&permute(&q), &moved_q) < 1e-12 && worst(&permute(&r), &moved_r) < 1e-12);
    }

    #[test]
    fn row_factors_and_the_final_column_step_give_the_assignment() {
        let (own, gt) = problem(30, 3);
        let (q, r) = sinkhorn(&own, &gt, 1, 3, 0.05);
        for n in 0..30 {
            let raw: Vec<f64> = (0..3).map(|k| r.data[k] * (own.row(n)[k] / 0.05).exp()).collect();
            (0..3).for_each(|k| assert!((raw[k] / raw.iter().sum::<f64>() - q.row(n)[k]).abs() < 1e-12));
        }
    }

    #[test]
    fn one_pixel_is_shared_equally_and_an_absent_class_has_nothing() {
        let own = Array::new(&[2, 4], vec![0.9, -0.3, 0.1, 0.5, 0.2, 0.2, 0.2, 0.2]);
        let (q, r) = sinkhorn(&own, &Array::new(&[2], vec![1.0, -1.0]), 3, 3, 0.05);
        q.row(0).iter().for_each(|q| assert!((q - 0.25).abs() < 1e-12));
        assert_eq!(q.row(1), [0.0; 4]);
        assert_eq!((r.row(0), r.row(2)), (&[0.0; 4][..], &[0.0; 4][..]));
    }
}
