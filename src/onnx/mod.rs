//! Models for other runtimes: the tape of inference as a graph of standard ONNX operators (opset 17).
//!
//! ```text
//! infer::record -> Tape -> translate (one function an operation) -> Graph -> bytes
//!                            \-- emit: which tensor holds a value, and in which order of axes
//!                             \- weight: what depends on weights alone, computed by the tape's f64 interpreter
//! ```
//!
//! The graph takes an image as it is, and gives classes: normalisation and resizing to the image's size are in it. What follows
//! from weights alone is a constant of it: batch norms are folded, prototypes have unit length, positions are resampled.

mod classify;
mod emit;
mod field;
mod graph;
mod layers;
mod maps;
#[cfg(test)]
mod tests;
mod tokens;
mod translate;
mod weight;

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};
use crate::fs_atomic::write_atomic;
use crate::infer::{Recorded, record};
use crate::model::{ModelSpec, read_spec, refuse_itself};
use crate::model_file;
use crate::ops::MAX_EXTENT;
use crate::tape::ValueId;

use emit::Emitter;
use graph::{Attribute, Graph, Port};
use translate::translate_all;
use weight::Constants;

/// Something that a graph computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// `classes`, int64 `[1,H,W]`: the class of every pixel of the image.
    Classes,
    /// `prototypes`, int64 `[1,H,W]`: the nearest of that class's prototypes, counted from 0. Only the prototype head has some.
    Prototypes,
    /// `logits`, float `[1,h,w,C]`, at the resolution of the embeddings.
    Logits,
    /// `embedding`, float `[1,h,w,D]`; of unit length in the prototype head.
    Embedding,
}

impl Output {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Classes, Self::Prototypes, Self::Logits, Self::Embedding];

    /// Name of the tensor.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classes => "classes",
            Self::Prototypes => "prototypes",
            Self::Logits => "logits",
            Self::Embedding => "embedding",
        }
    }
}

/// What is exported.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Height and width of the images; that of the training crops if there is none.
    pub size: Option<[usize; 2]>,
    /// What the graph computes; all that the model has if this is empty.
    pub outputs: Vec<Output>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Height and width of the images.
    pub size: [usize; 2],
    /// Operators.
    pub nodes: usize,
    /// Bytes of the file.
    pub bytes: usize,
}

/// Writes the model file `from` as the ONNX file `to`; the same model gives the same bytes.
///
/// # Errors
/// [`Error::Model`] for a file that is no model or lacks a tensor; [`Error::Config`] for a size or an output that the model cannot
/// have, where both files are one, and for a model of 2 GiB; [`Error::Io`] where the file cannot be written.
pub fn export_onnx(from: &Path, to: &Path, options: &Options) -> Result<Written> {
    let file = model_file::read(from)?;
    let spec = read_spec(&file)?;
    refuse_itself(from, to)?;
    let translated = Translated::new(&spec, options)?;
    let Translated { recorded, graph, outputs, size } = &translated;
    let mut constants = Constants::new(&recorded.tape, &recorded.weights, &file);
    let [height, width] = *size;
    let input = Port { name: "image", integer: false, shape: vec![1, 3, height, width] };
    let metadata = metadata(&spec, *size)?;
    let bytes = graph.encode(&[input], outputs, &metadata, |of, shape| constants.get(of, shape))?;
    write_atomic(to, &bytes)?;
    Ok(Written { size: *size, nodes: graph.nodes.len(), bytes: bytes.len() })
}

/// A model's tape and the graph that computes the same. The weights stay in their file until the graph is written.
struct Translated {
    recorded: Recorded,
    graph: Graph,
    outputs: Vec<Port>,
    size: [usize; 2],
}

