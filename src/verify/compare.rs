//! Comparison of one tensor with its reference.

use crate::ops::check::difference;

use super::report::TensorReport;

/// How far a tensor may be off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// In the tensor's own unit.
    Absolute(f64),
    /// Of the reference's largest magnitude.
    Relative(f64),
}

/// A reference whose largest magnitude is below this is zero: what remains is the rounding of its own f64 sums.
const ZERO: f64 = 1e-12;

/// How far a tensor may be off, absolutely, where its reference is zero and the tolerance is relative.
const ZERO_TOLERANCE: f64 = 1e-7;

/// Compares all elements; NaN equals NaN and nothing else.
pub fn compare(name: &str, found: &[f64], wanted: &[f64], tolerance: Tolerance) -> TensorReport {
    if found.len() != wanted.len() {
        let reason = format!("{} numbers, the device has {}", wanted.len(), found.len());
        return TensorReport::incomparable(name, reason);
    }
    let scale = wanted.iter().filter(|x| x.is_finite()).fold(0.0_f64, |m, x| m.max(x.abs()));
    let max_abs = difference(name, found, wanted).max_abs.min(f64::MAX);
    let max_rel = if scale < ZERO { max_abs } else { (max_abs / scale).min(f64::MAX) };
    let (relative, tolerance) = match tolerance {
        Tolerance::Absolute(bound) => (false, bound),
        Tolerance::Relative(_) if scale < ZERO => (true, ZERO_TOLERANCE),
        Tolerance::Relative(bound) => (true, bound),
    };
    let ok = (if relative { max_rel } else { max_abs }) <= tolerance;
    TensorReport { name: name.to_owned(), max_abs, max_rel, tolerance, ok, relative, note: None }
}

/// `[batch, channels, height, width]` as rows `[batch * height * width, channels]`, in whatever leading axes `data` has.
pub fn rows_of_map<T: Copy>(data: &[T], channels: usize, pixels: usize) -> Vec<T> {
    let images = data.chunks_exact(channels * pixels);
    images
        .flat_map(|image| (0..pixels).flat_map(move |p| (0..channels).map(move |c| image[c * pixels + p])))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_agree_with_themselves_only() {
        let exact = Tolerance::Absolute(0.0);
        assert!(compare("loss", &[f64::NAN], &[f64::NAN], exact).ok);
        for (found, wanted) in [(f64::NAN, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0)] {
            let report = compare("loss", &[found], &[wanted], Tolerance::Relative(1.0));
            assert!(!report.ok && report.max_abs == f64::MAX, "{report:?}");
        }
    }

    #[test]
    fn a_relative_tolerance_becomes_absolute_at_zero() {
        let relative = Tolerance::Relative(1e-4);
        assert!(compare("g", &[5e-8], &[0.0], relative).ok);
        assert!(!compare("g", &[2e-7], &[0.0], relative).ok);
        assert!(compare("g", &[100.009], &[100.0], relative).ok);
        assert!(!compare("g", &[100.011], &[100.0], relative).ok);
    }

    #[test]
    fn other_sizes_do_not_agree() {
        assert!(!compare("x", &[1.0], &[1.0, 1.0], Tolerance::Absolute(1.0)).ok);
    }

    #[test]
    fn maps_become_rows() {
        assert_eq!(rows_of_map(&[1, 2, 3, 4, 5, 6, 7, 8], 2, 2), [1, 3, 2, 4, 5, 7, 6, 8]);
    }
}
