//! `import`: weights of other libraries.

use protoseg::Result;
use protoseg::nn::Arch;

use crate::args::ImportArgs;

/// Prints the report, then writes the file or fails with what is missing.
pub fn import(args: &ImportArgs) -> Result<()> {
    let imported = protoseg::import::import(&args.source, Arch::parse(&args.arch)?)?;
    if args.json {
        crate::print_json(&imported.report)?;
    } else if args.verbose || imported.tensors.is_ok() {
        say!("{}", imported.report.text(args.verbose).trim_end());
    }
    imported.write(&args.out)?;
    eprintln!("wrote {}", args.out.display());
    Ok(())
}
