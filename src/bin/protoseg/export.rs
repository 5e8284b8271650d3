//! `export`: a copy of a model for others.

use std::path::Path;

use protoseg::model::{Part, Precision, export_model};
use protoseg::onnx::{Options, export_onnx};
use protoseg::{Error, Result, onnx};

use crate::args::{Dtype, ExportArgs, Output};

pub fn export(args: &ExportArgs) -> Result<()> {
    if args.onnx {
        return to_onnx(args);
    }
    let part = if args.backbone { Part::Backbone } else { Part::Model };
    let precision = match (args.dtype, part) {
        (Some(Dtype::F16), _) | (None, Part::Model) => Precision::F16,
        (Some(Dtype::F32), _) | (None, Part::Backbone) => Precision::F32,
    };
    export_model(&args.model, &args.out, part, precision)?;
    let kib = |path: &Path| {
        let size = std::fs::metadata(path).map_err(|e| Error::io("look at the file", path, e))?.len();
        Ok::<_, Error>(size.div_ceil(1024))
    };
    eprintln!("wrote {}: {} KiB of {}", args.out.display(), kib(&args.out)?, kib(&args.model)?);
    Ok(())
}

fn to_onnx(args: &ExportArgs) -> Result<()> {
    let output = |output: &Output| match output {
        Output::Classes => onnx::Output::Classes,
        Output::Prototypes => onnx::Output::Prototypes,
        Output::Logits => onnx::Output::Logits,
        Output::Embedding => onnx::Output::Embedding,
    };
    let options = Options { size: args.size, outputs: args.outputs.iter().map(output).collect() };
    let written = export_onnx(&args.model, &args.out, &options)?;
    let (kib, [height, width]) = (written.bytes.div_ceil(1024), written.size);
    eprintln!(
        "wrote {}: {} operators, {kib} KiB, for images of {height}x{width}",
        args.out.display(),
        written.nodes
    );
    Ok(())
}
