//! Whether every prototype does its share of the work, on the CPU.

use serde::Serialize;

/// Above this cosine two prototypes of a class are twins: they stand for the same thing.
pub const TWIN_COSINE: f64 = 0.98;

/// How the K prototypes of one class share its work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassHealth {
    /// Pixels assigned to each prototype.
    pub counts: Vec<u64>,
    /// The same as shares that sum to 1; all 0 for a class without pixels.
    pub usage: Vec<f64>,
    /// exp of the entropy of `usage` (natural logarithm): how many prototypes do the work, 1..K; 0 without pixels.
    pub effective: f64,
    /// Mean cosine over the pairs of different prototypes; 0 for K = 1.
    pub mean_cosine: f64,
    /// Highest cosine of two different prototypes; 0 for K = 1.
    pub max_cosine: f64,
    /// K*K, row major: cosines of all pairs.
    pub cosines: Vec<f64>,
    /// Pairs with a cosine above [`TWIN_COSINE`], lower index first.
    pub twins: Vec<(usize, usize)>,
    /// Prototypes that got no pixel although the class had some.
    pub dead: Vec<usize>,
}

/// Health of every class from the prototypes `[C,K,D]` (of any length) and the pixels counted for each, `[C,K]`, over as
/// many steps as the caller summed up.
///
/// # Panics
/// If the slices do not have `C*K*D` and `C*K` elements.
#[must_use]
pub fn health(protos: &[f32], counts: &[u64], [classes, num_protos, d]: [usize; 3]) -> Vec<ClassHealth> {
    assert_eq!(protos.len(), classes * num_protos * d, "prototypes are [C,K,D]");
    assert_eq!(counts.len(), classes * num_protos, "counts are [C,K]");
    let class = |c: usize| {
        let rows = protos[c * num_protos * d..(c + 1) * num_protos * d].chunks_exact(d).map(unit).collect();
        class_health(rows, &counts[c * num_protos..(c + 1) * num_protos])
    };
    (0..classes).map(class).collect()
}

fn unit(row: &[f32]) -> Vec<f64> {
    let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt().max(1e-12);
    row.iter().map(|&x| f64::from(x) / norm).collect()
}

fn class_health(rows: Vec<Vec<f64>>, counts: &[u64]) -> ClassHealth {
    let num_protos = rows.len();
    let cosine = |a: &[f64], b: &[f64]| std::iter::zip(a, b).map(|(x, y)| x * y).sum::<f64>();
    let cosines: Vec<f64> = rows.iter().flat_map(|a| rows.iter().map(|b| cosine(a, b))).collect();
    let pairs: Vec<(usize, usize)> =
        (0..num_protos).flat_map(|a| (a + 1..num_protos).map(move |b| (a, b))).collect();
    let of = |&(a, b): &(usize, usize)| cosines[a * num_protos + b];
    let total: u64 = counts.iter().sum();
    let usage: Vec<f64> = counts.iter().map(|&n| n as f64 / total.max(1) as f64).collect();
    let entropy: f64 = usage.iter().filter(|&&p| p > 0.0).map(|p| -p * p.ln()).sum();
    ClassHealth {
        counts: counts.to_vec(),
        effective: if total == 0 { 0.0 } else { entropy.exp() },
        mean_cosine: pairs.iter().map(of).sum::<f64>() / pairs.len().max(1) as f64,
        max_cosine: pairs.iter().map(of).reduce(f64::max).unwrap_or(0.0),
        twins: pairs.iter().copied().filter(|pair| of(pair) > TWIN_COSINE).collect(),
        dead: (0..num_protos).filter(|&k| total > 0 && counts[k] == 0).collect(),
        cosines,
        usage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cosines_twins_and_dead_prototypes() {
        let protos = [2.0, 0.0, 0.0, 1.0, 0.99, 0.1];
        let found = &health(&protos, &[30, 0, 10], [1, 3, 2])[0];
        assert_eq!((&found.usage[..], &found.dead[..]), (&[0.75, 0.0, 0.25][..], &[1][..]));
        assert_eq!(found.twins, [(0, 2)]);
        assert!((found.max_cosine - 0.994_937).abs() < 1e-5, "{}", found.max_cosine);
        assert!((found.mean_cosine - (0.994_937 + 0.100_499) / 3.0).abs() < 1e-5);
        assert!((found.effective - 1.754_765).abs() < 1e-5, "{}", found.effective);
    }

    #[test]
    fn equal_shares_are_all_effective_and_an_absent_class_has_no_dead() {
        let protos = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0];
        let found = health(&protos, &[5, 5, 0, 0], [2, 2, 2]);
        assert!((found[0].effective - 2.0).abs() < 1e-12 && found[0].twins.is_empty());
        assert_eq!((found[1].effective, found[1].dead.len(), found[1].usage[0]), (0.0, 0, 0.0));
    }

    #[test]
    fn one_prototype_has_no_pair() {
        let found = &health(&[0.6, 0.8], &[3], [1, 1, 2])[0];
        assert_eq!((found.mean_cosine, found.max_cosine, found.effective), (0.0, 0.0, 1.0));
    }
}
