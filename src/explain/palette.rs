//! Colours of sub-prototypes, and the arithmetic on colours the drawings share.
//!
//! Distances and shades are taken in OKLab, where equal steps look equal.

/// The first 16 chosen by hand so that every prefix is as distinct as it can be: the first three differ in hue *and* lightness, so
/// that they stay apart for a reader who does not see red and green; none is grey, the colour of what is darkened. The
/// others are, in turn, the colour of middling chroma that is furthest from all before it.
const SERIES: [[u8; 3]; 32] = [
    [239, 89, 43],
    [38, 196, 158],
    [104, 96, 236],
    [248, 200, 36],
    [54, 162, 232],
    [214, 45, 138],
    [140, 190, 32],
    [138, 84, 38],
    [249, 152, 186],
    [14, 106, 74],
    [182, 148, 250],
    [128, 20, 44],
    [150, 236, 240],
    [24, 52, 140],
    [255, 214, 164],
    [112, 122, 16],
    [126, 18, 150],
    [138, 252, 126],
    [150, 114, 156],
    [180, 150, 102],
    [72, 54, 0],
    [0, 114, 168],
    [0, 150, 132],
    [192, 24, 42],
    [102, 78, 120],
    [240, 204, 252],
    [0, 162, 36],
    [234, 102, 204],
    [252, 144, 0],
    [84, 30, 90],
    [174, 84, 210],
    [144, 192, 240],
];

/// `k` distinguishable colours; a shorter list is a prefix of a longer one, so that a prototype keeps its colour.
/// Beyond 32 the hues go round in golden-angle steps at three lightnesses: still different, no longer easy to name.
#[must_use]
pub fn series(k: usize) -> Vec<[u8; 3]> {
    (0..k)
        .map(|i| match SERIES.get(i) {
            Some(&c) => c,
            None => from_lch([0.78, 0.45, 0.62][i % 3], 0.13, i as f32 * 2.399_963),
        })
        .collect()
}

/// `k` shades of one class colour, dark to light, of the same hue. A single shade is the colour itself. Above 16 their steps
/// in lightness are too small to tell neighbours apart, so the hue swings to either side in turn.
#[must_use]
pub fn shades(color: [u8; 3], k: usize) -> Vec<[u8; 3]> {
    if k == 1 {
        return vec![color];
    }
    let [_, a, b] = to_lab(color);
    let (chroma, hue) = (a.hypot(b), b.atan2(a));
    let swing = if k > 16 { 0.3 } else { 0.0 };
    (0..k)
        .map(|i| {
            let t = i as f32 / (k - 1) as f32;
            // Very dark and very light colours hold little chroma: without the taper the hue would shift on clipping.
            let chroma = chroma * (1.0 - 0.8 * (t - 0.45) * (t - 0.45));
            from_lch(0.38 + 0.5 * t, chroma, if i % 2 == 0 { hue - swing } else { hue + swing })
        })
        .collect()
}

/// `a` with `b` over it at opacity `t` in 0..1.
#[must_use]
pub fn blend(a: [u8; 3], b: [u8; 3], t: f32) -> [u8; 3] {
    let t = t.clamp(0.0, 1.0);
    std::array::from_fn(|i| (f32::from(a[i]) + (f32::from(b[i]) - f32::from(a[i])) * t).round() as u8)
}

/// `color` moved to black by `t` in 0..1.
#[must_use]
pub fn darken(color: [u8; 3], t: f32) -> [u8; 3] {
    blend(color, [0; 3], t)
}

/// Luma (Rec. 709 weights on the stored values), 0..1.
#[must_use]
pub fn luma(color: [u8; 3]) -> f32 {
    (0.2126 * f32::from(color[0]) + 0.7152 * f32::from(color[1]) + 0.0722 * f32::from(color[2])) / 255.0
}

