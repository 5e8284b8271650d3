//! When prototypes have collapsed: what is said of it once, until it is over.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::health::{ClassHealth, TWIN_COSINE};
use super::options::UpdateAssign;
use crate::ops::Balance;

/// Below this effective number one prototype does nearly all the work: two prototypes reach it at shares of 96 % and 4 %.
pub const ONE_EFFECTIVE: f64 = 1.2;
/// Above this mean cosine over its pairs the prototypes of a class point the same way.
pub const SAME_COSINE: f64 = 0.95;
/// Above this mean over the classes of that mean, the prototypes as a whole have been drawn together. Random directions in 64
/// dimensions begin at 0.0, and the centres of a k-means of pixels of a pretrained network at 0.84 (`docs/prototypes.md`).
pub const DRAWN_TOGETHER: f64 = 0.9;
/// What is over this much on the healthy side of a bound has recovered, and is told again if it comes back. Between the two nothing
/// changes, so that a number near a bound is not news at every evaluation.
const RECOVERED: f64 = 0.03;
/// The same for the effective number.
const RECOVERED_EFFECTIVE: f64 = 0.3;

/// Classes named in a sentence; of the others their number.
const MAX_NAMES: usize = 8;

/// What can be wrong with a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sign {
    /// One prototype does the work of all.
    One,
    /// All point the same way.
    Same,
    /// Two are one.
    Twins,
    /// All classes together, under the empty name.
    DrawnTogether,
}

/// What the advice depends on.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Momentum mu of the prototypes.
    pub momentum: f64,
    /// Assignment that moves them.
    pub update_assign: UpdateAssign,
    /// How equal their parts are made.
    pub balance: Balance,
    /// Whether they started as centres of pixels.
    pub from_pixels: bool,
    /// Whether unused ones are revived.
    pub revives: bool,
    /// Whether gradients train them, and nothing else moves them.
    pub learnable: bool,
}

/// Which collapses have been told. A run keeps it in its checkpoint: resumed, it tells what the uninterrupted one would.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CollapseWatch {
    /// Class names by sign.
    told: BTreeMap<Sign, Vec<String>>,
}

impl CollapseWatch {
    /// One sentence for each kind of collapse that classes have newly fallen into, with what to try. `found` has one entry for
    /// each of `names`. A class without a counted pixel keeps the state of its shares.
    #[must_use]
    pub fn warnings(&mut self, names: &[&str], found: &[ClassHealth], now: Circumstances) -> Vec<String> {
        if found.iter().all(|class| class.counts.len() < 2) {
            return Vec::new();
        }
        let classes = || names.iter().copied().zip(found);
        let above = |x: f64, bound: f64| (x > bound, x < bound - RECOVERED);
        let one = classes().filter(|(_, h)| h.effective > 0.0).map(|(name, h)| {
            let state = (h.effective < ONE_EFFECTIVE, h.effective > ONE_EFFECTIVE + RECOVERED_EFFECTIVE);
            (name, state, format!("{:.2}", h.effective))
        });
        let of = found.first().map_or(0, |h| h.counts.len());
        let one = self.news(Sign::One, one, |what| {
            format!(
                "one of the {of} prototypes does nearly all the work in {what} (effective numbers): try {}",
                for_shares(now)
            )
        });
        let same = classes()
            .map(|(name, h)| (name, above(h.mean_cosine, SAME_COSINE), format!("{:.3}", h.mean_cosine)));
        let same = self.news(Sign::Same, same, |what| {
            format!(
                "all {of} prototypes point the same way in {what} (mean cosines): try {}",
                for_directions(now)
            )
        });
        let pointing: BTreeSet<String> = self.told.get(&Sign::Same).into_iter().flatten().cloned().collect();
        let twins = classes().map(|(name, h)| {
            // Where all are alike, each pair's being so is no news.
            let (is, was) = above(h.max_cosine, TWIN_COSINE);
            (name, (is && !pointing.contains(name), was), format!("{:.3}", h.max_cosine))
        });
        let twins = self.news(Sign::Twins, twins, |what| {
            format!(
                "two prototypes are twins in {what} (their cosine): head.revive_every with head.merge_cosine = {TWIN_COSINE} \
                 gives one of them other work"
            )
        });
        let mean = found.iter().map(|h| h.mean_cosine).sum::<f64>() / found.len() as f64;
        // Where most classes are named already, their mean is no news.
        let (is, over) = above(mean, DRAWN_TOGETHER);
        let named = self.told.get(&Sign::Same).map_or(0, Vec::len);
        let all = std::iter::once(("", (is && 2 * named <= found.len(), over), String::new()));
        let drawn = self.news(Sign::DrawnTogether, all, |_| {
            format!(
                "the prototypes of a class have a cosine of {mean:.3} on average over the classes, above {DRAWN_TOGETHER}: {}",
                for_all(now)
            )
        });
        [one, same, twins, drawn].into_iter().flatten().collect()
    }

    /// Brings what has been told of `sign` up to date with the classes' states (whether it is so, whether it is over) and
    /// gives a sentence about those that are new, if any.
    fn news<'a>(
        &mut self,
        sign: Sign,
        classes: impl Iterator<Item = (&'a str, (bool, bool), String)>,
        sentence: impl FnOnce(&str) -> String,
    ) -> Option<String> {
        let told = self.told.entry(sign).or_default();
        // A set beside the list: with thousands of classes, looking each up in the list is thousands of times thousands.
        let known: BTreeSet<String> = told.iter().cloned().collect();
        let (mut new, mut over_now) = (Vec::new(), BTreeSet::new());
        for (name, (is, over), number) in classes {
            match known.contains(name) {
                true if over => drop(over_now.insert(name)),
                false if is => {
                    told.push(name.to_owned());
                    new.push(format!("{name} {number}"));
                }
                _ => {}
            }
        }
        told.retain(|name| !over_now.contains(&name[..]));
        if new.is_empty() {
            return None;
        }
        let rest = new.len().saturating_sub(MAX_NAMES);
        new.truncate(MAX_NAMES);
        let more = if rest > 0 { format!(" and {rest} more classes") } else { String::new() };
        Some(sentence(&format!("{}{more}", new.join(", "))))
    }
}

