//! The window's looks: quiet greys, so that the colours of the picture are the only ones.

use egui::{Color32, Context, CornerRadius, Style, ThemePreference, Visuals, vec2};

use super::settings::Theme;

/// The one colour of the controls.
const ACCENT: Color32 = Color32::from_rgb(58, 126, 214);

/// Sets fonts' sizes, spacing and colours of both themes.
pub fn install(context: &Context) {
    #[cfg(all(target_arch = "wasm32", feature = "web"))]
    context.set_fonts(fonts());
    context.all_styles_mut(|style| {
        style.spacing.item_spacing = vec2(8.0, 6.0);
        style.spacing.button_padding = vec2(8.0, 4.0);
        style.spacing.slider_width = 120.0;
        style.spacing.scroll = egui::style::ScrollStyle::thin();
        style.interaction.tooltip_delay = 0.35;
        rounded(style);
    });
    context.set_visuals_of(egui::Theme::Dark, dark());
    context.set_visuals_of(egui::Theme::Light, light());
}

/// One font for all, because a browser downloads each: its figures are of one width too.
#[cfg(all(target_arch = "wasm32", feature = "web"))]
fn fonts() -> egui::FontDefinitions {
    let mut fonts = egui::FontDefinitions::empty();
    let font = egui::FontData::from_static(epaint_default_fonts::UBUNTU_LIGHT);
    fonts.font_data.insert("Ubuntu".into(), std::sync::Arc::new(font));
    for family in [egui::FontFamily::Proportional, egui::FontFamily::Monospace] {
        fonts.families.insert(family, vec!["Ubuntu".into()]);
    }
    fonts
}

/// Enlarges everything where a page gives the window more than two thousand points: a browser knows nothing of how far away
/// so wide a screen stands.
#[cfg(target_arch = "wasm32")]
pub fn enlarge(context: &Context) {
    let width = context.content_rect().width() * context.zoom_factor();
    context.set_zoom_factor((width / 2000.0).clamp(1.0, 2.0));
}

/// Follows the setting.
pub fn apply(context: &Context, theme: Theme) {
    context.set_theme(match theme {
        Theme::System => ThemePreference::System,
        Theme::Light => ThemePreference::Light,
        Theme::Dark => ThemePreference::Dark,
    });
}

/// Colour around the photograph.
#[must_use]
pub fn surround(dark: bool) -> [u8; 3] {
    if dark { [19, 20, 23] } else { [214, 216, 220] }
}

fn rounded(style: &mut Style) {
    let visuals = &mut style.visuals;
    let widgets = &mut visuals.widgets;
    for widget in [
        &mut widgets.noninteractive,
        &mut widgets.inactive,
        &mut widgets.hovered,
        &mut widgets.active,
        &mut widgets.open,
    ] {
        widget.corner_radius = CornerRadius::same(5);
    }
}

fn dark() -> Visuals {
    let mut visuals = Visuals::dark();
    visuals.panel_fill = Color32::from_rgb(30, 31, 35);
    visuals.window_fill = Color32::from_rgb(36, 37, 42);
    visuals.extreme_bg_color = Color32::from_rgb(20, 21, 24);
    visuals.faint_bg_color = Color32::from_rgb(38, 39, 44);
    visuals.selection.bg_fill = ACCENT.gamma_multiply(0.55);
    visuals.hyperlink_color = Color32::from_rgb(118, 172, 246);
    visuals.override_text_color = Some(Color32::from_rgb(214, 216, 221));
    round(visuals)
}

fn light() -> Visuals {
    let mut visuals = Visuals::light();
    visuals.panel_fill = Color32::from_rgb(246, 247, 249);
    visuals.window_fill = Color32::WHITE;
    visuals.extreme_bg_color = Color32::WHITE;
    visuals.faint_bg_color = Color32::from_rgb(236, 238, 241);
    visuals.selection.bg_fill = ACCENT.gamma_multiply(0.35);
    visuals.override_text_color = Some(Color32::from_rgb(34, 36, 42));
    round(visuals)
}

fn round(mut visuals: Visuals) -> Visuals {
    let widgets = &mut visuals.widgets;
    for widget in [
        &mut widgets.noninteractive,
        &mut widgets.inactive,
        &mut widgets.hovered,
        &mut widgets.active,
        &mut widgets.open,
    ] {
        widget.corner_radius = CornerRadius::same(5);
    }
    visuals.window_corner_radius = CornerRadius::same(8);
    visuals.menu_corner_radius = CornerRadius::same(8);
    visuals
}
