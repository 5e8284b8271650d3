//! Pixel-prototype contrast.

use super::{Array, dot};

fn logits(emb: &Array, protos: &Array, n: usize, tau: f64) -> Vec<f64> {
    (0..protos.rows()).map(|j| dot(emb.row(n), protos.row(j)) / tau).collect()
}

/// `(LSE_j(S_j/tau) - S_t/tau, the log-sum-exp)` per pixel, 0 where `target < 0`.
#[must_use]
pub fn ppc(emb: &Array, protos: &Array, target: &Array, tau: f64) -> (Array, Array) {
    let (mut value, mut lse) = (Array::zeros(&target.shape), Array::zeros(&target.shape));
    for (n, &t) in target.data.iter().enumerate().filter(|&(_, &t)| t >= 0.0) {
        let x = logits(emb, protos, n, tau);
        let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        lse.data[n] = top + x.iter().map(|x| (x - top).exp()).sum::<f64>().ln();
        value.data[n] = lse.data[n] - x[t as usize];
    }
    (value, lse)
}

/// `g/tau * (sum_j pi_j p_j - p_t)` per pixel, `pi_j = exp(S_j/tau - lse)`.
#[must_use]
pub fn ppc_grad(emb: &Array, protos: &Array, target: &Array, lse: &Array, g: &Array, tau: f64) -> Array {
    let mut out = Array::zeros(&emb.shape);
    for (n, &t) in target.data.iter().enumerate().filter(|&(_, &t)| t >= 0.0) {
        for (j, x) in logits(emb, protos, n, tau).into_iter().enumerate() {
            let hit = if j == t as usize { 1.0 } else { 0.0 };
            let weight = g.data[n] / tau * ((x - lse.data[n]).exp() - hit);
            out.row_mut(n).iter_mut().zip(protos.row(j)).for_each(|(o, p)| *o += weight * p);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_prototype_per_class_is_a_cosine_softmax() {
        let emb = Array::new(&[1, 2], vec![0.6, 0.8]);
        let protos = Array::new(&[3, 1, 2], vec![1.0, 0.0, 0.0, 1.0, -1.0, 0.0]);
        let value = ppc(&emb, &protos, &Array::new(&[1], vec![1.0]), 0.1).0.data[0];
        let softmax = 8.0_f64.exp() / (6.0_f64.exp() + 8.0_f64.exp() + (-6.0_f64).exp());
        assert!((value + softmax.ln()).abs() < 1e-12);
    }

    #[test]
    fn permuting_prototypes_and_targets_changes_nothing() {
        let emb = Array::new(&[1, 2], vec![0.6, 0.8]);
        let protos = Array::new(&[1, 2, 2], vec![1.0, 0.0, 0.0, 1.0]);
        let swapped = Array::new(&[1, 2, 2], vec![0.0, 1.0, 1.0, 0.0]);
        let at = |protos: &Array, t: f64| ppc(&emb, protos, &Array::new(&[1], vec![t]), 0.1).0;
        assert!((at(&protos, 0.0).data[0] - at(&swapped, 1.0).data[0]).abs() < 1e-12);
    }
}
