//! The document is whole: tags closed, text escaped, nothing from outside; odd inputs are drawn or refused.

use super::*;

const EVIL: &str = "</script><script>alert('x')</script> & \"q\" <img src=http://example.org/x.png>";

fn picture() -> RgbImage {
    RgbImage::from_pixel(6, 4, image::Rgb([10, 200, 30]))
}

fn full(text: &str) -> Report {
    let class = ClassRow {
        name: text.into(),
        color: [9, 8, 7],
        iou_before: Some(0.1),
        iou: Some(0.7),
        acc: Some(0.8),
        pixels: 5,
    };
    let absent = ClassRow { iou: None, iou_before: None, acc: None, ..class.clone() };
    let overlay = Overlay {
        title: text.into(),
        image: picture(),
        truth: picture(),
        prediction: picture(),
        prototypes: Some(picture()),
    };
    let health = PrototypeHealth {
        class_name: text.into(),
        color: [1, 2, 3],
        usage: vec![0.999, 0.001],
        mean_cosine: 0.99,
        max_cosine: 0.99,
        effective: 1.01,
        cosines: vec![1.0, 0.99, 0.99, 1.0],
        warning: Some(text.into()),
    };
    Report {
        title: text.into(),
        summary: vec![(text.into(), text.into())],
        miou_before: Some(0.1),
        miou: 0.7,
        curves: vec![Curve {
            name: text.into(),
            unit: text.into(),
            points: vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 0.5)],
        }],
        classes: vec![class, absent],
        overlays: vec![overlay],
        health: vec![health],
        figure: Some(RgbImage::new(2000, 10)),
        command: text.into(),
    }
}

/// Names of the opened elements in order, having checked that each is closed where it must be.
fn elements(html: &str) -> Vec<String> {
    const VOID: [&str; 4] = ["meta", "link", "img", "br"];
    let (mut open, mut all): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut rest = html.trim_start().strip_prefix("<!DOCTYPE html>").expect("a doctype");
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a bare > in {:?}", &rest[..start]);
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes of <{tag}>");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closing </{name}>");
            continue;
        }
        let name = tag.split([' ', '/', '\n']).next().expect("a name").to_owned();
        if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            open.push(name.clone());
        }
        if name == "style" || name == "script" {
            rest = &rest[rest.find(&format!("</{name}>")).expect("raw text ends")..];
        }
        all.push(name);
    }
    assert!(open.is_empty(), "left open: {open:?}");
    all
}

#[test]
fn a_full_report_is_well_formed_and_holds_every_part() {
    let elements = elements(&html(&full("name")).expect("a report"));
    let count = |name: &str| elements.iter().filter(|e| *e == name).count();
    assert_eq!((count("section"), count("img"), count("article"), count("table")), (6, 5, 1, 1));
    assert_eq!(count("svg"), 2);
}

#[test]
fn every_drawing_has_a_name_and_every_heading_says_what_it_heads() {
    let page = html(&full("name")).expect("a report");
    let named = page.matches("role=\"img\" aria-label=\"").count();
    assert_eq!((page.matches("<svg").count(), page.matches("role=\"img\"").count()), (2, named));
    let headings = page.matches("<th ").count();
    assert!(headings > 7 && headings == page.matches("<th scope=\"").count(), "{headings}");
    assert!(!page.contains("<th>"));
}

#[test]
fn prototypes_are_in_the_legend_of_the_overlays() {
    let page = html(&full("name")).expect("a report");
    for shade in crate::explain::palette::shades([9, 8, 7], 2) {
        assert!(page.contains(&format!("<i style=\"background:{}\"></i>", markup::css(shade))), "{shade:?}");
    }
}

#[test]
fn text_of_others_stays_text() {
    let page = html(&full(EVIL)).expect("a report");
    let plain = elements(&html(&full("name")).expect("a report"));
    assert_eq!(elements(&page), plain, "the same elements whatever the names are");
    assert!(!page.contains("alert('x')"));
}

#[test]
fn nothing_comes_from_outside() {
    let page = html(&full("name")).expect("a report");
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("@import"));
    assert!(!page.contains("url("));
    for attribute in ["src=\"", "href=\""] {
        assert!(page.split(attribute).skip(1).all(|after| after.starts_with("data:")), "{attribute}");
    }
}

#[test]
fn an_empty_report_is_still_a_page() {
    let empty = Report {
        title: String::new(),
        summary: vec![],
        miou_before: None,
        miou: f64::NAN,
        curves: vec![],
        classes: vec![],
        overlays: vec![],
        health: vec![],
        figure: None,
        command: String::new(),
    };
    let page = html(&empty).expect("a report");
    assert!(!elements(&page).contains(&"section".to_owned()));
    assert!(!page.contains("NaN"));
}

#[test]
fn an_empty_picture_is_refused() {
    let mut report = full("name");
    report.overlays[0].truth = RgbImage::new(0, 0);
    assert!(html(&report).expect_err("refused").to_string().contains("name, labels"));
}
