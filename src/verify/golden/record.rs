//! A training step's head on the tape, recorded by the functions that training uses, with everything that a golden file
//! may hold under its name there.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::head::{HeadOptions, tiles};
use crate::model::{HeadSizes, Network, Objective, Phase, Supervision, record_head, record_objective};
use crate::nn::{Builder, Mode, Weights};
use crate::ops::{self, Sinkhorn};
use crate::proto::Noise;
use crate::tape::{DType, Tape, ValueId};

use super::config::Config;

/// Golden names of the weights, with ours.
pub const WEIGHTS: [(&str, &str); 8] = [
    ("w1", "head.proj.0.weight"),
    ("b1", "head.proj.0.bias"),
    ("w2", "head.proj.2.weight"),
    ("b2", "head.proj.2.bias"),
    ("fn_w", "head.feat_norm.weight"),
    ("fn_b", "head.feat_norm.bias"),
    ("mn_w", "head.mask_norm.weight"),
    ("mn_b", "head.mask_norm.bias"),
];

/// Where a quantity's numbers are after a run.
#[derive(Clone, Debug)]
pub enum Source {
    /// In one value.
    Value(ValueId),
    /// In values `[N,..]` whose columns stand side by side.
    Tiles(Vec<ValueId>),
    /// In the gradient of the weight with this index in the catalogue, whose layout on disk is another.
    Weight(ValueId, usize),
    /// Equality of two values, predicted and true class.
    Same(ValueId, ValueId),
}

impl Source {
    /// The values to keep.
    pub fn values(&self) -> Vec<ValueId> {
        match self {
            Self::Value(id) | Self::Weight(id, _) => vec![*id],
            Self::Tiles(ids) => ids.clone(),
            Self::Same(a, b) => vec![*a, *b],
        }
    }
}

/// A recorded step.
pub struct Recorded {
    pub tape: Tape,
    pub weights: Weights,
    pub features: ValueId,
    pub labels: ValueId,
    pub class_weights: ValueId,
    pub noise: ValueId,
    /// By the name in the golden file.
    pub quantities: BTreeMap<String, Source>,
}

/// Records the step of `options` in `phase`; `rounds` are further numbers of Sinkhorn rounds to give the assignment after.
pub fn record(c: &Config, options: &HeadOptions, phase: Phase, rounds: &[usize]) -> Result<Recorded> {
    let mut tape = Tape::new();
    let features = tape.input("features", &[c.batch, c.height, c.width, c.inputs], DType::F32);
    let labels = tape.input("labels", &[c.batch, c.label_height, c.label_width], DType::I32);
    let class_weights = tape.input("class weights", &[c.classes], DType::F32);
    let noise = tape.input("noise", &[c.pixels(), c.prototypes], DType::F32);
    let mut b = Builder::new(&mut tape, Mode::Train);
    let sizes = HeadSizes { classes: c.classes, prototypes: c.prototypes, embedding: c.embedding };
    let net = record_head(&mut b, [features; 2], sizes, options, phase == Phase::WarmUp)?;
    let weights = b.weights;
    let supervision = Supervision { labels, class_weights, hard: None, noise: Noise::Given(noise) };
    let objective = record_objective(&mut tape, &net, options, supervision, phase)?;
    let mut quantities = BTreeMap::new();
    let mut step = Step { tape: &mut tape, net, objective, quantities: &mut quantities };
    match phase {
        Phase::WarmUp => step.prototype_gradient()?,
        Phase::Main => {
            step.forward(c, options)?;
            step.clustering(options, rounds)?;
            step.gradients(features, &weights)?;
            // The last node: everything above reads the prototypes of before the step.
            if let Some(counts) = step.objective.record_update(step.tape, &net, options)? {
                step.add("counts", Source::Value(counts));
                step.add("protos_after", Source::Value(net.protos));
            }
        }
    }
    Ok(Recorded { tape, weights, features, labels, class_weights, noise, quantities })
}

struct Step<'a> {
    tape: &'a mut Tape,
    net: Network,
    objective: Objective,
    quantities: &'a mut BTreeMap<String, Source>,
}

