//! Classification by the nearest prototype, over tiles of classes (spec sections 4, 6, 9.1-9.3, 9.9, 11). One learned vector
//! per class is one prototype that a gradient trains, so the softmax head (spec section 2, a) is the same with K = 1; the query
//! head (b) has such vectors for every image.
//!
//! Up to [`KEPT_CLASSES`] classes are one tile (if the device can hold the map), whose similarities and logits are kept for the backward pass. More classes
//! are walked in tiles of [`TILE_CLASSES`], what spans them is running state per pixel, and every pass computes the
//! similarities again: the mask norm needs two passes forward (statistics, logits) and two backward (sums, gradients), the
//! other logits one each. So memory is `O(N) + O(C K D)` whatever C is.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};
use crate::ops::{self, EmptyLoss, HardPixels, LogitTile, MaskNorm, UpsampleArgmax};
use crate::tape::{Tape, ValueId};

/// Most classes that are kept as one tile: the usual sets have 150 to 182 at most. Their maps are then about as large as the
/// embeddings, and matching, the dearest operation of the head, runs once instead of four times.
pub const KEPT_CLASSES: usize = 256;

/// Classes in one tile where there are more; a multiple of 4.
pub const TILE_CLASSES: usize = 32;

/// Bytes of one such map at most: what every device can bind.
const KEPT_BYTES: usize = 128 << 20;

/// How class logits follow from class similarities (spec section 4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClassLogit {
    /// Layer norm over the classes with learnable scale and shift. Not for one or two classes: its gradient vanishes.
    LayerNorm {
        /// Added to the variance; 1e-5 in the paper's code.
        eps: f32,
    },
    /// Similarities over a temperature.
    Scaled {
        /// The temperature; 0.1 is a good choice.
        tau: f32,
    },
    /// The similarities themselves.
    Plain,
}

/// The tiles of `num_classes` classes for `num_pixels` pixels, in order.
pub fn tiles(num_classes: usize, num_pixels: usize) -> impl Iterator<Item = Range<usize>> {
    let tile = if kept(num_classes, num_pixels) { num_classes.max(1) } else { TILE_CLASSES };
    (0..num_classes).step_by(tile).map(move |first| first..num_classes.min(first + tile))
}

/// Whether all classes are one tile.
const fn kept(num_classes: usize, num_pixels: usize) -> bool {
    num_classes <= KEPT_CLASSES && 4 * num_pixels * num_classes.next_multiple_of(4) <= KEPT_BYTES
}

/// What is recorded of one tile.
#[derive(Clone, Debug)]
pub struct Tile {
    /// Its classes.
    pub classes: Range<usize>,
    /// Class similarities `[N, classes]`.
    pub a: ValueId,
    /// The best prototype of each class, `u32 [N, classes]`; absent where every image has class vectors of its own.
    pub kstar: Option<ValueId>,
    /// Class logits `[N, classes]`.
    pub logits: ValueId,
}

/// Every tile's scores. Whoever reads all tiles of many classes after they are all recorded makes the plan hold `N x C`.
#[derive(Clone, Debug)]
pub struct Scores {
    /// In order of their classes.
    pub tiles: Vec<Tile>,
    /// Predicted class, `u32 [N]`.
    pub pred: ValueId,
    /// `(count, mean, M2, 0) [N,4]` of the similarities over the classes, if the logits are normalised.
    pub stats: Option<ValueId>,
}

/// What the cross-entropy compares the logits with.
#[derive(Clone, Copy, Debug)]
pub struct Targets {
    /// `i32 [B,HL,WL]`; labels outside `0..C` are ignored.
    pub labels: ValueId,
    /// Class weights `[C]`; all 1 if there are none.
    pub weights: Option<ValueId>,
    /// Height and width of the feature map.
    pub size: [usize; 2],
    /// The loss where no label counts.
    pub empty: EmptyLoss,
}

/// Loss and prediction of one forward pass.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy {
    /// `[1]`.
    pub loss: ValueId,
    /// Predicted class at feature resolution, `u32 [N]`.
    pub pred: ValueId,
}

