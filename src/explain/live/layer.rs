//! One analysed image in the colours of one way of looking at it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::gpu::{Buffer, Gpu};
use crate::infer::Maps;
use crate::ops::{self, ShadeInputs};
use crate::tape::{DType, Keep, Plan, Program, Store, Tape, ValueId};

use super::basis::Basis;

/// A label that stands for none, in the truth.
const NONE: u32 = u32::MAX;

/// What is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing: the photograph alone.
    Image,
    /// The predicted class.
    Classes,
    /// The nearest prototype of the predicted class.
    #[default]
    Prototypes,
    /// Cosine to one prototype.
    Similarity,
    /// Probability of the predicted class against the runner-up.
    Confidence,
    /// Distance to the nearest prototype of the predicted class, 1 - cosine.
    Unknown,
    /// The embedding's three main directions as red, green and blue.
    Embedding,
    /// The labels that the image came with.
    Truth,
    /// Where prediction and labels differ, in the colour of the right class.
    Errors,
}

impl Mode {
    /// All of them, in the order that people read them.
    pub const ALL: [Self; 9] = [
        Self::Image,
        Self::Classes,
        Self::Prototypes,
        Self::Similarity,
        Self::Confidence,
        Self::Unknown,
        Self::Embedding,
        Self::Truth,
        Self::Errors,
    ];

    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "Image",
            Self::Classes => "Classes",
            Self::Prototypes => "Prototypes",
            Self::Similarity => "Similarity",
            Self::Confidence => "Confidence",
            Self::Unknown => "Unknown",
            Self::Embedding => "Embedding",
            Self::Truth => "Ground truth",
            Self::Errors => "Errors",
        }
    }

    /// What it shows, in one sentence.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Image => "The photograph alone.",
            Self::Classes => "The predicted class of every pixel.",
            Self::Prototypes => "Which of its class's prototypes every pixel is nearest to.",
            Self::Similarity => "Cosine of every pixel's embedding to the selected prototype.",
            Self::Confidence => "Probability of the predicted class against the runner-up.",
            Self::Unknown => {
                "Distance to the nearest prototype of the predicted class: bright is unlike all it was shown."
            }
            Self::Embedding => "The embedding's three main directions as red, green and blue.",
            Self::Truth => "The labels that came with the image.",
            Self::Errors => "Where prediction and labels differ, in the colour of the right class.",
        }
    }

    /// Whether it means something only for a model with prototypes.
    #[must_use]
    pub const fn needs_prototypes(self) -> bool {
        matches!(self, Self::Prototypes | Self::Similarity | Self::Unknown)
    }

    /// Whether it means something only for an image with labels.
    #[must_use]
    pub const fn needs_truth(self) -> bool {
        matches!(self, Self::Truth | Self::Errors)
    }

    /// Lowest and highest number of its ramp, if it has one.
    #[must_use]
    pub const fn range(self) -> Option<[f32; 2]> {
        match self {
            Self::Similarity => Some([-0.2, 1.0]),
            Self::Confidence => Some([0.5, 1.0]),
            Self::Unknown => Some([0.0, 1.0]),
            _ => None,
        }
    }

    const fn code(self) -> f32 {
        match self {
            Self::Classes => 0.0,
            Self::Prototypes => 1.0,
            Self::Similarity => 2.0,
            Self::Confidence => 3.0,
            Self::Unknown => 5.0,
            Self::Embedding => 6.0,
            Self::Truth => 7.0,
            Self::Errors => 8.0,
            Self::Image => 10.0,
        }
    }
}

/// How a layer is coloured.
#[derive(Clone, Debug, PartialEq)]
pub struct Shading {
    /// What is coloured.
    pub mode: Mode,
    /// Class and prototype of [`Mode::Similarity`]; without a prototype the nearest of the class's.
    pub selected: (usize, Option<usize>),
    /// The ramp's ends for [`Mode::range`]'s numbers.
    pub range: [f32; 2],
    /// Whether what the legend switches off is hidden in every mode.
    pub only_shown: bool,
    /// Whether a prototype's colour is the fuller the clearer it won.
    pub by_strength: bool,
    /// [`Legend::palette`](super::Legend::palette).
    pub palette: Vec<u32>,
}

/// Buffers of a coloured layer: labels, between which contours lie, and packed colours, both `[1,H,W]`.
#[derive(Clone, Debug)]
pub(super) struct Painted {
    pub size: [usize; 2],
    pub label: Buffer,
    pub colors: Buffer,
}

/// The plan of an input that depends on the embedding, and its own input.
struct Part {
    plan: Plan,
    /// What it is told beside the maps.
    told: Vec<ValueId>,
    out: Buffer,
}

/// The colours of one analysed image, drawn on the device.
pub struct Layer {
    maps: Arc<Maps>,
    /// Cosines to a prototype; `None` for a rival.
    heat: Option<Part>,
    color: Part,
    shade: Part,
    /// What the maps of cosines and embedding colours hold.
    heat_of: Option<(usize, Option<usize>)>,
    colored: bool,
    drawn: Option<Shading>,
}

