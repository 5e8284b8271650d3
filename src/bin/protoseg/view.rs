//! `view`: the desktop viewer.

use protoseg::{Error, Result};

use crate::args::{Cli, ViewArgs};

#[cfg(not(feature = "viewer"))]
pub async fn view(_: &ViewArgs, _: &Cli) -> Result<()> {
    Err(Error::config(
        "this build has no viewer",
        "build with it: cargo run --release --features viewer -- view, or `make view`",
    ))
}

#[cfg(feature = "viewer")]
pub async fn view(args: &ViewArgs, cli: &Cli) -> Result<()> {
    use protoseg::viewer::{Options, run};
    let options = Options {
        scene: None,
        began: Some(std::time::Instant::now()),
        paths: args.paths.clone(),
        select: args.select.clone(),
        mode: args.mode.as_deref().map(|name| named(name, "--mode")).transpose()?,
        tab: args.panel.as_deref().map(|name| named(name, "--panel")).transpose()?,
        theme: args.theme.as_deref().map(|name| named(name, "--theme")).transpose()?,
        at: args.at,
        size: args.size,
        screenshot: args.screenshot.clone(),
    };
    let gpu = crate::open(cli).await?;
    let taken = run(&gpu, options)?;
    if let (Some(taken), Some(path)) = (taken, &args.screenshot) {
        let [width, height] = taken.size;
        let colored =
            taken.colored.map_or_else(String::new, |s| format!(", coloured {s:.2} s after the start"));
        say!("{}: {width} x {height}{colored}", path.display());
    }
    Ok(())
}

/// The value of an option that is one of a few words.
#[cfg(feature = "viewer")]
fn named<T: serde::de::DeserializeOwned>(name: &str, option: &str) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(name.to_lowercase())).map_err(|e| {
        // serde's sentence lists the words: "unknown variant `x`, expected one of `a`, `b`".
        Error::config(format!("{option} {name}: {e}"), "give one of these")
    })
}