/// A class map at output size.
#[derive(Clone, Copy, Debug)]
pub struct Prediction {
    /// `u32 [B,OH,OW]`.
    pub pred: ValueId,
    /// Its logit, `[B,OH,OW]`.
    pub best: ValueId,
    /// The second highest logit, `[B,OH,OW]`; -3e38 with one class.
    pub second: ValueId,
}

/// Class similarities and, against prototypes, the winners.
type Match = (ValueId, Option<ValueId>);

/// Embeddings, prototypes and the rule that makes logits of them.
#[derive(Clone, Copy, Debug)]
pub struct Classifier {
    emb: ValueId,
    /// Prototypes `[C,K,D]`, or class vectors `[B,C,D]`.
    protos: ValueId,
    /// Whether every image has class vectors of its own.
    per_image: bool,
    num_classes: usize,
    num_pixels: usize,
    logit: Logit,
    /// Class similarities and winners of all classes, if they are there already.
    matched: Option<Match>,
    /// Which pixels the cross-entropy counts; all that are labelled if this is absent.
    hard: Option<HardPixels>,
}

#[derive(Clone, Copy, Debug)]
enum Logit {
    LayerNorm { gamma: ValueId, beta: ValueId, eps: f32 },
    Scaled(f32),
    Plain,
}

/// What the backward pass takes over from the forward pass.
struct Kept {
    /// The tile, if there is only one.
    tile: Option<Tile>,
    stats: Option<ValueId>,
    lse: ValueId,
    scale: ValueId,
    /// Labels of the pixels that count.
    labels: ValueId,
}

impl Classifier {
    /// A classifier of `emb [N,D]` by `protos [C,K,D]`, both unit rows in the prototype head; `norm` is `(gamma, beta)`, each `[C]`, which
    /// [`ClassLogit::LayerNorm`] needs and the others do not read.
    ///
    /// # Errors
    /// [`Error::Shape`] if the prototypes are not `[C,K,D]` with the embeddings' D, or the norm is missing or not `[C]`.
    pub fn new(
        tape: &Tape,
        emb: ValueId,
        protos: ValueId,
        norm: Option<(ValueId, ValueId)>,
        logit: ClassLogit,
    ) -> Result<Self> {
        let (rows, shape) = (&tape.value(emb).shape, &tape.value(protos).shape);
        if shape.len() != 3 || shape.contains(&0) || rows.last() != shape.last() {
            let problem = format!("embeddings {rows:?} [N,D] against prototypes {shape:?} [C,K,D]");
            return Err(Error::shape("classifier", problem));
        }
        let (num_classes, num_pixels) = (shape[0], tape.value(emb).rows());
        let logit = match (logit, norm) {
            (ClassLogit::LayerNorm { eps }, Some((gamma, beta)))
                if [gamma, beta].iter().all(|&v| tape.value(v).shape == [num_classes]) =>
            {
                Logit::LayerNorm { gamma, beta, eps }
            }
            (ClassLogit::LayerNorm { .. }, _) => {
                let problem = format!("the mask norm needs a scale and a shift of shape [{num_classes}]");
                return Err(Error::shape("classifier", problem));
            }
            (ClassLogit::Scaled { tau }, _) => Logit::Scaled(tau),
            (ClassLogit::Plain, _) => Logit::Plain,
        };
        Ok(Self { emb, protos, per_image: false, num_classes, num_pixels, logit, matched: None, hard: None })
    }

    /// Makes the cross-entropy that is recorded from here on that of the hard pixels alone.
    pub const fn only_hard(&mut self, hard: Option<HardPixels>) {
        self.hard = hard;
    }

    /// A classifier of `emb [N,D]` by inner products with `vectors [B,C,D]`, the classes' vectors for each image.
    ///
    /// # Errors
    /// [`Error::Shape`] if the vectors are not `[B,C,D]` with the embeddings' D, or the pixels are not those of B images.
    pub fn per_image(tape: &Tape, emb: ValueId, vectors: ValueId) -> Result<Self> {
        let (rows, shape) = (&tape.value(emb).shape, &tape.value(vectors).shape);
        let num_pixels = tape.value(emb).rows();
        let fits = shape.len() == 3 && !shape.contains(&0) && rows.last() == shape.last();
        if !fits || !num_pixels.is_multiple_of(shape[0]) {
            let problem = format!("embeddings {rows:?} [N,D] against class vectors {shape:?} [B,C,D]");
            return Err(Error::shape("classifier", problem));
        }
        let num_classes = shape[1];
        let (per_image, logit) = (true, Logit::Plain);
        Ok(Self {
            emb,
            protos: vectors,
            per_image,
            num_classes,
            num_pixels,
            logit,
            matched: None,
            hard: None,
        })
    }

