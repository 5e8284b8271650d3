//! Microsoft's shader compiler, where there is one: `PROTOSEG_DXC` names it, or `dxc` is on PATH.

use std::path::PathBuf;
use std::process::Command;

use super::TempDir;

/// A `dxc` that answers.
#[derive(Debug)]
pub struct Dxc {
    program: PathBuf,
    folder: PathBuf,
    _temporary: Kept,
}

/// Keeps the folder until the last compilation.
struct Kept(#[allow(dead_code, reason = "it is dropped, not read")] TempDir);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a temporary folder")
    }
}

impl Dxc {
    /// The one that `PROTOSEG_DXC` names, which must work, or the one on PATH.
    pub fn find() -> Option<Self> {
        let named = std::env::var_os("PROTOSEG_DXC").map(PathBuf::from);
        let program = named.clone().unwrap_or_else(|| "dxc".into());
        let answers = Command::new(&program).arg("--version").output().is_ok_and(|o| o.status.success());
        assert!(
            answers || named.is_none(),
            "PROTOSEG_DXC names {program:?}, which does not answer --version"
        );
        let temporary = TempDir::new("dxc");
        let folder = temporary.path().to_path_buf();
        answers.then(|| Self { program, folder, _temporary: Kept(temporary) })
    }

    /// Compiles an entry point of a compute shader, with 16-bit types where `half`.
    pub fn compile(&self, hlsl: &str, entry: &str, half: bool) -> Result<(), String> {
        let (source, object) = (self.folder.join("shader.hlsl"), self.folder.join("shader.dxil"));
        std::fs::write(&source, hlsl).map_err(|e| e.to_string())?;
        let mut command = Command::new(&self.program);
        command.args(["-T", if half { "cs_6_2" } else { "cs_6_0" }, "-E", entry, "-HV", "2018"]);
        if half {
            command.arg("-enable-16bit-types");
        }
        let output = command.arg("-Fo").arg(&object).arg(&source).output().map_err(|e| e.to_string())?;
        let text = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("dxc: {text}")) }
    }
}
