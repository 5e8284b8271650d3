//! `synth` and `audit`.

use protoseg::data::{DataOptions, audit_with};
use protoseg::train::Config;
use protoseg::{Error, Result};

use crate::args::{AuditArgs, SynthArgs};

pub fn synth(args: &SynthArgs) -> Result<()> {
    let [width, height] = args.size;
    protoseg::synth::write_dataset(&args.out, args.images, args.seed, width, height)?;
    eprintln!("wrote {} street scenes of {width}x{height} to {}", args.images, args.out.display());
    Ok(())
}

/// Prints the audit, then fails if there is something that training would refuse.
pub fn audit(args: &AuditArgs) -> Result<()> {
    let every: [&str; 0] = [];
    let audit = if args.dir.is_file() {
        let config = Config::load(&args.dir, &[])?.data;
        if args.masks_of.options() != DataOptions::default() {
            let remedy = "set data.layout and data.masks there instead";
            return Err(Error::config("--layout and --mask-kind do not go with a configuration", remedy));
        }
        audit_with(&config.root, &[config.train.as_str(), config.val.as_str()], &config.options())?
    } else {
        audit_with(&args.dir, &every, &args.masks_of.options())?
    };
    if args.json {
        crate::print_json(&audit)?;
    } else {
        say!("{audit}");
    }
    audit.verdict()
}
