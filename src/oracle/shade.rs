//! The colour of every pixel of a layer, packed as `r | g << 8 | b << 16 | a << 24`.

use super::Array;

/// `layer [B,H,W]` from label, score, heat, color, truth, palette and options, for C classes and K prototypes each.
#[must_use]
pub fn shade(inputs: &[&Array], num_classes: usize, num_prototypes: usize) -> Array {
    let &[label, score, heat, color, truth, palette, options] = inputs else {
        panic!("shade takes 7 inputs, not {}", inputs.len())
    };
    let option = |i: usize| options.data[i];
    let class_color = |c: usize| palette.data[256 + c.min(num_classes - 1)];
    let prototype_color = |c: usize, k: usize| {
        if num_prototypes == 0 {
            return class_color(c);
        }
        let (c, k) = (c.min(num_classes - 1), k.min(num_prototypes - 1));
        palette.data[256 + num_classes + c * num_prototypes + k]
    };
    let alpha = |packed: f64| (packed / 16_777_216.0).floor();
    let grey = 118.0 * (1.0 + 256.0 + 65_536.0) + 16_777_216.0 * option(3).floor();
    let pixel = |m: usize| {
        let (class, k) = (label.data[m] as usize % 65_536, label.data[m] as usize / 65_536);
        let (wanted, ignored) = (truth.data[m] as usize, truth.data[m] == f64::from(u32::MAX));
        let off = alpha(class_color(class)) == 0.0 || alpha(prototype_color(class, k)) == 0.0;
        let scores = score.row(m);
        let ramp = |value: f64| {
            if option(4) == 1.0 && off {
                return 0.0;
            }
            let share = match option(2) - option(1) {
                0.0 => f64::from(value > option(1)),
                span => (value - option(1)) / span,
            };
            palette.data[(255.0 * share.clamp(0.0, 1.0)).round() as usize]
        };
        match option(0) as usize {
            0 => class_color(class),
            1 => {
                let own = prototype_color(class, k);
                let full = if option(5) == 1.0 { 0.35 + 0.65 * scores[2].sqrt() } else { 1.0 };
                own - 16_777_216.0 * (alpha(own) - (alpha(own) * full).round())
            }
            2 => ramp(heat.data[m]),
            3 => ramp(scores[3]),
            4 => ramp(scores[1]),
            5 => ramp(1.0 - scores[0]),
            6 if option(4) == 1.0 && off => 0.0,
            6 => color.data[m],
            7 if ignored => 0.0,
            7 => class_color(wanted),
            8 if ignored || wanted == class => grey,
            8 => class_color(wanted),
            9 => ramp(scores[0]),
            _ => 0.0,
        }
    };
    Array::new(&label.shape, (0..label.data.len()).map(pixel).collect())
}
