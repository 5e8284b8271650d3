//! Builds the browser's page and serves it on this machine. Exit status: 0 done, 1 failed with a message, 2 wrong usage.

/// `println!` without its panic: whoever closed our output wants no more of it, and the page is built all the same.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod answer;
mod kind;
mod publish;
mod references;
mod serve;
mod site;
mod sizes;
#[cfg(test)]
mod testing;
mod wasm;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};

use site::Files;

/// What the page loads of its own accord, and what it loads for photographs.
const MODELS: &[&str] = &["models/street-small.safetensors", "models/camvid-mobilenetv2.safetensors"];

/// Builds the browser's page and serves it on this machine.
#[derive(Parser)]
#[command(name = "protoseg-web")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compile the library for browsers and write the site, ready for any static host.
    Build {
        /// Folder of the site; an earlier site there is replaced once the new one is complete [default: web/dist].
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// For development: compiled piece by piece, names of functions kept, no wasm-opt; half as large again.
        #[arg(long)]
        dev: bool,
    },
    /// Serve the site on this machine's own address until Ctrl-C.
    Serve {
        /// Port; 0 takes a free one.
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Folder of the site [default: web/dist].
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Build { out, dev } => build(&out.unwrap_or_else(dist), dev),
        Command::Serve { port, dir } => serve::serve(&dir.unwrap_or_else(dist), port),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the library's Cargo.toml.
fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).expect("this package lies in web/build")
}

fn dist() -> PathBuf {
    root().join("web/dist")
}

fn build(out: &Path, dev: bool) -> Result<()> {
    publish::check(out)?;
    let mut files = page(&root().join("web/page"))?;
    for model in MODELS {
        let (_, name) = model.rsplit_once('/').expect("a path with a folder");
        add(&mut files, name, &root().join(model))?;
    }
    for name in wasm::NAMES {
        ensure!(!files.contains_key(name), "web/page has a `{name}`, which is the name of a file made here");
        files.insert(name.to_owned(), Vec::new());
    }
    // Once without the program: a mistake in the page is told before the compiler's minutes.
    site::lay_out(&files)?;
    files.extend(wasm::build(root(), dev)?);
    let site = site::lay_out(&files)?;
    publish::publish(&site.files, out)?;
    say!("{}", sizes::table(&site.files));
    if !site.unnamed.is_empty() {
        say!("no file of the page names these: {}", site.unnamed.join(", "));
    }
    say!("written: {}", out.display());
    Ok(())
}

/// The files of the folder by name, hidden ones left out.
fn page(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    let unreadable = || format!("cannot read the folder {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
        ensure!(!path.is_dir(), "{} is a folder: the page's files lie side by side", path.display());
        if !name.starts_with('.') {
            add(&mut files, &name, &path)?;
        }
    }
    Ok(files)
}

fn add(files: &mut Files, name: &str, path: &Path) -> Result<()> {
    let content = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(files.insert(name.to_owned(), content).is_none(), "two files of the page are called `{name}`");
    Ok(())
}