fn to_lab(color: [u8; 3]) -> [f32; 3] {
    let [r, g, b] = color.map(|v| {
        let v = f32::from(v) / 255.0;
        if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    });
    let l = (0.412_221_46 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
    let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
    let s = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
    [
        0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
        1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
        0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
    ]
}

fn from_lch(lightness: f32, chroma: f32, hue: f32) -> [u8; 3] {
    let (a, b) = (chroma * hue.cos(), chroma * hue.sin());
    let l = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let m = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let s = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    let linear = [
        4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s,
        -1.268_438 * l + 2.609_757_4 * m - 0.341_319_4 * s,
        -0.004_196_086_3 * l - 0.703_418_6 * m + 1.707_614_7 * s,
    ];
    linear.map(|v| {
        let v = v.clamp(0.0, 1.0);
        let v = if v <= 0.003_130_8 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 };
        (v * 255.0).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: [u8; 3], b: [u8; 3]) -> f32 {
        let (a, b) = (to_lab(a), to_lab(b));
        (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f32>().sqrt()
    }

    /// Full deuteranopia / protanopia (Vienot, Brettel and Mollon 1999) on linear RGB.
    fn without_green_or_red(color: [u8; 3], protan: bool) -> [u8; 3] {
        let lin = color.map(|v| (f32::from(v) / 255.0).powf(2.2));
        let rg = if protan {
            0.112_38 * lin[0] + 0.887_62 * lin[1]
        } else {
            0.292_75 * lin[0] + 0.707_25 * lin[1]
        };
        let b = if protan {
            0.004_01 * lin[0] - 0.004_01 * lin[1] + lin[2]
        } else {
            -0.022_34 * lin[0] + 0.022_34 * lin[1] + lin[2]
        };
        [rg, rg, b.max(0.0)].map(|v| (v.powf(1.0 / 2.2) * 255.0).round().min(255.0) as u8)
    }

    #[test]
    fn every_pair_of_the_series_is_apart() {
        let colors = series(32);
        for i in 0..32 {
            for j in 0..i {
                let d = distance(colors[i], colors[j]);
                assert!(d > 0.1, "colours {j} and {i} are {d} apart");
            }
        }
        assert_eq!(series(3), colors[..3]);
    }

    #[test]
    fn the_first_three_are_apart_for_colour_blind_readers() {
        for protan in [false, true] {
            let seen: Vec<_> = series(3).into_iter().map(|c| without_green_or_red(c, protan)).collect();
            for (i, j) in [(0, 1), (0, 2), (1, 2)] {
                let d = distance(seen[i], seen[j]);
                assert!(d > 0.1, "protan {protan}: colours {i} and {j} are {d} apart");
            }
        }
    }

    #[test]
    fn shades_climb_in_lightness() {
        for color in [[0, 0, 0], [200, 30, 40], [255, 255, 255]] {
            let shades = shades(color, 5);
            assert!(shades.windows(2).all(|p| to_lab(p[0])[0] < to_lab(p[1])[0]), "{shades:?}");
        }
        assert_eq!(shades([1, 2, 3], 1), [[1, 2, 3]]);
        assert!(shades([1, 2, 3], 0).is_empty());
    }

    #[test]
    fn many_shades_stay_apart_from_their_neighbours() {
        for (color, k) in [([200, 30, 40], 20), ([200, 30, 40], 32), ([60, 130, 60], 20)] {
            let shades = shades(color, k);
            for pair in shades.windows(2) {
                assert!(distance(pair[0], pair[1]) > 0.05, "{pair:?} of {k}");
                assert!(to_lab(pair[0])[0] < to_lab(pair[1])[0], "{pair:?} of {k}");
            }
        }
    }

    #[test]
    fn many_prototypes_get_different_colours() {
        let colors = series(60);
        let unique: std::collections::BTreeSet<_> = colors.iter().collect();
        assert_eq!(unique.len(), 60);
    }

    #[test]
    fn blending_meets_its_ends() {
        assert_eq!(blend([10, 20, 30], [200, 100, 0], 0.0), [10, 20, 30]);
        assert_eq!(blend([10, 20, 30], [200, 100, 0], 1.0), [200, 100, 0]);
        assert_eq!(blend([10; 3], [200; 3], f32::INFINITY), [200; 3]);
        assert_eq!(darken([100; 3], 0.5), [50; 3]);
    }

    #[test]
    fn oklab_goes_there_and_back() {
        for color in [[0, 0, 0], [255, 255, 255], [200, 30, 90], [10, 120, 240]] {
            let [l, a, b] = to_lab(color);
            let back = from_lch(l, a.hypot(b), b.atan2(a));
            assert!((0..3).all(|i| color[i].abs_diff(back[i]) <= 1), "{color:?} came back as {back:?}");
        }
    }
}
