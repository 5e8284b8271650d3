//! `synth` and `audit`.

use protoseg::Result;

use crate::args::{AuditArgs, SynthArgs};

pub fn synth(args: &SynthArgs) -> Result<()> {
    let [width, height] = args.size;
    protoseg::synth::write_dataset(&args.out, args.images, args.seed, width, height)?;
    eprintln!("wrote {} street scenes of {width}x{height} to {}", args.images, args.out.display());
    Ok(())
}

/// Prints the audit, then fails if there is something that training would refuse.
pub fn audit(args: &AuditArgs) -> Result<()> {
    let audit = protoseg::data::audit(&args.dir)?;
    if args.json {
        crate::print_json(&audit)?;
    } else {
        say!("{audit}");
    }
    audit.verdict()
}