    /// Records the match of all classes together with the contrast of `target i32 [N]` at temperature `tau`, for what is
    /// recorded with this classifier from here on; returns the contrast `[N]`. `None`, and nothing recorded, where
    /// there are several tiles or no prototypes.
    ///
    /// # Errors
    /// [`Error::Shape`] if the target is not `[N]`.
    pub fn record_match(&mut self, tape: &mut Tape, target: ValueId, tau: f32) -> Result<Option<ValueId>> {
        if !self.kept() || self.per_image {
            return Ok(None);
        }
        let found = ops::match_contrast(tape, self.emb, self.protos, target, tau)?;
        self.matched = Some((found.a, Some(found.kstar)));
        Ok(Some(found.contrast))
    }

    /// Records similarities, logits and predicted class. No gradient rule of its own is attached to the logits of several
    /// tiles; for training see [`Classifier::record_cross_entropy`].
    ///
    /// # Errors
    /// Those of recording.
    pub fn record_scores(&self, tape: &mut Tape) -> Result<Scores> {
        let (mut tiles, mut pred) = (Vec::new(), None);
        let stats = self.forward(tape, |tape, tile| {
            pred = Some(ops::argmax_rows(tape, tile.logits, pred, tile.classes.start)?);
            tiles.push(tile);
            Ok(())
        })?;
        Ok(Scores { tiles, pred: some(pred)?.0, stats })
    }

    /// Records the class map of `emb`, which lies on feature maps of `size`, at `out_size` (height, width).
    ///
    /// # Errors
    /// [`Error::Shape`] if N is no whole number of feature maps.
    pub fn record_prediction(
        &self,
        tape: &mut Tape,
        size: [usize; 2],
        out_size: [usize; 2],
    ) -> Result<Prediction> {
        let mut state = None;
        self.forward(tape, |tape, tile| {
            let op = UpsampleArgmax { size, out_size, first: tile.classes.start };
            state = Some(ops::upsample_argmax(tape, tile.logits, state, op)?);
            Ok(())
        })?;
        let [pred, best, second] = some(state)?;
        Ok(Prediction { pred, best, second })
    }

    /// Records the loss as a block: its gradient flows to the embeddings, to the norm's scale and shift, and, if
    /// `learnable_protos` (warm-up, and the rivals), to the prototypes or class vectors.
    ///
    /// # Errors
    /// [`Error::Shape`] if labels, weights and feature map do not go together.
    pub fn record_cross_entropy(
        &self,
        tape: &mut Tape,
        targets: Targets,
        learnable_protos: bool,
    ) -> Result<CrossEntropy> {
        let weights = match targets.weights {
            Some(weights) if tape.value(weights).shape == [self.num_classes] => weights,
            Some(weights) => {
                let problem = format!("{:?} for {} classes", tape.value(weights).shape, self.num_classes);
                return Err(Error::shape("class weights", problem));
            }
            None => ops::fill(tape, &[self.num_classes], 1.0)?,
        };
        if learnable_protos && self.matched.is_some() {
            let problem = "a match that was recorded with the contrast has no gradient to the prototypes";
            return Err(Error::shape("classifier", problem));
        }
        // Behind a match that is there already the block begins at its similarities: the match has a rule of its own.
        let mut inputs = vec![self.matched.map_or(self.emb, |(a, _)| a)];
        if let Logit::LayerNorm { gamma, beta, .. } = self.logit {
            inputs.extend([gamma, beta]);
        }
        if learnable_protos {
            inputs.push(self.protos);
        }
        let seen = Arc::new(OnceLock::new());
        let (kept, this) = (Arc::clone(&seen), *self);
        let body = |tape: &mut Tape| this.loss(tape, targets, weights, &seen);
        let rule = move |tape: &mut Tape, grads: &[Option<ValueId>]| {
            let (Some(kept), Some(d_loss)) = (kept.get(), grads[0]) else { return Ok(Vec::new()) };
            this.gradient(tape, targets, weights, kept, d_loss, learnable_protos)
        };
        let out = tape.block(&inputs, body, rule)?;
        Ok(CrossEntropy { loss: out[0], pred: out[1] })
    }

