//! Class, nearest prototype and scores of every pixel (spec section 12).

use super::Array;

/// The largest margin: that of a model with one class.
const MOST: f64 = 3e38_f32 as f64;

/// `label [B,H,W]` and `score [B,H,W,4]` from the class map, its two highest logits and, for a model with prototypes, the
/// nearest prototype and the cosines to all K of the class.
#[must_use]
pub fn pixel_label(pred: &Array, [best, second]: [&Array; 2], prototypes: Option<[&Array; 2]>) -> [Array; 2] {
    let mut label = pred.clone();
    let mut score = Array::zeros(&[&pred.shape[..], &[4]].concat());
    for m in 0..pred.data.len() {
        let (mut cosine, mut strength) = (0.0, 0.0);
        if let Some([nearest, sim]) = prototypes {
            let k = nearest.data[m] as usize;
            let all = sim.row(m);
            cosine = all[k];
            strength = (cosine / 0.1).exp() / all.iter().map(|s| (s / 0.1).exp()).sum::<f64>();
            label.data[m] += 65_536.0 * nearest.data[m];
        }
        let margin = (best.data[m] - second.data[m]).min(MOST);
        let confidence = 1.0 / (1.0 + (-margin).exp());
        score.row_mut(m).copy_from_slice(&[cosine, margin, strength, confidence]);
    }
    [label, score]
}
