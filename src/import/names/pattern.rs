//! Rules that turn one name into another: dots separate parts, `{a}` stands for a number, a `*` at the end for the rest.

use std::collections::BTreeMap;

/// What becomes of a tensor on its way to its new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Whole,
    /// The new tensor is one of `of` equal parts of this one, along the first axis.
    Slice {
        /// Which.
        part: usize,
        /// How many there are.
        of: usize,
    },
    /// This one is one of the `of` tensors that the new one is made of, along the first axis.
    Join {
        /// Which.
        part: usize,
        /// How many there are.
        of: usize,
    },
    /// The last axis holds four neighbours of each channel, as `nn.Unfold` lays them out; the new tensor holds the channels of
    /// each neighbour, in the order of the official Swin: top left, bottom left, top right, bottom right.
    MergeOrder,
    /// The input channels, on the second axis, in reverse: of weights that were trained on blue, green, red.
    ReverseInputs,
    /// Without the first of the tokens `[1, T, C]`.
    WithoutFirstToken,
    /// The first of the tokens `[1, T, C]`, which is added to the tensor that takes the new name as a whole.
    AddFirstToken,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    from: String,
    to: String,
    change: Change,
}

impl Rule {
    /// The names that `from` matches become `to`, which may hold `{a}`, `{a+1}`, `{a-1}` and `*`.
    pub fn new(from: impl Into<String>, to: impl Into<String>, change: Change) -> Self {
        Self { from: from.into(), to: to.into(), change }
    }

    /// The new name of `name`, if the rule applies.
    fn apply(&self, name: &str) -> Option<String> {
        let mut numbers = BTreeMap::new();
        let (mut parts, mut at) = (name.split('.'), 0);
        for piece in self.from.split('.') {
            if piece == "*" {
                let rest = name.get(at..).filter(|rest| !rest.is_empty())?;
                return self.fill(&numbers, Some(rest));
            }
            let part = parts.next()?;
            at += part.len() + 1;
            match piece.split_once('{') {
                None if piece == part => {}
                None => return None,
                Some((before, variable)) => {
                    let digits = part.strip_prefix(before)?;
                    // The numbers of layers have no sign and no zero in front, so that no two names become one.
                    let plain = digits == "0" || !digits.starts_with(['0', '+']);
                    let number: usize = digits.parse().ok().filter(|_| plain)?;
                    numbers.insert(variable.trim_end_matches('}'), number);
                }
            }
        }
        if parts.next().is_some() { None } else { self.fill(&numbers, None) }
    }

    fn fill(&self, numbers: &BTreeMap<&str, usize>, rest: Option<&str>) -> Option<String> {
        let mut out = String::new();
        let mut left = self.to.as_str();
        while let Some((before, inner)) = left.split_once('{') {
            let (expression, after) = inner.split_once('}')?;
            let number = *numbers.get(expression.trim_end_matches(['+', '-', '1']))?;
            let number = match &expression[expression.len().saturating_sub(2)..] {
                "+1" => number.checked_add(1)?,
                "-1" => number.checked_sub(1)?,
                _ => number,
            };
            out += before;
            out += &number.to_string();
            left = after;
        }
        match left.strip_suffix('*') {
            Some(before) => Some(out + before + rest?),
            None => Some(out + left),
        }
    }
}

/// The new names of `name` by the first of `rules` that applies, and by those right behind it that have the same pattern, which
/// take further parts of the same tensor.
pub fn rename(rules: &[Rule], name: &str) -> Vec<(String, Change)> {
    let Some(first) = rules.iter().position(|rule| rule.apply(name).is_some()) else { return Vec::new() };
    let alike = rules[first..].iter().take_while(|rule| rule.from == rules[first].from);
    alike.filter_map(|rule| Some((rule.apply(name)?, rule.change))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(from: &str, to: &str, name: &str) -> Option<String> {
        Rule::new(from, to, Change::Whole).apply(name)
    }

    #[test]
    fn numbers_and_rests_are_taken_over() {
        let from = "encoder.stages.{s}.layers.{n}.*";
        assert_eq!(
            one(from, "layer{s+1}.{n}.*", "encoder.stages.2.layers.13.conv.weight").unwrap(),
            "layer3.13.conv.weight"
        );
        assert_eq!(one("layer{s}.*", "stages.{s-1}.*", "layer1.a").unwrap(), "stages.0.a");
        assert_eq!(one("*", "*", "a.b").unwrap(), "a.b");
        assert_eq!(one("norm.*", "ln.*", "norm.weight").unwrap(), "ln.weight");
        assert_eq!(one("a.in_proj_weight", "a.qkv.weight", "a.in_proj_weight").unwrap(), "a.qkv.weight");
    }

    #[test]
    fn what_differs_does_not_match() {
        for (from, to, name) in [
            ("norm.*", "ln.*", "norm"),
            ("norm.*", "ln.*", "normal.weight"),
            ("a.{n}.b", "x.{n}", "a.one.b"),
            ("a.{n}.b", "x.{n}", "a.01.b"),
            ("a.{n}.b", "x.{n}", "a.+1.b"),
            ("a.{n}.b", "x.{n}", "a.99999999999999999999.b"),
            ("a.{n}", "x.{n}", "a.1.b"),
            ("a.{n}.b", "x.{n}", "a.1"),
            ("layer{s}.*", "stages.{s-1}.*", "layer0.a"),
            ("layer{s}.*", "stages.{s}.*", "layer.a"),
        ] {
            assert_eq!(one(from, to, name), None, "{from} on {name}");
        }
    }

    #[test]
    fn the_first_pattern_that_matches_counts_with_all_its_parts() {
        let rules = [
            Rule::new("kv.*", "key.*", Change::Slice { part: 0, of: 2 }),
            Rule::new("kv.*", "value.*", Change::Slice { part: 1, of: 2 }),
            Rule::new("*", "*", Change::Whole),
            Rule::new("kv.*", "other.*", Change::Whole),
        ];
        let found = rename(&rules, "kv.weight");
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[1], ("value.weight".to_owned(), Change::Slice { part: 1, of: 2 }));
        assert_eq!(rename(&rules, "q.weight"), [("q.weight".to_owned(), Change::Whole)]);
        assert!(rename(&rules[..2], "q.weight").is_empty());
    }
}
