//! Which library's names a file has, behind which prefix: the reading that gives the network the most of what it needs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::checkpoint::Header;
use super::names::{Change, Dialect, Family};
use super::needs::Need;
use super::shape::{Part, serves, shape};

/// Prefixes have at most this many parts, such as `state_dict.module.encoder.`.
const MAX_DEPTH: usize = 5;
/// Most prefixes that are tried, those of most tensors first.
const MAX_PREFIXES: usize = 64;
/// Parts of a prefix that tell the better of two copies: the average over the training.
const AVERAGES: &[&str] = &["teacher", "ema", "model_ema", "state_dict_ema"];

/// A reading of a file's names.
#[derive(Clone, Debug)]
pub struct Fit {
    /// Whose names they are.
    pub dialect: Dialect,
    /// What stands before all of them, with the dot at its end.
    pub prefix: String,
    /// By name of the network's tensor: what it is made of, and of what shape.
    pub found: BTreeMap<String, Found>,
}

/// What a tensor of the network is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The file's tensors, by their place among its headers.
    pub parts: Vec<(usize, Change)>,
    /// The shape that they give.
    pub shape: Vec<usize>,
    /// Whether that is one that the network can use.
    pub serves: bool,
}

impl Fit {
    /// How many of `needs` are there.
    pub fn score(&self, needs: &[Need]) -> usize {
        needs.iter().filter(|need| self.found.get(&need.name).is_some_and(|found| found.serves)).count()
    }

    fn is_average(&self) -> bool {
        self.prefix.split('.').any(|part| AVERAGES.contains(&part))
    }
}

/// The best reading of `headers` for what `needs` lists, of the networks of `family`.
pub fn best(headers: &[Header], family: Family, needs: &[Need]) -> Option<Fit> {
    let (prefixes, dialects) = (prefixes(headers), family.dialects());
    let each = prefixes.iter().flat_map(|prefix| dialects.iter().enumerate().map(move |pair| (prefix, pair)));
    let fits = each.map(|(prefix, (order, dialect))| (order, read(headers, prefix, dialect.clone(), needs)));
    let rank = |(order, fit): &(usize, Fit)| {
        (fit.score(needs), fit.is_average(), Reverse(*order), Reverse(fit.prefix.len()))
    };
    fits.max_by_key(rank).map(|(_, fit)| fit)
}

/// What may stand before a network's names: the first parts of names, none of which is a number.
fn prefixes(headers: &[Header]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::from([(String::new(), headers.len())]);
    for header in headers {
        let mut prefix = String::new();
        // The last part is the tensor's own.
        let parts = header.name.rsplit_once('.').map_or("", |(parts, _)| parts);
        for part in parts.split('.').take(MAX_DEPTH) {
            if part.is_empty() || part.parse::<u64>().is_ok() {
                break;
            }
            prefix = prefix + part + ".";
            *counts.entry(prefix.clone()).or_default() += 1;
        }
    }
    let mut all: Vec<_> = counts.into_iter().collect();
    all.sort_by_key(|(prefix, count)| (Reverse(*count), prefix.len()));
    all.into_iter().take(MAX_PREFIXES).map(|(prefix, _)| prefix).collect()
}

fn read(headers: &[Header], prefix: &str, dialect: Dialect, needs: &[Need]) -> Fit {
    let wanted: BTreeSet<&str> = needs.iter().map(|need| need.name.as_str()).collect();
    let mut sources: BTreeMap<String, Vec<(usize, Change)>> = BTreeMap::new();
    for (index, header) in headers.iter().enumerate() {
        let Some(name) = header.name.strip_prefix(prefix) else { continue };
        for (to, change) in dialect.rename(name) {
            if wanted.contains(to.as_str()) {
                sources.entry(to).or_default().push((index, change));
            }
        }
    }
    let mut found = BTreeMap::new();
    for need in needs {
        let Some(mut parts) = sources.remove(&need.name) else { continue };
        parts.sort_by_key(|&(_, change)| match change {
            Change::Join { part, .. } => part,
            Change::AddFirstToken => usize::MAX,
            _ => 0,
        });
        let of = |&(index, change): &(usize, Change)| {
            let header: &Header = &headers[index];
            Part { shape: &header.shape, change, content: () }
        };
        let made: Vec<_> = parts.iter().map(of).collect();
        // Of two tensors that claim one name the first is taken.
        let (made, count) = match shape(&made) {
            Some(made) => (Some(made), parts.len()),
            None => (shape(&made[..1]), 1),
        };
        if let Some(shape) = made {
            parts.truncate(count);
            let serves = serves(&need.name, &need.shape, &shape);
            found.insert(need.name.clone(), Found { parts, shape, serves });
        }
    }
    Fit { dialect, prefix: prefix.to_owned(), found }
}