    /// Computes every tile's logits and hands them to `each` in order; returns the mask norm's statistics.
    fn forward(
        &self,
        tape: &mut Tape,
        mut each: impl FnMut(&mut Tape, Tile) -> Result<()>,
    ) -> Result<Option<ValueId>> {
        let mut stats = None;
        let mut only = self.matched;
        if matches!(self.logit, Logit::LayerNorm { .. }) {
            for classes in tiles(self.num_classes, self.num_pixels) {
                let matched = self.matched(tape, classes, only)?;
                stats = Some(ops::class_stats(tape, matched.0, stats)?);
                only = self.kept().then_some(matched);
            }
        }
        for classes in tiles(self.num_classes, self.num_pixels) {
            let tile = self.tile(tape, classes, only, stats)?;
            each(tape, tile)?;
        }
        Ok(stats)
    }

    const fn kept(&self) -> bool {
        kept(self.num_classes, self.num_pixels)
    }

    /// Similarities and winners of `classes`: `known`, or computed.
    fn matched(&self, tape: &mut Tape, classes: Range<usize>, known: Option<Match>) -> Result<Match> {
        match known {
            Some(known) => Ok(known),
            None if self.per_image => Ok((ops::query_logit(tape, self.emb, self.protos, classes)?, None)),
            None => {
                let (a, kstar) = ops::proto_match(tape, self.emb, self.protos, classes)?;
                Ok((a, Some(kstar)))
            }
        }
    }

    /// Computes the logits of `classes`, on top of `matched` if the match is there already.
    fn tile(
        &self,
        tape: &mut Tape,
        classes: Range<usize>,
        matched: Option<Match>,
        stats: Option<ValueId>,
    ) -> Result<Tile> {
        let (a, kstar) = self.matched(tape, classes.clone(), matched)?;
        let logits = match (self.logit, stats) {
            (Logit::LayerNorm { gamma, beta, eps }, Some(stats)) => {
                let norm = MaskNorm { first: classes.start, eps };
                ops::class_logit(tape, [a, stats, gamma, beta], norm)?
            }
            (Logit::Scaled(tau), _) => ops::scale(tape, a, 1.0 / tau)?,
            _ => a,
        };
        Ok(Tile { classes, a, kstar, logits })
    }

    const fn place(&self, tile: &Tile, targets: Targets) -> LogitTile {
        LogitTile { size: targets.size, first: tile.classes.start, num_classes: self.num_classes }
    }

    fn loss(
        &self,
        tape: &mut Tape,
        targets: Targets,
        weights: ValueId,
        kept: &OnceLock<Kept>,
    ) -> Result<Vec<ValueId>> {
        let (mut pred, mut state, mut only) = (None, None, None);
        let stats = self.forward(tape, |tape, tile| {
            pred = Some(ops::argmax_rows(tape, tile.logits, pred, tile.classes.start)?);
            let place = self.place(&tile, targets);
            state = Some(ops::cross_entropy_tile(tape, tile.logits, targets.labels, state, place)?);
            only = self.kept().then_some(tile);
            Ok(())
        })?;
        let (lse, own) = some(state)?;
        let labels = match self.hard {
            Some(rule) => ops::hard_pixels(tape, [lse, own, targets.labels], self.num_classes, rule)?,
            None => targets.labels,
        };
        let (loss, scale) = ops::cross_entropy_loss(tape, [lse, own, labels, weights], targets.empty)?;
        kept.get_or_init(|| Kept { tile: only, stats, lse, scale, labels });
        Ok(vec![loss, some(pred)?.0])
    }