impl Step<'_> {
    fn add(&mut self, name: &str, source: Source) {
        self.quantities.insert(name.to_owned(), source);
    }

    fn add_value(&mut self, name: &str, id: ValueId) {
        self.add(name, Source::Value(id));
    }

    /// Embeddings, scores, decisions by the nearest prototype, class map.
    fn forward(&mut self, c: &Config, options: &HeadOptions) -> Result<()> {
        let embedded = self.net.embedded;
        for (name, id) in [
            ("raw", embedded.raw),
            ("proj_norm", embedded.normed),
            ("ln", embedded.ln),
            ("emb", embedded.emb),
            ("pred", self.objective.pred),
        ] {
            self.add_value(name, id);
        }
        let classifier = self.net.classifier(self.tape, options)?;
        let scores = classifier.record_scores(self.tape)?;
        for (name, column) in [
            ("maxsim", scores.tiles.iter().map(|t| t.a).collect()),
            ("near_proto", scores.tiles.iter().filter_map(|t| t.kstar).collect()),
            ("seg", scores.tiles.iter().map(|t| t.logits).collect()),
        ] {
            self.add(name, Source::Tiles(column));
        }
        let out_size = [c.label_height, c.label_width];
        let map = classifier.record_prediction(self.tape, [c.height, c.width], out_size)?;
        self.add_value("pred_full", map.pred);
        // As many classes as there are prototypes, of one prototype each.
        let num_protos = c.classes * c.prototypes;
        let each = self.tape.reshape(self.net.protos, &[num_protos, 1, c.embedding])?;
        let (mut sims, mut winner) = (Vec::new(), None);
        for tile in tiles(num_protos, c.pixels()) {
            let first = tile.start;
            let (sim, _) = ops::proto_match(self.tape, embedded.emb, each, tile)?;
            winner = Some(ops::argmax_rows(self.tape, sim, winner, first)?);
            sims.push(sim);
        }
        self.add("sim", Source::Tiles(sims));
        if let Some((winner, _)) = winner {
            self.add_value("win_proto", winner);
        }
        // A copy: the update overwrites the prototypes.
        let protos = ops::scale(self.tape, self.net.protos, 1.0)?;
        self.add_value("protos_norm", protos);
        Ok(())
    }

    fn clustering(&mut self, options: &HeadOptions, rounds: &[usize]) -> Result<()> {
        let Some(found) = self.objective.clustering else { return Ok(()) };
        self.add_value("gt", found.gt);
        self.add_value("assign", found.k);
        self.add_value("target", found.target);
        self.add("correct", Source::Same(self.objective.pred, found.gt));
        if found.khat != found.k {
            self.add_value("assign_gumbel", found.khat);
        }
        for &n in rounds {
            let grouped = (found.order, found.offsets);
            let rule = Sinkhorn { iterations: n, kappa: options.kappa, balance: options.sinkhorn_balance };
            let (q, _) = ops::sinkhorn(self.tape, found.own, found.gt, grouped, rule)?;
            self.add_value(&format!("q{n}"), q);
        }
        // What the step itself uses takes the place of a repetition.
        self.add_value(&format!("q{}", options.sinkhorn_iterations), found.q);
        Ok(())
    }

    /// The losses, each one's gradient at the projected vectors, and the gradients of the total.
    fn gradients(&mut self, features: ValueId, weights: &Weights) -> Result<()> {
        let losses = self.objective.losses;
        let (raw, emb) = (self.net.embedded.raw, self.net.embedded.emb);
        let (ppc, ppd) = losses.prototype.unzip();
        for (name, loss) in [("ce", Some(losses.ce)), ("ppc", ppc), ("ppd", ppd)] {
            let Some(loss) = loss else { continue };
            self.add_value(&format!("loss_{name}"), loss);
            if let Some(gradient) = ops::backward(self.tape, loss, &[raw])?[0] {
                self.add_value(&format!("g_raw_{name}"), gradient);
            }
        }
        self.add_value("loss_total", losses.total);
        let mut targets = vec![("raw_total".to_owned(), raw, None)];
        targets.push(("emb".to_owned(), emb, None));
        targets.push(("x".to_owned(), features, None));
        for (golden, ours) in WEIGHTS {
            let entry = weights.0.iter().position(|e| e.name == ours);
            if let (Some(id), Some(_)) = (self.tape.find(ours), entry) {
                targets.push((golden.to_owned(), id, entry));
            }
        }
        let ids: Vec<_> = targets.iter().map(|t| t.1).collect();
        let gradients = ops::backward(self.tape, losses.total, &ids)?;
        for ((name, _, entry), gradient) in targets.into_iter().zip(gradients) {
            let Some(gradient) = gradient else { continue };
            let source = entry.map_or(Source::Value(gradient), |entry| Source::Weight(gradient, entry));
            self.add(&format!("g_{name}"), source);
        }
        Ok(())
    }

    /// The gradient of the cross-entropy at prototypes that are trained, as in the warm-up (spec section 9.9).
    fn prototype_gradient(&mut self) -> Result<()> {
        if let Some(gradient) = ops::backward(self.tape, self.objective.losses.ce, &[self.net.protos])?[0] {
            self.add_value("g_protos_pretrain", gradient);
        }
        Ok(())
    }
}
