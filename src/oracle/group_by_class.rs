//! Grouping by class.

use super::Array;

/// The pixels stably sorted by class, those without a class last, and where each class begins (`[C+1]`).
#[must_use]
pub fn group_by_class(gt: &Array, num_classes: usize) -> (Array, Array) {
    let key = |label: f64| if label >= 0.0 { (label as usize).min(num_classes) } else { num_classes };
    let mut members = vec![Vec::new(); num_classes + 1];
    for (n, &label) in gt.data.iter().enumerate() {
        members[key(label)].push(n as f64);
    }
    let mut offsets = vec![0.0];
    for class in &members[..num_classes] {
        offsets.push(offsets[offsets.len() - 1] + class.len() as f64);
    }
    (Array::new(&gt.shape, members.concat()), Array::new(&[num_classes + 1], offsets))
}
