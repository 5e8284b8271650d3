//! The command line. Exit status: 0 done, 1 failed with a message, 2 wrong usage.

/// `println!` that ends the program quietly when nobody reads any more, as in `protoseg audit DIR | head`, and with a
/// message when the output cannot be written for another reason.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        if let Err(error) = writeln!(std::io::stdout(), $($text)*) {
            $crate::end_output(&error);
        }
    }};
}

mod args;
mod bench;
mod data;
mod devices;
mod eval;
mod export;
mod figure;
mod fit;
mod import;
mod node_times;
mod plan;
mod predict;
mod progress;
mod prototypes;
mod report;
mod start;
mod train;
mod verify;
mod view;
mod vocabulary;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use protoseg::gpu::Gpu;
use protoseg::{Error, Result};

use args::{Cli, Command};

fn main() -> ExitCode {
    quiet_driver();
    let cli = Cli::parse();
    match pollster::block_on(run(&cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Ends the program: standard output takes no more.
fn end_output(error: &std::io::Error) -> ! {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("error: cannot write to standard output: {error}; give it a place with room");
    std::process::exit(1);
}

/// Mesa's device-selection layer asks the Wayland server for its GPU and complains on standard error where there is no
/// session; it is switched off there, since the adapter is chosen here anyway.
fn quiet_driver() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: nothing else runs yet: this is the first line of `main`.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}

async fn run(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::Synth(args) => data::synth(args),
        Command::Audit(args) => data::audit(args),
        Command::Devices(args) => devices::devices(args).await,
        Command::Export(args) => export::export(args),
        Command::Import(args) => import::import(args),
        Command::Verify(args) => verify::verify(args, cli).await,
        Command::Ops => {
            devices::ops();
            Ok(())
        }
        Command::Bench(args) => bench::bench(args, cli).await,
        Command::Plan(args) => plan::plan(args, cli).await,
        Command::Train(args) => train::train(args, cli).await,
        Command::Fit(args) => fit::fit(args, cli).await,
        Command::Eval(args) => eval::eval(args, cli).await,
        Command::Predict(args) => predict::predict(args, cli).await,
        Command::Figure(args) => figure::figure(args, cli).await,
        Command::View(args) => view::view(args, cli).await,
    }
}

/// Opens the adapter that the command line or the environment names.
async fn open(cli: &Cli) -> Result<Arc<Gpu>> {
    let gpu = Gpu::open(cli.adapter.as_deref(), cli.variant).await?;
    if cli.autotune {
        gpu.measure_tiles()?;
    }
    Ok(gpu)
}

/// Prints one JSON document on standard output.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::config(format!("the result is no JSON: {e}"), "report this"))?;
    say!("{text}");
    Ok(())
}
