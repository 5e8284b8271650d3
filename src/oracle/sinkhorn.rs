//! Sinkhorn-Knopp as the formulas state it: the full matrix of one class at a time.

use super::Array;

/// What is computed.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Rounds of row step, then column step.
    pub iterations: usize,
    /// Smoothness.
    pub kappa: f64,
    /// How strongly rows are drawn to equal sums; infinite for equal ones.
    pub rho: f64,
}

/// `(q [N,K], r [C,K])` from `own [N,K]` and `gt [N]`; spec section 5, normative order of steps.
#[must_use]
pub fn sinkhorn(own: &Array, gt: &Array, num_classes: usize, rule: Rule) -> (Array, Array) {
    let kappa = rule.kappa;
    let num_protos = own.channels();
    let (mut q, mut r) = (Array::zeros(&own.shape), Array::zeros(&[num_classes, num_protos]));
    for class in 0..num_classes {
        let pixels: Vec<usize> = (0..own.rows()).filter(|&n| gt.data[n] == class as f64).collect();
        if pixels.is_empty() {
            continue;
        }
        let logs: Vec<Vec<f64>> =
            pixels.iter().map(|&n| own.row(n).iter().map(|s| s / kappa).collect()).collect();
        let (plan, rows) = if rule.rho.is_finite() && rule.iterations > 0 {
            relaxed(&logs, rule)
        } else {
            let exps: Vec<Vec<f64>> =
                logs.iter().map(|logs| logs.iter().map(|x| x.exp()).collect()).collect();
            transport(&exps, rule.iterations)
        };
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

/// The same with rows that are only drawn to equal sums, from `logs = S^T / kappa`. With the logarithms f of the rows' factors
/// and g of the columns', all as logarithms of sums of exponentials:
///
/// ```text
/// f_k = rho / (rho + kappa) * (log(1/K) - log sum_n exp(logs[n,k] + g_n)),    g_n = -log N - log sum_k exp(logs[n,k] + f_k)
/// ```
fn relaxed(logs: &[Vec<f64>], rule: Rule) -> (Vec<Vec<f64>>, Vec<f64>) {
    let (count, num_protos) = (logs.len() as f64, logs[0].len());
    let share = rule.rho / (rule.rho + rule.kappa);
    let (mut f, mut g) = (vec![0.0; num_protos], vec![0.0; logs.len()]);
    for _ in 0..rule.iterations {
        for (k, f) in f.iter_mut().enumerate() {
            let terms: Vec<f64> = logs.iter().zip(&g).map(|(logs, g)| logs[k] + g).collect();
            *f = share * (-(num_protos as f64).ln() - log_sum(&terms));
        }
        for (g, logs) in g.iter_mut().zip(logs) {
            let terms: Vec<f64> = logs.iter().zip(&f).map(|(x, f)| x + f).collect();
            *g = -count.ln() - log_sum(&terms);
        }
    }
    let column = |(logs, g): (&Vec<f64>, &f64)| logs.iter().zip(&f).map(|(x, f)| (x + f + g).exp()).collect();
    let plan = logs.iter().zip(&g).map(column).collect();
    let top = f.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (plan, f.iter().map(|f| (f - top).exp()).collect())
}

/// `log sum exp` of `terms`.
fn log_sum(terms: &[f64]) -> f64 {
    let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + terms.iter().map(|x| (x - top).exp()).sum::<f64>().ln()
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

    const fn paper(iterations: usize) -> Rule {
        Rule { iterations, kappa: 0.05, rho: f64::INFINITY }
    }

    fn worst(a: &Array, b: &Array) -> f64 {
        std::iter::zip(&a.data, &b.data).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn columns_sum_to_one_and_rows_tend_to_equal_shares() {
        let (own, gt) = problem(60, 4);
        let unevenness = |iterations| {
            let q = sinkhorn(&own, &gt, 1, paper(iterations)).0;
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
            let q = |own: &Array| sinkhorn(own, &gt, 1, paper(iterations)).0;
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
        let (q, r) = sinkhorn(&own, &gt, 1, paper(3));
        let (moved_q, moved_r) = sinkhorn(&permute(&own), &gt, 1, paper(3));
        assert!(worst(&permute(&q), &moved_q) < 1e-12 && worst(&permute(&r), &moved_r) < 1e-12);
    }

    #[test]
    fn row_factors_and_the_final_column_step_give_the_assignment() {
        let (own, gt) = problem(30, 3);
        let (q, r) = sinkhorn(&own, &gt, 1, paper(3));
        for n in 0..30 {
            let raw: Vec<f64> = (0..3).map(|k| r.data[k] * (own.row(n)[k] / 0.05).exp()).collect();
            (0..3).for_each(|k| assert!((raw[k] / raw.iter().sum::<f64>() - q.row(n)[k]).abs() < 1e-12));
        }
    }

    /// What the relaxed assignment minimises (`ops::balance` states it).
    fn objective(own: &Array, q: &[f64], rule: Rule) -> f64 {
        let (count, num_protos) = (own.rows() as f64, own.channels());
        let gain: f64 = std::iter::zip(&own.data, q).map(|(s, q)| s * q).sum();
        let entropy: f64 = q.iter().filter(|&&q| q > 0.0).map(|q| q * (1.0 - q.ln())).sum();
        let wanted = count / num_protos as f64;
        let sums = masses(q, num_protos);
        let far: f64 = sums.iter().map(|m| if *m > 0.0 { m * (m / wanted).ln() } else { 0.0 }).sum();
        -gain - rule.kappa * entropy + rule.rho * far
    }

    fn masses(q: &[f64], num_protos: usize) -> Vec<f64> {
        (0..num_protos).map(|k| q.iter().skip(k).step_by(num_protos).sum()).collect()
    }

    #[test]
    fn the_relaxed_assignment_minimises_its_objective() {
        let (own, gt) = problem(20, 4);
        let mut rng = Rng::new(3, 0);
        for rho in [0.0, 0.01, 0.05, 0.3] {
            let rule = Rule { iterations: 500, kappa: 0.05, rho };
            let q = sinkhorn(&own, &gt, 1, rule).0.data;
            let least = objective(&own, &q, rule);
            for _ in 0..200 {
                // Mass moves from one prototype of a pixel to another: every pixel keeps mass 1.
                let (n, [a, b]) = (rng.below(20) as usize, [(); 2].map(|()| rng.below(4) as usize));
                let mut other = q.clone();
                let moved = other[4 * n + a] * f64::from(rng.range(0.1, 1.0));
                other[4 * n + a] -= moved;
                other[4 * n + b] += moved;
                let found = objective(&own, &other, rule);
                assert!(found >= least - 1e-9, "rho {rho}: {found} below {least}");
            }
        }
    }

    #[test]
    fn shares_go_from_equal_ones_to_those_of_the_nearest() {
        let (own, gt) = problem(60, 5);
        // Prototype 0 is nearest to most.
        let data = own.data.iter().enumerate().map(|(i, s)| s + if i % 5 == 0 { 0.6 } else { 0.0 });
        let own = Array::new(&own.shape, data.collect());
        for iterations in [3, 300] {
            let shares = |rho| {
                let q = sinkhorn(&own, &gt, 1, Rule { iterations, kappa: 0.05, rho }).0.data;
                masses(&q, 5).iter().map(|m| m / 60.0).collect::<Vec<f64>>()
            };
            let unequal = |shares: &[f64]| shares.iter().map(|p| p * (p * 5.0).ln()).sum::<f64>();
            let found: Vec<f64> = [f64::INFINITY, 100.0, 3.0, 0.5, 0.1, 0.05, 0.02, 0.005, 1e-4, 0.0]
                .map(|rho| unequal(&shares(rho)))
                .to_vec();
            assert!(found.windows(2).all(|w| w[0] <= w[1] + 1e-9), "{iterations} rounds: {found:?}");
            assert!(found[9] > found[0] + 0.1, "{iterations} rounds: {found:?}");
            let softmax = |n: usize| {
                let exps: Vec<f64> = own.row(n).iter().map(|s| (s / 0.05).exp()).collect();
                let total: f64 = exps.iter().sum();
                exps.into_iter().map(|e| e / total).collect::<Vec<_>>()
            };
            let nearest = masses(&(0..60).flat_map(softmax).collect::<Vec<_>>(), 5);
            let none = shares(0.0);
            assert!((0..5).all(|k| (none[k] - nearest[k] / 60.0).abs() < 1e-12), "{none:?}");
        }
    }

    #[test]
    fn relaxed_row_factors_give_the_assignment_and_one_pixel_goes_to_the_nearest() {
        let (own, gt) = problem(30, 3);
        let rule = Rule { iterations: 3, kappa: 0.05, rho: 0.1 };
        let (q, r) = sinkhorn(&own, &gt, 1, rule);
        for n in 0..30 {
            let raw: Vec<f64> = (0..3).map(|k| r.data[k] * (own.row(n)[k] / 0.05).exp()).collect();
            (0..3).for_each(|k| assert!((raw[k] / raw.iter().sum::<f64>() - q.row(n)[k]).abs() < 1e-12));
        }
        // p = 2/3: the logarithms of a single pixel's shares are a third of what rho = 0 gives.
        let own = Array::new(&[1, 2], vec![0.3, 0.6]);
        let q = sinkhorn(&own, &Array::zeros(&[1]), 1, rule).0;
        assert!(((q.data[1] / q.data[0]).ln() - 2.0).abs() < 1e-9, "{:?}", q.data);
    }

    #[test]
    fn one_pixel_is_shared_equally_and_an_absent_class_has_nothing() {
        let own = Array::new(&[2, 4], vec![0.9, -0.3, 0.1, 0.5, 0.2, 0.2, 0.2, 0.2]);
        let (q, r) = sinkhorn(&own, &Array::new(&[2], vec![1.0, -1.0]), 3, paper(3));
        q.row(0).iter().for_each(|q| assert!((q - 0.25).abs() < 1e-12));
        assert_eq!(q.row(1), [0.0; 4]);
        assert_eq!((r.row(0), r.row(2)), (&[0.0; 4][..], &[0.0; 4][..]));
    }
}
