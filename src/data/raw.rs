//! Raw labels: what a mask file holds at a pixel, before a label map says which class that is.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The number or the colour that a mask file holds at a pixel. Numbers come before colours in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RawLabel {
    /// The value of a grey PNG, or the index of a palette PNG.
    Value(u16),
    /// The colour of an RGB PNG.
    Color([u8; 3]),
}

impl RawLabel {
    /// The labels that `text` names: `17`, a range `0-6`, or a colour `#402020`.
    ///
    /// # Errors
    /// A sentence without its end where the text is none of these.
    pub fn parse(text: &str) -> Result<Vec<Self>, String> {
        let text = text.trim();
        let wrong = || format!("`{text}` is no raw label: write 17, a range 0-6, or a colour #402020");
        if let Some(hex) = text.strip_prefix('#') {
            let digits = hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit());
            let number = u32::from_str_radix(hex, 16).ok().filter(|_| digits).ok_or_else(wrong)?;
            let [_, r, g, b] = number.to_be_bytes();
            return Ok(vec![Self::Color([r, g, b])]);
        }
        let number = |part: &str| part.trim().parse::<u16>().map_err(|_| wrong());
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (number(first)?, number(last)?);
        if first > last { Err(wrong()) } else { Ok((first..=last).map(Self::Value).collect()) }
    }
}

impl fmt::Display for RawLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value}"),
            Self::Color([r, g, b]) => write!(f, "#{r:02x}{g:02x}{b:02x}"),
        }
    }
}

impl Serialize for RawLabel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => serializer.serialize_u16(*value),
            Self::Color(_) => serializer.collect_str(self),
        }
    }
}

/// Raw labels as people write them in JSON: a number, or a text that [`RawLabel::parse`] reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct RawLabels(pub Vec<RawLabel>);

impl RawLabels {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for RawLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a raw label: a number, a range \"0-6\" or a colour \"#402020\"")]
        enum Written {
            Number(i64),
            Text(String),
        }
        let mut labels = Vec::new();
        for written in Vec::<Written>::deserialize(deserializer)? {
            let text = match written {
                Written::Number(number) => number.to_string(),
                Written::Text(text) => text,
            };
            labels.extend(RawLabel::parse(&text).map_err(serde::de::Error::custom)?);
        }
        Ok(Self(labels))
    }
}

/// Many raw labels in few words: `0..=6, 29, #402020`.
#[must_use]
pub(super) fn in_words(labels: &[RawLabel]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = labels;
    while let [first, others @ ..] = rest {
        let follows = |(i, label): (usize, &RawLabel)| match (first, label) {
            (RawLabel::Value(from), RawLabel::Value(to)) => usize::from(*to) == usize::from(*from) + i + 1,
            _ => false,
        };
        let run = others.iter().enumerate().take_while(|&pair| follows(pair)).count();
        match run {
            0 => parts.push(first.to_string()),
            1 => parts.push(format!("{first}, {}", others[0])),
            _ => parts.push(format!("{first}..={}", others[run - 1])),
        }
        rest = &others[run..];
    }
    parts.join(", ")
}

/// The pixels of a mask file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawPixels {
    /// Numbers of up to 16 bits.
    Values(Vec<u16>),
    /// Colours, R, G, B.
    Colors(Vec<[u8; 3]>),
}

/// A mask as its file holds it, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMask {
    /// Pixels per row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height * width` raw labels.
    pub pixels: RawPixels,
}

/// How often a raw label occurs in a mask, and where first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Occurrence {
    pub pixels: u64,
    /// Column and row.
    pub first: [usize; 2],
}

impl RawMask {
    /// Counts the raw labels.
    pub(super) fn count(&self) -> BTreeMap<RawLabel, Occurrence> {
        match &self.pixels {
            RawPixels::Values(values) => self.count_runs(values, RawLabel::Value),
            RawPixels::Colors(colors) => self.count_runs(colors, RawLabel::Color),
        }
    }

    /// Regions are wide: one look into the map per run of equal pixels is few.
    fn count_runs<T: Copy + PartialEq>(
        &self,
        pixels: &[T],
        label: impl Fn(T) -> RawLabel,
    ) -> BTreeMap<RawLabel, Occurrence> {
        let mut counts = BTreeMap::new();
        let mut start = 0;
        for run in pixels.chunk_by(|a, b| a == b) {
            let first = [start % self.width, start / self.width];
            let entry = counts.entry(label(run[0])).or_insert(Occurrence { pixels: 0, first });
            entry.pixels += run.len() as u64;
            start += run.len();
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_labels_are_read_and_told_in_few_words() {
        let parse = |text: &str| RawLabel::parse(text);
        assert_eq!(parse(" 17 ").unwrap(), [RawLabel::Value(17)]);
        assert_eq!(parse("#40A0ff").unwrap(), [RawLabel::Color([64, 160, 255])]);
        assert_eq!(in_words(&parse("3 - 6").unwrap()), "3..=6");
        for wrong in ["", "-1", "6-3", "70000", "#12345", "#+12345", "road", "1-2-3"] {
            assert!(parse(wrong).unwrap_err().contains("is no raw label"), "{wrong}");
        }
        let mixed: Vec<RawLabel> = ["0-2", "7", "8", "60000", "#000000"].map(|t| parse(t).unwrap()).concat();
        assert_eq!(in_words(&mixed), "0..=2, 7, 8, 60000, #000000");
        let json = serde_json::to_string(&RawLabels(mixed.clone())).unwrap();
        assert_eq!(json, r##"[0,1,2,7,8,60000,"#000000"]"##);
        assert_eq!(serde_json::from_str::<RawLabels>(&json).unwrap().0, mixed);
        assert_eq!(serde_json::from_str::<RawLabels>(r#"["0-2"]"#).unwrap().0, mixed[..3]);
        let message = serde_json::from_str::<RawLabels>("[-1]").unwrap_err().to_string();
        assert!(message.contains("`-1` is no raw label"), "{message}");
    }

    #[test]
    fn labels_are_counted_with_their_first_place() {
        let pixels = RawPixels::Values(vec![3, 3, 300, 300, 3, 3]);
        let counts = RawMask { width: 3, height: 2, pixels }.count();
        let found: Vec<_> = counts.iter().map(|(label, o)| (label.to_string(), o.pixels, o.first)).collect();
        assert_eq!(found, [("3".to_owned(), 4, [0, 0]), ("300".to_owned(), 2, [2, 0])]);
    }
}
