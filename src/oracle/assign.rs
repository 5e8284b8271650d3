//! Hard assignment.

use super::Array;

/// Lowest index of the largest value.
fn argmax(values: impl Iterator<Item = f64>) -> usize {
    values.enumerate().fold((0, f64::NEG_INFINITY), |best, (k, v)| if v > best.1 { (k, v) } else { best }).0
}

/// Pixel count of the class `label`, `None` where that is no class.
fn class_size(label: f64, offsets: &Array) -> Option<usize> {
    let class = (label >= 0.0 && label as usize + 1 < offsets.data.len()).then_some(label as usize)?;
    Some((offsets.data[class + 1] - offsets.data[class]) as usize)
}

const fn takes_nearest(nearest: bool, size: usize, num_protos: usize) -> bool {
    nearest && (size < num_protos || size == 1)
}

/// What is special about small classes.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Their pixels take the nearest prototype.
    pub nearest: bool,
    /// So does the only pixel of a class; prototype 0 otherwise.
    pub single_nearest: bool,
}

/// `(k, gt*K + k)` per pixel, -1 where ignored; spec section 5.
#[must_use]
pub fn assign(q: &Array, own: &Array, gt: &Array, offsets: &Array, rule: Rule) -> (Array, Array) {
    let num_protos = q.channels();
    let k_of = |n: usize| {
        let size = class_size(gt.data[n], offsets)?;
        let single = rule.single_nearest && size == 1;
        Some(if single || takes_nearest(rule.nearest, size, num_protos) {
            argmax(own.row(n).iter().copied())
        } else if size == 1 {
            0
        } else {
            argmax(q.row(n).iter().copied())
        })
    };
    let k: Vec<f64> = (0..q.rows()).map(|n| k_of(n).map_or(-1.0, |k| k as f64)).collect();
    let target = |(&k, &label): (&f64, &f64)| if k < 0.0 { -1.0 } else { label * num_protos as f64 + k };
    let targets = std::iter::zip(&k, &gt.data).map(target).collect();
    (Array::new(&gt.shape, k), Array::new(&gt.shape, targets))
}

/// `argmax_k (q + noise)` per pixel, -1 where ignored.
#[must_use]
pub fn assign_noisy(
    q: &Array,
    noise: &Array,
    gt: &Array,
    offsets: &Array,
    k: &Array,
    nearest: bool,
) -> Array {
    let khat = |n: usize| match class_size(gt.data[n], offsets) {
        None => -1.0,
        Some(size) if takes_nearest(nearest, size, q.channels()) => k.data[n],
        Some(_) => argmax(std::iter::zip(q.row(n), noise.row(n)).map(|(q, g)| q + g)) as f64,
    };
    Array::new(&gt.shape, (0..q.rows()).map(khat).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_ties_single_pixels_and_small_classes() {
        let q = Array::new(
            &[4, 3],
            [[0.2, 0.4, 0.4], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3], [0.0, 0.0, 1.0]].concat(),
        );
        let own = Array::new(
            &[4, 3],
            [[0.9, 0.4, 0.4], [-0.3, -0.2, -0.7], [0.3, 0.4, 0.5], [0.0, 1.0, 0.0]].concat(),
        );
        let gt = Array::new(&[4], vec![0.0, 1.0, 0.0, -1.0]);
        let offsets = Array::new(&[3], vec![0.0, 2.0, 3.0]);
        let rule = |nearest, single_nearest| Rule { nearest, single_nearest };
        let (k, target) = assign(&q, &own, &gt, &offsets, rule(false, false));
        assert_eq!((&k.data[..], &target.data[..]), (&[1.0, 0.0, 1.0, -1.0][..], &[1.0, 3.0, 1.0, -1.0][..]));
        assert_eq!(assign(&q, &own, &gt, &offsets, rule(true, false)).0.data, [0.0, 1.0, 2.0, -1.0]);
        assert_eq!(assign(&q, &own, &gt, &offsets, rule(false, true)).0.data, [1.0, 1.0, 1.0, -1.0]);
        let noise =
            Array::new(&[4, 3], [[0.0, 0.0, 0.1], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [9.0; 3]].concat());
        assert_eq!(assign_noisy(&q, &noise, &gt, &offsets, &k, false).data, [2.0, 1.0, 0.0, -1.0]);
        assert_eq!(assign_noisy(&q, &noise, &gt, &offsets, &k, true).data, k.data);
    }

    #[test]
    fn one_prototype_takes_every_pixel() {
        let scores = Array::new(&[3, 1], vec![0.1, -0.5, 1.0]);
        let (gt, offsets) = (Array::zeros(&[3]), Array::new(&[2], vec![0.0, 3.0]));
        let rule = Rule { nearest: false, single_nearest: false };
        assert_eq!(assign(&scores, &scores, &gt, &offsets, rule).0.data, [0.0; 3]);
    }
}
