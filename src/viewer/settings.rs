//! What is kept from one start to the next.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::disk;
use crate::explain::live::{ClassColors, Mode, PrototypeColors};

/// Recent files that are kept of each kind.
const MAX_RECENT: usize = 8;

/// Light, dark, or as the system says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// As the system says.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// The panel on the right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tab {
    /// What is at a pixel.
    #[default]
    Pixel,
    /// The nearest patches of every prototype.
    Gallery,
    /// How the prototypes share the work.
    Health,
    /// A training run.
    Train,
}

impl Tab {
    /// All of them, left to right.
    pub const ALL: [Self; 4] = [Self::Pixel, Self::Gallery, Self::Health, Self::Train];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pixel => "Pixel",
            Self::Gallery => "Gallery",
            Self::Health => "Health",
            Self::Train => "Train",
        }
    }
}

/// What is kept from one start to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Light or dark.
    pub theme: Theme,
    /// What is coloured.
    pub mode: Mode,
    /// Opacity of the colours, 0..1.
    pub opacity: f32,
    /// 0 filled, 1 contours only, 2 filled with contours.
    pub contour: u8,
    /// Where the classes' colours come from.
    pub class_colors: ClassColors,
    /// How prototypes are told apart.
    pub prototype_colors: PrototypeColors,
    /// Whether a prototype's colour is the fuller the clearer it won.
    pub by_strength: bool,
    /// How far the photograph is desaturated below the colours, 0..1.
    pub grey: f32,
    /// Longer side at which images are analysed, in pixels.
    pub limit: usize,
    /// Whether the legend is there.
    pub show_legend: bool,
    /// Whether the panel on the right is there.
    pub show_side: bool,
    /// Whether the filmstrip is there.
    pub show_filmstrip: bool,
    /// The panel on the right.
    pub tab: Tab,
    /// Model files, the last one first.
    pub recent_models: Vec<PathBuf>,
    /// Images and folders, the last one first.
    pub recent_images: Vec<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: Theme::System,
            mode: Mode::Prototypes,
            opacity: 0.75,
            contour: 0,
            class_colors: ClassColors::Dataset,
            prototype_colors: PrototypeColors::Shades,
            by_strength: false,
            grey: 0.0,
            limit: 1024,
            show_legend: true,
            show_side: true,
            show_filmstrip: true,
            tab: Tab::Pixel,
            recent_models: Vec::new(),
            recent_images: Vec::new(),
        }
    }
}

impl Settings {
    /// Takes note of an opened model.
    pub fn opened_model(&mut self, path: &Path) {
        remember(&mut self.recent_models, path);
    }

    /// Takes note of an opened image or folder.
    pub fn opened_images(&mut self, path: &Path) {
        remember(&mut self.recent_images, path);
    }
}

fn remember(list: &mut Vec<PathBuf>, path: &Path) {
    // Settings are kept as text.
    if path.to_str().is_none() {
        return;
    }
    let path = disk::real(path).unwrap_or_else(|_| path.to_path_buf());
    list.retain(|known| *known != path);
    list.insert(0, path);
    list.truncate(MAX_RECENT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_opened_comes_first_and_once() {
        let mut settings = Settings::default();
        (0..10).for_each(|i| settings.opened_model(Path::new(&format!("/no/such/{i}"))));
        settings.opened_model(Path::new("/no/such/5"));
        let names: Vec<_> = settings.recent_models.iter().map(|p| p.display().to_string()).collect();
        assert_eq!(names[..3], ["/no/such/5", "/no/such/9", "/no/such/8"]);
        assert_eq!(names.len(), MAX_RECENT);
    }

    #[test]
    fn settings_of_another_version_are_read_as_far_as_they_go() {
        let old: Settings =
            serde_json::from_str(r#"{"opacity": 0.4, "gone": 1, "mode": "unknown"}"#).unwrap();
        assert_eq!((old.opacity, old.mode, old.limit), (0.4, Mode::Unknown, 1024));
    }
}
