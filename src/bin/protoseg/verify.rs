//! `verify`: reference files on this adapter.

use protoseg::gpu::Variant;
use protoseg::nn::Arch;
use protoseg::{Error, Result};

use crate::args::{Cli, VerifyArgs};

/// Fails if any tensor of any file is out of its tolerance, or a file cannot be compared.
pub async fn verify(args: &VerifyArgs, cli: &Cli) -> Result<()> {
    let backbone = match (&args.weights, &args.arch) {
        (Some(weights), Some(arch)) => Some((weights.clone(), Arch::parse(arch)?)),
        (None, None) => None,
        _ => return Err(Error::config("--weights and --arch go together", "give both, or neither")),
    };
    let gpu = crate::open(cli).await?;
    let found = protoseg::verify::verify(&gpu, &args.files, backbone).await;
    if args.json {
        crate::print_json(&found)?;
    } else {
        say!("{found}");
    }
    if found.ok() {
        return Ok(());
    }
    let bad = found.files.iter().filter(|f| !f.ok).count();
    Err(Error::device(
        format!("{bad} of {} files do not agree with the reference on `{}`", found.files.len(), gpu.name()),
        match gpu.caps().variant {
            rounding @ (Variant::F16 | Variant::Matrix) => {
                format!(
                    "the tolerances are those of f32 and `{rounding}` rounds to f16: compare another --variant"
                )
            }
            _ => {
                "try another --adapter, or --variant floor for the plain kernels, and please report it".into()
            }
        },
    ))
}
