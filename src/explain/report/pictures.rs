//! Validation images beside what was found in them, the classes' colours, and the retrieval figure.

use super::markup::{css, escape, picture, swatch};
use super::{ClassRow, Overlay, PrototypeHealth};
use crate::error::Result;
use crate::explain::palette::shades;
use image::RgbImage;
use image::imageops::{FilterType, resize};

/// The figure is printed at 2400 pixels; a page needs less, and base64 adds a third.
const FIGURE_WIDTH: u32 = 1600;

/// The retrieval figure; empty without one.
pub(super) fn figure(figure: Option<&RgbImage>) -> Result<String> {
    let Some(figure) = figure else { return Ok(String::new()) };
    let alt = "Images beside their pixels, coloured by the nearest prototype of the class";
    let img = if figure.width() > FIGURE_WIDTH {
        let height =
            (u64::from(figure.height()) * u64::from(FIGURE_WIDTH) / u64::from(figure.width())).max(1);
        picture(&resize(figure, FIGURE_WIDTH, height as u32, FilterType::Lanczos3), alt)?
    } else {
        picture(figure, alt)?
    };
    Ok(format!("<div class=\"sheet\">{img}</div>"))
}

/// What the colours mean.
pub(super) fn lead(overlays: &[Overlay]) -> &'static str {
    if overlays.iter().any(|overlay| overlay.prototypes.is_some()) {
        "Labels and predictions have the colours of the classes, nearest prototypes have shades of them: the first of a class \
         is the darkest."
    } else {
        "Labels and predictions have the colours of the classes."
    }
}

/// All validation images under the colours of the classes and of their prototypes; empty without images.
pub(super) fn section(
    overlays: &[Overlay],
    classes: &[ClassRow],
    health: &[PrototypeHealth],
) -> Result<String> {
    if overlays.is_empty() {
        return Ok(String::new());
    }
    let entry = |(i, class): (usize, &ClassRow)| {
        let prototypes = health.get(i).map_or(0, |h| h.usage.len());
        let cells: String = shades(class.color, prototypes)
            .into_iter()
            .map(|shade| format!("<i style=\"background:{}\"></i>", css(shade)))
            .collect();
        let shades = if prototypes > 1 {
            format!(
                "<span class=\"shades\" role=\"img\" aria-label=\"{prototypes} prototypes\">{cells}</span>"
            )
        } else {
            String::new()
        };
        format!("<li>{}{}{shades}</li>", swatch(class.color), escape(&class.name))
    };
    let legend: String = classes.iter().enumerate().map(entry).collect();
    let mut out = if legend.is_empty() { legend } else { format!("<ul class=\"legend\">{legend}</ul>") };
    for overlay in overlays {
        let mut cells = String::new();
        let views = [
            ("image", Some(&overlay.image)),
            ("labels", Some(&overlay.truth)),
            ("prediction", Some(&overlay.prediction)),
            ("nearest prototype", overlay.prototypes.as_ref()),
        ];
        for (caption, image) in views {
            let Some(image) = image else { continue };
            let img = picture(image, &format!("{}, {caption}", overlay.title))?;
            cells += &format!("<figure>{img}<figcaption>{caption}</figcaption></figure>");
        }
        out += &format!(
            "<div class=\"overlay\"><h3>{}</h3><div class=\"views\">{cells}</div></div>",
            escape(&overlay.title)
        );
    }
    Ok(out)
}
