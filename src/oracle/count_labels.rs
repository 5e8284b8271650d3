//! How many pixels have which class and prototype.

use super::Array;

/// `counts [C,K]` of labels `c + 65536 k`; others than these do not count.
#[must_use]
pub fn count_labels(label: &Array, num_classes: usize, num_prototypes: usize) -> Array {
    let mut counts = Array::zeros(&[num_classes, num_prototypes]);
    for &word in &label.data {
        let (class, k) = (word as usize % 65_536, word as usize / 65_536);
        if class < num_classes && k < num_prototypes {
            counts.row_mut(class)[k] += 1.0;
        }
    }
    counts
}