/// Nothing of the clustering helps prototypes that take no part in one.
const FEWER: &str = "a smaller model.prototypes";

/// What may bring unused prototypes back to work.
fn for_shares(now: Circumstances) -> String {
    if now.learnable {
        return FEWER.to_owned();
    }
    let mut out = Vec::new();
    if !now.revives {
        out.push("head.revive_every (such as 200)".to_owned());
    }
    if !now.from_pixels {
        out.push("head.prototype_init = \"kmeans\"".to_owned());
    }
    if now.balance != Balance::Balanced {
        out.push("head.sinkhorn_balance = \"balanced\", or a larger number".to_owned());
    }
    out.push(smaller_momentum(now));
    out.join(", or ")
}

/// What may keep prototypes apart.
fn for_directions(now: Circumstances) -> String {
    if now.learnable {
        return FEWER.to_owned();
    }
    if now.update_assign == UpdateAssign::Gumbel {
        return "head.update_assign = \"argmax\", since \"gumbel\" moves them all towards the mean of the class".to_owned();
    }
    let start = if now.from_pixels {
        "head.warmup_steps, so that k-means meets embeddings that have learned something, head.prototype_init = \"random\""
    } else {
        "a larger head.ppc_weight"
    };
    format!("{start}, or {}", smaller_momentum(now))
}

fn for_all(now: Circumstances) -> String {
    if now.update_assign == UpdateAssign::Gumbel && !now.learnable {
        "the rule head.update_assign = \"gumbel\" of the released code does that; try \"argmax\"".to_owned()
    } else {
        format!("try {}", for_directions(now))
    }
}

fn smaller_momentum(now: Circumstances) -> String {
    format!("a smaller head.momentum than {}", now.momentum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::health;

    const REC: Circumstances = Circumstances {
        momentum: 0.999,
        update_assign: UpdateAssign::Argmax,
        balance: Balance::Balanced,
        from_pixels: true,
        revives: false,
        learnable: false,
    };

    fn class(counts: [u64; 2], cosine: f32) -> ClassHealth {
        health(&[1.0, 0.0, cosine, (1.0 - cosine * cosine).sqrt()], &counts, [1, 2, 2]).remove(0)
    }

    fn told(watch: &mut CollapseWatch, car: [u64; 2], sky: f32) -> Vec<String> {
        watch.warnings(&["car", "sky"], &[class(car, 0.1), class([5, 5], sky)], REC)
    }

    #[test]
    fn a_collapse_is_told_once_until_it_is_over() {
        let mut watch = CollapseWatch::default();
        assert!(told(&mut watch, [5, 5], 0.2).is_empty());
        let found = told(&mut watch, [100, 1], 0.2);
        assert!(found.len() == 1 && found[0].contains("in car 1.06 (effective"), "{found:?}");
        assert!(found[0].contains("head.revive_every") && found[0].contains("0.999"), "{found:?}");
        // The same, no pixel, and a little better: nothing new. Then it is over, and comes back.
        for car in [[1000, 1], [0, 0], [100, 8], [100, 1], [5, 5]] {
            assert!(told(&mut watch, car, 0.2).is_empty(), "{car:?}");
        }
        assert_eq!(told(&mut watch, [100, 0], 0.2).len(), 1);
        let found = told(&mut watch, [100, 0], 0.96);
        assert!(found.len() == 1 && found[0].contains("same way in sky 0.960"), "{found:?}");
        assert!(
            told(&mut watch, [100, 0], 0.99).is_empty(),
            "twins are no news where all point the same way"
        );
    }

    #[test]
    fn classes_that_collapse_together_share_a_sentence() {
        let names: Vec<String> = (0..11).map(|c| format!("class{c}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let all = vec![class([9, 0], 0.0); 11];
        let found = CollapseWatch::default().warnings(&names, &all, REC);
        assert!(found.len() == 1 && found[0].contains("class7 1.00 and 3 more classes"), "{found:?}");
    }

    #[test]
    fn twins_among_several_and_the_official_rule() {
        let mut three = health(&[1.0, 0.0, 0.999, 0.0447, 0.0, 1.0], &[3, 3, 3], [1, 3, 2]);
        let found = CollapseWatch::default().warnings(&["car"], &three, REC);
        assert!(found.len() == 1 && found[0].contains("twins in car 0.999"), "{found:?}");
        three[0].mean_cosine = 0.93;
        let gumbel = Circumstances { update_assign: UpdateAssign::Gumbel, ..REC };
        let mut watch = CollapseWatch::default();
        let found = watch.warnings(&["car"], &three, gumbel);
        assert!(found.len() == 2 && found[1].contains("0.930 on average"), "{found:?}");
        assert!(found[1].contains("released code") && watch.warnings(&["car"], &three, gumbel).is_empty());
    }

    #[test]
    fn one_prototype_cannot_collapse() {
        let one = health(&[1.0, 0.0], &[7], [1, 1, 2]);
        assert!(CollapseWatch::default().warnings(&["car"], &one, REC).is_empty());
    }
}
