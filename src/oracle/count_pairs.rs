//! How many pixels of which true class got which class.

use super::Array;

/// `counts [C,C]`, rows by truth, of labels whose class is the remainder by 65536; what is out of range does not count.
#[must_use]
pub fn count_pairs(truth: &Array, label: &Array, num_classes: usize) -> Array {
    let mut counts = Array::zeros(&[num_classes, num_classes]);
    for (&wanted, &word) in std::iter::zip(&truth.data, &label.data) {
        let found = word as usize % 65_536;
        if (wanted as usize) < num_classes && found < num_classes {
            counts.row_mut(wanted as usize)[found] += 1.0;
        }
    }
    counts
}
