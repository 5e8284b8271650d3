//! `export`: a copy of a model for others.

use std::path::Path;

use protoseg::model::{Precision, export_model};
use protoseg::{Error, Result};

use crate::args::{Dtype, ExportArgs};

pub fn export(args: &ExportArgs) -> Result<()> {
    let precision = match args.dtype {
        Dtype::F16 => Precision::F16,
        Dtype::F32 => Precision::F32,
    };
    export_model(&args.model, &args.out, precision)?;
    let kib = |path: &Path| {
        let size = std::fs::metadata(path).map_err(|e| Error::io("look at the file", path, e))?.len();
        Ok::<_, Error>(size.div_ceil(1024))
    };
    eprintln!("wrote {}: {} KiB of {}", args.out.display(), kib(&args.out)?, kib(&args.model)?);
    Ok(())
}
