//! Which colour every class and prototype has, and which of them are shown.

use serde::{Deserialize, Serialize};

use crate::explain::palette::{series, shades};

use super::{pack_color, ramp};

/// Where the classes' colours come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassColors {
    /// The data set's own.
    #[default]
    Dataset,
    /// Colours that differ in lightness as well as in hue, for readers who do not see red and green.
    ColorBlind,
}

/// How a class's prototypes are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrototypeColors {
    /// Shades of the class's hue.
    #[default]
    Shades,
    /// The same distinct colours in every class, as in the paper's figure.
    Distinct,
}

/// A colour and whether it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    color: [u8; 3],
    shown: bool,
}

/// Colours and switches of a model's classes and prototypes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Legend {
    classes: Vec<Entry>,
    /// `[C,K]`.
    prototypes: Vec<Entry>,
    num_prototypes: usize,
    scheme: PrototypeColors,
}

/// Okabe and Ito's eight colours for readers who do not see red and green (jfly.uni-koeln.de/color), black replaced by a grey that a
/// picture's shadows are not taken for.
const COLOR_BLIND: [[u8; 3]; 8] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [0, 114, 178],
    [213, 94, 0],
    [204, 121, 167],
    [110, 110, 118],
];

impl Legend {
    /// The legend of classes with these colours and `num_prototypes` K each.
    #[must_use]
    pub fn new(
        colors: &[[u8; 3]],
        num_prototypes: usize,
        classes: ClassColors,
        scheme: PrototypeColors,
    ) -> Self {
        let color = |index: usize| match classes {
            ClassColors::Dataset => colors[index],
            ClassColors::ColorBlind => color_blind(index),
        };
        let entry = |index| Entry { color: color(index), shown: true };
        let mut legend = Self {
            classes: (0..colors.len()).map(entry).collect(),
            prototypes: Vec::new(),
            num_prototypes,
            scheme,
        };
        let switch = Entry { color: [0; 3], shown: true };
        legend.prototypes = vec![switch; colors.len() * num_prototypes];
        (0..colors.len()).for_each(|class| legend.color_prototypes(class));
        legend
    }

    fn color_prototypes(&mut self, class: usize) {
        let k = self.num_prototypes;
        let colors = match self.scheme {
            PrototypeColors::Shades => shades(self.classes[class].color, k),
            PrototypeColors::Distinct => series(k),
        };
        let own = &mut self.prototypes[class * k..(class + 1) * k];
        own.iter_mut().zip(colors).for_each(|(entry, color)| entry.color = color);
    }

    /// Number of classes C.
    #[must_use]
    pub const fn num_classes(&self) -> usize {
        self.classes.len()
    }

    /// Number of prototypes K of each class.
    #[must_use]
    pub const fn num_prototypes(&self) -> usize {
        self.num_prototypes
    }

    /// Colour of a class.
    #[must_use]
    pub fn class(&self, class: usize) -> [u8; 3] {
        self.classes[class].color
    }

    /// Colour of a class's prototype.
    #[must_use]
    pub fn prototype(&self, class: usize, k: usize) -> [u8; 3] {
        self.prototypes[class * self.num_prototypes + k].color
    }

    /// Gives a class another colour, and its prototypes the shades of it.
    pub fn recolor(&mut self, class: usize, color: [u8; 3]) {
        self.classes[class].color = color;
        self.color_prototypes(class);
    }

    /// Gives a prototype another colour.
    pub fn recolor_prototype(&mut self, class: usize, k: usize, color: [u8; 3]) {
        self.prototypes[class * self.num_prototypes + k].color = color;
    }

    /// Whether a class is shown.
    #[must_use]
    pub fn shows(&self, class: usize) -> bool {
        self.classes[class].shown
    }

    /// Whether a prototype is switched on; it is shown where its class is too.
    #[must_use]
    pub fn shows_prototype(&self, class: usize, k: usize) -> bool {
        self.prototypes[class * self.num_prototypes + k].shown
    }

    /// Switches a class on or off.
    pub fn show(&mut self, class: usize, shown: bool) {
        self.classes[class].shown = shown;
    }

