//! Matching and contrast in one.

use super::{Array, ppc, proto_match};

/// `a [N,C]`, `kstar [N,C]`, the contrast's value `[N]` and log-sum-exp `[N]`.
#[must_use]
pub fn match_contrast(emb: &Array, protos: &Array, target: &Array, tau: f64) -> [Array; 4] {
    let [a, kstar] = proto_match::proto_match(emb, protos, 0, protos.shape[0]);
    let (value, lse) = ppc::ppc(emb, protos, target, tau);
    [a, kstar, value, lse]
}
