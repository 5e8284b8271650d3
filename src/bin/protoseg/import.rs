//! `import`: weights of other libraries.

use protoseg::model::{NetOptions, refuse_itself};
use protoseg::nn::{Arch, Neck};
use protoseg::{Error, Result};

use crate::args::ImportArgs;

/// What `--arch` calls the whole model that the paper's authors released.
const PROTOSEG: &str = "protoseg_hrnet_w48";

/// Their network; the file says the rest.
fn released() -> NetOptions {
    NetOptions { arch: Arch::HrnetW48, neck: Neck::Hrnet, width: 720, ..NetOptions::default() }
}

/// Prints the report, then writes the file or fails with what is missing.
pub fn import(args: &ImportArgs) -> Result<()> {
    refuse_itself(&args.source, &args.out)?;
    let imported = if args.arch == PROTOSEG {
        protoseg::import::import_model(&args.source, PROTOSEG, released())?
    } else {
        let arch = Arch::parse(&args.arch).map_err(|error| match error {
            Error::Config { problem, remedy } => Error::config(problem, format!("{remedy}, {PROTOSEG}")),
            other => other,
        })?;
        protoseg::import::import(&args.source, arch)?
    };
    if args.json {
        crate::print_json(&imported.report)?;
    } else if args.verbose || imported.tensors.is_ok() {
        say!("{}", imported.report.text(args.verbose).trim_end());
    }
    imported.write(&args.out)?;
    eprintln!("wrote {}", args.out.display());
    Ok(())
}
