//! The time from the start of the program to the end of the first training step, with an empty and a filled shader cache.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use protoseg::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::args::Cli;

/// Names on the command line.
pub const START: &str = "start";
pub const FIRST_STEP: &str = "first-step";

/// Where drivers and this program keep compiled shaders, by the environment variables that name the folder. Metal and
/// DirectX have no such variable: there, the first start may find what an earlier run has left.
const CACHES: [&str; 4] =
    ["MESA_SHADER_CACHE_DIR", "MESA_GLSL_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH", "XDG_CACHE_HOME"];

/// One start, in seconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FirstStep {
    /// Opening the adapter.
    open_secs: f64,
    /// Recording the step, allocating, compiling the kernels as far as the driver does that beforehand.
    plan_secs: f64,
    /// The first step, with what the driver compiles only now.
    first_secs: f64,
    /// The next step.
    next_secs: f64,
    /// From the first line of the program to the end of the first step.
    total_secs: f64,
}

/// Two starts.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Start {
    /// With empty caches.
    first: FirstStep,
    /// With what the first start has left in them.
    second: FirstStep,
}

impl FirstStep {
    fn print(&self, name: &str) {
        say!(
            "{name:13} {:.2} s: adapter {:.2}, plan and kernels {:.2}, first step {:.2} (the next {:.2})",
            self.total_secs,
            self.open_secs,
            self.plan_secs,
            self.first_secs,
            self.next_secs
        );
    }
}

impl Start {
    pub fn print(&self) {
        self.first.print("first start");
        self.second.print("second start");
    }
}

/// Runs a training step of MobileNetV2 with the prototype head, on an image so small that compiling is nearly all of it.
pub async fn first_step(json: bool, cli: &Cli) -> Result<()> {
    let begin = Instant::now();
    let gpu = crate::open(cli).await?;
    let open_secs = begin.elapsed().as_secs_f64();
    let bound = protoseg::bench::training(1, [64, 96])?.bind(&gpu)?;
    let plan_secs = begin.elapsed().as_secs_f64() - open_secs;
    bound.run();
    gpu.wait()?;
    let total_secs = begin.elapsed().as_secs_f64();
    bound.run();
    gpu.wait()?;
    let next_secs = begin.elapsed().as_secs_f64() - total_secs;
    let first_secs = total_secs - plan_secs - open_secs;
    let found = FirstStep { open_secs, plan_secs, first_secs, next_secs, total_secs };
    if json {
        return crate::print_json(&found);
    }
    found.print(FIRST_STEP);
    Ok(())
}

/// Starts this program twice with the same folder, empty at first, for compiled shaders.
pub fn measure(cli: &Cli) -> Result<Start> {
    let folder = std::env::temp_dir().join(format!("protoseg-start-{}", std::process::id()));
    let failed = |source| Error::Io { action: "create the folder", path: folder.clone(), source };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let both = child(cli, &folder).and_then(|first| Ok(Start { first, second: child(cli, &folder)? }));
    // A folder left behind in the system's temporary folder is no reason to fail.
    let _ = std::fs::remove_dir_all(&folder);
    both
}

fn child(cli: &Cli, cache: &Path) -> Result<FirstStep> {
    let wrong = |problem: String| {
        Error::device(
            format!("starting once more: {problem}"),
            "run it by itself: `protoseg bench first-step`",
        )
    };
    let program = std::env::current_exe().map_err(|e| wrong(e.to_string()))?;
    let mut command = Command::new(program);
    command.args(["bench", FIRST_STEP, "--json"]);
    command.args(cli.adapter.iter().flat_map(|adapter| ["--adapter", adapter]));
    command.args(cli.variant.iter().flat_map(|variant| ["--variant", variant.name()]));
    for name in CACHES {
        command.env(name, cache);
    }
    command.env_remove("MESA_SHADER_CACHE_DISABLE").stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().map_err(|e| wrong(e.to_string()))?;
    if !output.status.success() {
        return Err(wrong(output.status.to_string()));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| wrong(e.to_string()))
}