    /// Switches a prototype on or off.
    pub fn show_prototype(&mut self, class: usize, k: usize, shown: bool) {
        self.prototypes[class * self.num_prototypes + k].shown = shown;
    }

    /// Whether `class` is the only one that is shown.
    #[must_use]
    pub fn is_solo(&self, class: usize) -> bool {
        self.classes.iter().enumerate().all(|(index, entry)| entry.shown == (index == class))
    }

    /// Shows `class` alone, or everything again if it was alone.
    pub fn solo(&mut self, class: usize) {
        let alone = self.is_solo(class);
        for (index, entry) in self.classes.iter_mut().enumerate() {
            entry.shown = alone || index == class;
        }
    }

    /// Shows what another legend of the same model shows.
    pub fn show_as(&mut self, other: &Self) {
        let from = other.classes.iter().chain(&other.prototypes);
        let to = self.classes.iter_mut().chain(&mut self.prototypes);
        to.zip(from).for_each(|(to, from)| to.shown = from.shown);
    }

    /// Shows everything.
    pub fn show_all(&mut self) {
        self.classes.iter_mut().chain(&mut self.prototypes).for_each(|entry| entry.shown = true);
    }

    /// Whether everything is shown.
    #[must_use]
    pub fn shows_all(&self) -> bool {
        self.classes.iter().chain(&self.prototypes).all(|entry| entry.shown)
    }

    /// What the op `shade` takes: the ramp, the classes' colours, the prototypes' colours; alpha 0 for what is not shown.
    #[must_use]
    pub fn palette(&self) -> Vec<u32> {
        let alpha = |shown| if shown { 255 } else { 0 };
        let ramp = ramp().into_iter().map(|color| pack_color(color, 255));
        let classes = self.classes.iter().map(|entry| pack_color(entry.color, alpha(entry.shown)));
        let prototype = |(index, entry): (usize, &Entry)| {
            let class = self.classes[index / self.num_prototypes];
            pack_color(entry.color, alpha(entry.shown && class.shown))
        };
        ramp.chain(classes).chain(self.prototypes.iter().enumerate().map(prototype)).collect()
    }
}

/// The class's colour of a colour-blind-safe list: eight colours, then the same lighter, then darker.
fn color_blind(index: usize) -> [u8; 3] {
    let base = COLOR_BLIND[index % COLOR_BLIND.len()];
    match index / COLOR_BLIND.len() % 3 {
        0 => base,
        1 => shades(base, 5)[4],
        _ => shades(base, 5)[0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn legend() -> Legend {
        Legend::new(&[[200, 30, 40], [20, 90, 200]], 3, ClassColors::Dataset, PrototypeColors::Shades)
    }

    #[test]
    fn what_is_switched_off_is_transparent() {
        let mut legend = legend();
        let alpha =
            |legend: &Legend| -> Vec<u32> { legend.palette()[256..].iter().map(|c| c >> 24).collect() };
        assert_eq!(alpha(&legend), [255; 8]);
        legend.show(0, false);
        legend.show_prototype(1, 2, false);
        assert_eq!(alpha(&legend), [0, 255, 0, 0, 0, 255, 255, 0]);
        legend.show_all();
        legend.solo(1);
        assert!(legend.is_solo(1) && !legend.shows(0));
        legend.solo(1);
        assert!(legend.shows_all());
    }

    #[test]
    fn a_new_colour_reaches_the_prototypes() {
        let mut legend = legend();
        legend.recolor(0, [10, 200, 10]);
        assert_eq!(legend.class(0), [10, 200, 10]);
        let [r, g, b] = legend.prototype(0, 1);
        assert!(g > r && g > b);
        legend.recolor_prototype(0, 1, [1, 2, 3]);
        assert_eq!(legend.palette()[256 + 2 + 1], pack_color([1, 2, 3], 255));
    }

    #[test]
    fn distinct_colours_are_the_same_in_every_class() {
        let legend = Legend::new(&[[0; 3]; 20], 4, ClassColors::ColorBlind, PrototypeColors::Distinct);
        assert_eq!(legend.prototype(0, 3), legend.prototype(19, 3));
        let unique: std::collections::BTreeSet<_> = (0..20).map(|c| legend.class(c)).collect();
        assert_eq!(unique.len(), 20);
    }
}
