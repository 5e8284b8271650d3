//! Nearest sampling of a label map.

use super::Array;

/// `labels [B,HL,WL]` at `[height, width]`: source row `floor(h*HL/height)`, column likewise; -1 outside `0..num_classes`.
#[must_use]
pub fn sample_labels(labels: &Array, [height, width]: [usize; 2], num_classes: usize) -> Array {
    let [images, label_height, label_width] = labels.shape[..] else { panic!("labels are [B,HL,WL]") };
    let mut out = Vec::with_capacity(images * height * width);
    for image in 0..images {
        for h in 0..height {
            for w in 0..width {
                let (y, x) = (h * label_height / height, w * label_width / width);
                let label = labels.data[(image * label_height + y) * label_width + x];
                out.push(if label >= 0.0 && label < num_classes as f64 { label } else { -1.0 });
            }
        }
    }
    Array::new(&[out.len()], out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_top_left_pixel_of_each_cell_and_only_known_classes() {
        let labels = Array::new(&[1, 4, 4], (0..16).map(f64::from).collect());
        assert_eq!(sample_labels(&labels, [2, 2], 9).data, [0.0, 2.0, 8.0, -1.0]);
    }
}
