//! Pictures of label maps: a class map in the data set's colours, a map of nearest prototypes in shades of them, and a
//! map laid over its photograph.

use crate::explain::palette::{blend, shades};
use image::{Rgb, RgbImage};

/// Colour of pixels whose label has no colour of its own (the ignore index, a label outside the class list).
pub const UNLABELLED: [u8; 3] = [24, 24, 28];

/// A `w` x `h` picture of `labels` (row major, class indices): label `c` gets `colors[c]`, every other value and every
/// missing label gets [`UNLABELLED`].
#[must_use]
pub fn class_map(labels: &[u16], w: u32, h: u32, colors: &[[u8; 3]]) -> RgbImage {
    RgbImage::from_fn(w, h, |x, y| {
        let label = labels.get(y as usize * w as usize + x as usize);
        Rgb(label.and_then(|&c| colors.get(usize::from(c))).copied().unwrap_or(UNLABELLED))
    })
}

/// A `w` x `h` picture of what a model found (row major): a pixel of class `c` whose nearest prototype is the `k`-th of
/// that class's `num_prototypes` gets the `k`-th of the shades of `colors[c]`; what is neither gets [`UNLABELLED`].
#[must_use]
pub fn prototype_map(
    (classes, nearest): (&[u32], &[u32]),
    w: u32,
    h: u32,
    colors: &[[u8; 3]],
    num_prototypes: usize,
) -> RgbImage {
    let shades: Vec<_> = colors.iter().map(|&color| shades(color, num_prototypes)).collect();
    RgbImage::from_fn(w, h, |x, y| {
        let at = y as usize * w as usize + x as usize;
        let shade = |(&c, &k): (&u32, &u32)| shades.get(c as usize)?.get(k as usize).copied();
        Rgb(classes.get(at).zip(nearest.get(at)).and_then(shade).unwrap_or(UNLABELLED))
    })
}

/// `map` over `image` with opacity `alpha` in 0..1, at the image's size (the map is scaled by nearest neighbour where
/// the sizes differ, so that no colour is invented).
#[must_use]
pub fn overlay(image: &RgbImage, map: &RgbImage, alpha: f32) -> RgbImage {
    if map.width() == 0 || map.height() == 0 {
        return image.clone();
    }
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let mx = (u64::from(x) * u64::from(map.width()) / u64::from(image.width())) as u32;
        let my = (u64::from(y) * u64::from(map.height()) / u64::from(image.height())) as u32;
        Rgb(blend(image.get_pixel(x, y).0, map.get_pixel(mx, my).0, alpha))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_their_colours_and_the_ignore_index_stays_dark() {
        let map = class_map(&[0, 1, 255], 2, 2, &[[1, 2, 3], [4, 5, 6]]);
        assert_eq!(map.get_pixel(1, 0).0, [4, 5, 6]);
        assert_eq!(map.get_pixel(0, 1).0, UNLABELLED);
        assert_eq!(map.get_pixel(1, 1).0, UNLABELLED, "a missing label");
    }

    #[test]
    fn prototypes_are_shades_of_their_class() {
        let colors = [[200, 30, 40], [20, 60, 220]];
        let map = prototype_map((&[0, 1, 1, 7], &[0, 0, 1, 0]), 2, 2, &colors, 2);
        assert_eq!(map.get_pixel(0, 0).0, shades(colors[0], 2)[0]);
        assert_eq!(map.get_pixel(1, 0).0, shades(colors[1], 2)[0]);
        assert_eq!(map.get_pixel(0, 1).0, shades(colors[1], 2)[1]);
        assert_eq!(map.get_pixel(1, 1).0, UNLABELLED, "a class without a colour");
    }

    #[test]
    fn overlay_mixes_and_scales_the_map() {
        let image = RgbImage::from_pixel(4, 2, Rgb([100; 3]));
        let map = class_map(&[0, 1], 2, 1, &[[200; 3], [0; 3]]);
        let mixed = overlay(&image, &map, 0.5);
        assert_eq!(mixed.get_pixel(1, 1).0, [150; 3]);
        assert_eq!(mixed.get_pixel(2, 0).0, [50; 3]);
        assert_eq!(overlay(&image, &RgbImage::new(0, 0), 0.5), image);
    }
}