impl Layer {
    /// Prepares the colouring of `maps`; `truth [H*W]` holds the class of every pixel as analysed, `None` for one without.
    ///
    /// # Errors
    /// Those of recording and of the device.
    pub fn new(
        gpu: &Arc<Gpu>,
        maps: &Arc<Maps>,
        basis: &Basis,
        truth: Option<&[Option<u32>]>,
    ) -> Result<Self> {
        let [height, width] = maps.size;
        let pixels = [1, height, width];
        let heat = maps.has_prototypes.then(|| heat(gpu, maps)).transpose()?;
        let color = color(gpu, maps, basis)?;
        let [num_classes, num_prototypes, _] = maps.shape;
        let mut tape = Tape::new();
        let label = tape.input("label", &pixels, DType::U32);
        let score = tape.input("score", &[1, height, width, 4], DType::F32);
        let heat_in = tape.input("heat", &pixels, DType::F32);
        let color_in = tape.input("color", &pixels, DType::U32);
        let truth_in = tape.input("truth", &pixels, DType::U32);
        let colors = 256 + num_classes * (1 + num_prototypes);
        let palette = tape.input("palette", &[colors], DType::U32);
        let options = tape.input("options", &[8], DType::F32);
        let inputs =
            ShadeInputs { label, score, heat: heat_in, color: color_in, truth: truth_in, palette, options };
        let layer = ops::shade(&mut tape, inputs, num_classes, num_prototypes)?;
        let mut given =
            vec![(label, maps.label.clone()), (score, maps.score.clone()), (color_in, color.out.clone())];
        given.extend(heat.as_ref().map(|heat| (heat_in, heat.out.clone())));
        let shade = part(gpu, &tape, layer, &given, vec![palette, options])?;
        let labels: Vec<u32> = match truth {
            Some(truth) => truth.iter().map(|class| class.unwrap_or(NONE)).collect(),
            None => vec![NONE; height * width],
        };
        shade.plan.write(truth_in, &labels);
        let maps = Arc::clone(maps);
        Ok(Self { maps, heat, color, shade, heat_of: None, colored: false, drawn: None })
    }

    /// The maps that are coloured.
    #[must_use]
    pub const fn maps(&self) -> &Arc<Maps> {
        &self.maps
    }

    /// Colours anew unless the colours are those of `shading` already; returns whether something was submitted.
    pub fn draw(&mut self, shading: &Shading) -> bool {
        if self.drawn.as_ref() == Some(shading) {
            return false;
        }
        if let (Mode::Similarity, Some(heat)) = (shading.mode, &self.heat)
            && self.heat_of != Some(shading.selected)
        {
            let (class, k) = shading.selected;
            heat.plan.write(heat.told[0], &[class as u32, k.map_or(NONE, |k| k as u32)]);
            heat.plan.run();
            self.heat_of = Some(shading.selected);
        }
        if shading.mode == Mode::Embedding && !self.colored {
            self.color.plan.run();
            self.colored = true;
        }
        let flag = |on: bool| f32::from(u8::from(on));
        let [low, high] = shading.range;
        let (only_shown, by_strength) = (flag(shading.only_shown), flag(shading.by_strength));
        // Right pixels under the errors' colours are greyed a little.
        let grey = 90.0;
        let options = [shading.mode.code(), low, high, grey, only_shown, by_strength, 0.0, 0.0];
        self.shade.plan.write(self.shade.told[0], &shading.palette);
        self.shade.plan.write(self.shade.told[1], &options);
        self.shade.plan.run();
        self.drawn = Some(shading.clone());
        true
    }

    /// What a screen lays over the photograph.
    pub(super) fn painted(&self) -> Painted {
        Painted { size: self.maps.size, label: self.maps.label.clone(), colors: self.shade.out.clone() }
    }

    /// `u32 [1,H,W]` packed colours.
    #[must_use]
    pub const fn colors(&self) -> &Buffer {
        &self.shade.out
    }
}

fn part(
    gpu: &Arc<Gpu>,
    tape: &Tape,
    out: ValueId,
    given: &[(ValueId, Buffer)],
    told: Vec<ValueId>,
) -> Result<Part> {
    let program = Program::new(tape, gpu.caps(), Keep::Only(&[out]));
    let plan = Plan::with(gpu, tape, &program, &mut Store::new(), given)?;
    let out = plan.buffer(out)?.clone();
    Ok(Part { plan, told, out })
}

/// Embeddings and prototypes as inputs of `tape`, with the buffers they are in.
pub(super) fn embedded(tape: &mut Tape, maps: &Maps) -> ([ValueId; 2], [(ValueId, Buffer); 2]) {
    let [h, w] = maps.features;
    let [c, k, d] = maps.shape;
    let emb = tape.input("emb", &[1, h, w, d], DType::F32);
    let protos = tape.input("protos", &[c, k, d], DType::F32);
    ([emb, protos], [(emb, maps.emb.clone()), (protos, maps.protos.clone())])
}

fn heat(gpu: &Arc<Gpu>, maps: &Maps) -> Result<Part> {
    let mut tape = Tape::new();
    let ([emb, protos], given) = embedded(&mut tape, maps);
    let selected = tape.input("selected", &[2], DType::U32);
    let heat = ops::prototype_heat(&mut tape, emb, protos, selected, maps.size)?;
    part(gpu, &tape, heat, &given, vec![selected])
}

fn color(gpu: &Arc<Gpu>, maps: &Maps, basis: &Basis) -> Result<Part> {
    let mut tape = Tape::new();
    let ([emb, _], given) = embedded(&mut tape, maps);
    let rows = tape.input("basis", &[3, maps.shape[2]], DType::F32);
    let range = tape.input("range", &[3, 2], DType::F32);
    let color = ops::embedding_color(&mut tape, emb, rows, range, maps.size)?;
    let part = part(gpu, &tape, color, &given[..1], Vec::new())?;
    part.plan.write(rows, &basis.rows);
    part.plan.write(range, &basis.range);
    Ok(part)
}