impl Translated {
    fn new(spec: &ModelSpec, options: &Options) -> Result<Self> {
        let size = options.size.unwrap_or_else(|| spec.window());
        let most = (MAX_EXTENT as f64 / f64::from(spec.net.input_scale)) as usize;
        if size.iter().any(|&side| side == 0 || side > most) {
            let problem = format!("--size is {}x{}", size[0], size[1]);
            return Err(Error::config(problem, format!("choose sides from 1 to {most}")));
        }
        let has_prototypes = spec.head.kind.has_prototypes();
        let mut chosen = options.outputs.clone();
        if chosen.is_empty() {
            chosen.extend(Output::ALL.into_iter().filter(|o| has_prototypes || *o != Output::Prototypes));
        }
        if chosen.contains(&Output::Prototypes) && !has_prototypes {
            return Err(Error::config(
                format!(
                    "the model has no prototypes to export: its head.kind is \"{}\"",
                    spec.head.kind.name()
                ),
                "leave prototypes out of --outputs",
            ));
        }
        let recorded = record(spec, size[0], size[1])?;
        let mut emitter = Emitter::new(&recorded.tape);
        let values = |output: Output| match output {
            Output::Classes => vec![recorded.pred],
            Output::Prototypes => recorded.prototypes.iter().map(|p| p.nearest).collect(),
            Output::Logits => recorded.logits.clone(),
            Output::Embedding => vec![recorded.emb],
        };
        "input".clone_into(&mut emitter.graph.label);
        take_image(&mut emitter, spec, recorded.image);
        let wanted: Vec<ValueId> = chosen.iter().flat_map(|&output| values(output)).collect();
        translate_all(&mut emitter, &wanted)?;
        let mut outputs = Vec::new();
        for output in Output::ALL.into_iter().filter(|output| chosen.contains(output)) {
            output.name().clone_into(&mut emitter.graph.label);
            outputs.push(give(&mut emitter, output, &values(output), recorded.size)?);
        }
        let mut graph = emitter.graph;
        graph.prune(&outputs);
        Ok(Self { recorded, graph, outputs, size })
    }
}

/// The tensor `image`, RGB from 0 to 1, as the network wants it.
fn take_image(e: &mut Emitter<'_>, spec: &ModelSpec, image: ValueId) {
    let mut per_channel = |values: [f32; 3]| e.floats(&[3, 1, 1], values.to_vec());
    let (mean, std) = (per_channel(spec.normalisation.mean), per_channel(spec.normalisation.std));
    let x = e.op("Sub", &["image", &mean], &[]);
    let x = e.op("Div", &[&x, &std], &[]);
    e.give_planes(image, x);
}

/// Makes `values`, which lie side by side along the channels, an output.
fn give(e: &mut Emitter<'_>, output: Output, values: &[ValueId], [h, w]: [usize; 2]) -> Result<Port> {
    let mut parts = values.iter().map(|&id| e.rows(id)).collect::<Result<Vec<_>>>()?;
    let of_pixels = matches!(output, Output::Classes | Output::Prototypes);
    let mut shape = e.shape(values[0]).to_vec();
    if !of_pixels {
        shape = vec![1, h, w, values.iter().map(|&id| e.channels(id)).sum()];
        if parts.len() > 1 {
            let all: Vec<&str> = parts.iter().map(String::as_str).collect();
            parts = vec![e.op("Concat", &all, &[("axis", Attribute::Int(1))])];
        }
        parts[0] = e.reshape(&parts[0], &shape);
    }
    e.graph.output(&parts[0], output.name());
    Ok(Port { name: output.name(), integer: of_pixels, shape })
}

/// What a person who has nothing but the file must know.
fn metadata(spec: &ModelSpec, [height, width]: [usize; 2]) -> Result<BTreeMap<&'static str, String>> {
    let json = |e: serde_json::Error| {
        Error::config(format!("the class names cannot be written ({e})"), "rename the classes")
    };
    let classes = serde_json::to_string(&spec.classes.classes).map_err(json)?;
    let mut out = BTreeMap::from([
        ("image", format!("float32 [1,3,{height},{width}], RGB from 0 to 1; normalisation is in the graph")),
        ("classes", classes),
        ("arch", spec.net.arch.name().to_owned()),
        ("head", spec.head.kind.name().to_owned()),
        ("protoseg", env!("CARGO_PKG_VERSION").to_owned()),
        ("trained_by", spec.provenance.protoseg.clone()),
    ]);
    if spec.head.kind.has_prototypes() {
        out.insert("prototypes_per_class", spec.net.prototypes.to_string());
    }
    Ok(out)
}
