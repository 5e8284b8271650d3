//! Pixels per class and prototype as a table for other programs.

use std::fmt::Write;

use crate::explain::live::Counts;

/// Columns of a table.
const HEAD: &str = "image,class,prototype,pixels,share_of_class,share_of_image\n";

/// A CSV file (RFC 4180 with plain line ends): a row per image, class and prototype. Shares are fractions, empty where there is
/// nothing to share; a model without prototypes has one row per class with an empty prototype.
#[must_use]
pub fn counts_csv(images: &[(&str, &Counts)], classes: &[String], has_prototypes: bool) -> String {
    let mut out = HEAD.to_owned();
    for (image, counts) in images {
        let total = counts.total();
        for (class, name) in classes.iter().enumerate() {
            let own = counts.of_class(class);
            let of_class = counts.class(class);
            for (k, &pixels) in own.iter().enumerate() {
                let share = |of: u64| {
                    if of == 0 { String::new() } else { format!("{:.6}", f64::from(pixels) / of as f64) }
                };
                let k = if has_prototypes { k.to_string() } else { String::new() };
                // Writing to a string cannot fail.
                let _ = writeln!(
                    out,
                    "{},{},{k},{pixels},{},{}",
                    quoted(image),
                    quoted(name),
                    share(of_class),
                    share(total)
                );
            }
        }
    }
    out
}

/// A field, in quotes where it needs them.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_per_class_and_prototype() {
        let counts = Counts { prototypes: vec![6, 2, 0, 0], overlaps: None, shape: [2, 2] };
        let names = ["Road, wet".to_owned(), "say \"no\"".to_owned()];
        let text = counts_csv(&[("a.png", &counts)], &names, true);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], HEAD.trim_end());
        assert_eq!(lines[1], "a.png,\"Road, wet\",0,6,0.750000,0.750000");
        assert_eq!(lines[4], "a.png,\"say \"\"no\"\"\",1,0,,0.000000");
        assert_eq!(lines.len(), 5);
        let rival = Counts { prototypes: vec![3, 1], overlaps: None, shape: [2, 1] };
        let text = counts_csv(&[("b", &rival)], &["x".into(), "y".into()], false);
        assert_eq!(text.lines().nth(1), Some("b,x,,3,1.000000,0.750000"));
    }
}