    /// A tile and the gradient of its logits, from what the forward pass kept.
    fn logit_gradients(
        &self,
        tape: &mut Tape,
        targets: Targets,
        weights: ValueId,
        kept: &Kept,
        d_loss: ValueId,
        mut each: impl FnMut(&mut Tape, &Tile, ValueId) -> Result<()>,
    ) -> Result<()> {
        for classes in tiles(self.num_classes, self.num_pixels) {
            let tile = match &kept.tile {
                Some(tile) => tile.clone(),
                None => self.tile(tape, classes, None, kept.stats)?,
            };
            let inputs = [tile.logits, kept.labels, kept.lse, weights, kept.scale, d_loss];
            let d_o = ops::cross_entropy_grad(tape, inputs, self.place(&tile, targets))?;
            each(tape, &tile, d_o)?;
        }
        Ok(())
    }

    fn gradient(
        &self,
        tape: &mut Tape,
        targets: Targets,
        weights: ValueId,
        kept: &Kept,
        d_loss: ValueId,
        learnable_protos: bool,
    ) -> Result<Vec<Option<ValueId>>> {
        let zeros = |tape: &mut Tape, like: ValueId| {
            let shape = tape.value(like).shape.clone();
            ops::fill(tape, &shape, 0.0)
        };
        let (mut affine, mut sums, mut only) = (None, None, None);
        if let (Logit::LayerNorm { gamma, beta, eps }, Some(stats)) = (self.logit, kept.stats) {
            let onto = [zeros(tape, gamma)?, zeros(tape, beta)?];
            self.logit_gradients(tape, targets, weights, kept, d_loss, |tape, tile, d_o| {
                let norm = MaskNorm { first: tile.classes.start, eps };
                sums = Some(ops::class_logit_sums(tape, [d_o, tile.a, stats, gamma], sums, norm)?);
                only = kept.tile.as_ref().map(|_| d_o);
                ops::class_logit_affine(tape, [d_o, tile.a, stats], onto, norm)
            })?;
            affine = Some(onto);
        }
        let d_protos = if learnable_protos { Some(zeros(tape, self.protos)?) } else { None };
        // That of the similarities behind a match that was there already, otherwise that of the embeddings.
        let mut d_input = None;
        let mut to_inputs = |tape: &mut Tape, tile: &Tile, d_o: ValueId| {
            let da = match (self.logit, kept.stats, sums) {
                (Logit::LayerNorm { gamma, eps, .. }, Some(stats), Some(sums)) => {
                    let norm = MaskNorm { first: tile.classes.start, eps };
                    ops::class_logit_grad(tape, [d_o, tile.a, stats, sums, gamma], norm)?
                }
                (Logit::Scaled(tau), ..) => ops::scale(tape, d_o, 1.0 / tau)?,
                _ => d_o,
            };
            let (kstar, classes) = (tile.kstar, tile.classes.clone());
            if self.matched.is_some() {
                d_input = Some(da);
                return Ok(());
            }
            let Some(kstar) = kstar else {
                d_input = Some(ops::query_logit_emb_grad(tape, [da, self.protos], d_input, classes.clone())?);
                return d_protos.map_or(Ok(()), |onto| {
                    ops::query_logit_vectors_grad(tape, [da, self.emb], onto, classes)
                });
            };
            let inputs = [da, kstar, self.protos];
            d_input = Some(ops::proto_match_emb_grad(tape, inputs, d_input, classes.clone())?);
            d_protos.map_or(Ok(()), |onto| {
                ops::proto_match_protos_grad(tape, [da, kstar, self.emb], onto, classes)
            })
        };
        match (&kept.tile, only) {
            (Some(tile), Some(d_o)) => to_inputs(tape, tile, d_o)?,
            _ => self.logit_gradients(tape, targets, weights, kept, d_loss, to_inputs)?,
        }
        let mut found = vec![d_input];
        found.extend(affine.into_iter().flatten().map(Some));
        found.extend(d_protos.map(Some));
        Ok(found)
    }
}

/// [`Classifier::new`] has made sure that there is at least one class, and so one tile.
fn some<T>(state: Option<T>) -> Result<T> {
    state.ok_or_else(|| Error::shape("classifier", "no class"))
}
