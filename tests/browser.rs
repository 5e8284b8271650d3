//! Every shader of the families floor and gpu compiled by a real browser, which is stricter than naga: about barriers in control flow that is not
//! uniform, reserved words, and what WGSL's text allows.
//!
//! A page made here is served on this machine's loopback address; headless Chromium compiles every entry point with the
//! constants that the operations give it and posts back what went wrong. (Under `--dump-dom` with a virtual time budget
//! promises of WebGPU do not always finish.)

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use protoseg::gpu::{Variant, shaders};
use serde_json::{Value, json};
use support::{Constants, launches};

const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];
/// A cold browser on a busy two-core machine needs about ten seconds, and about a second per pipeline of the GPU tiles.
const PATIENCE: Duration = Duration::from_secs(300);
/// One pipeline on a busy machine takes up to a second; some compilers blow up over a harmless-looking shader, and then
/// what a visitor sees is a frozen page.
const PIPELINE_SECS: u32 = 30;
/// Headless WebGPU on any machine, a software adapter included, and no traffic of the browser's own.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu-sandbox",
    "--enable-unsafe-webgpu",
    "--no-first-run",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>shaders</title><script>
const jobs = JOBS, patienceSeconds = SECONDS;
function inTime(promise) {
    const late = (_, reject) => setTimeout(
        () => reject(new Hang(`not compiled in ${patienceSeconds} s; what follows it was not tried`)),
        1000 * patienceSeconds);
    return Promise.race([promise, new Promise(late)]);
}
class Hang extends Error {}
let stop = false;
async function compile(device, job) {
    const module = device.createShaderModule({ code: job.source });
    const messages = (await module.getCompilationInfo()).messages.filter(m => m.type === "error");
    if (messages.length > 0)
        return messages.map(m => `${job.shader}, line ${m.lineNum} of the composed source: ${m.message}`);
    const failures = [];
    for (const { entry, constants } of job.pipelines) {
        const compute = { module, entryPoint: entry, constants };
        try { await inTime(device.createComputePipelineAsync({ layout: "auto", compute })); }
        catch (error) {
            failures.push(`${job.shader}, entry ${entry} ${JSON.stringify(constants)}: ${error.message}`);
            if (error instanceof Hang) { stop = true; return failures; }
        }
    }
    return failures;
}
async function all() {
    const adapter = navigator.gpu && await navigator.gpu.requestAdapter();
    if (!adapter) return { adapter: null };
    const device = await adapter.requestDevice();
    // Failures are caught where they happen; the console would only repeat them.
    device.onuncapturederror = event => event.preventDefault();
    const failures = [];
    for (const job of jobs) if (!stop) failures.push(...await compile(device, job));
    return { adapter: `${adapter.info.vendor} ${adapter.info.architecture}`, failures };
}
all().catch(error => ({ broken: String(error) }))
    .then(result => fetch("/result", { method: "POST", body: JSON.stringify(result) }));
</script>"#;

#[test]
fn shaders_compile_in_a_browser() {
    let launches = launches();
    let mut jobs = Vec::new();
    for shader in shaders::all().iter().filter(|s| in_browsers(s)) {
        let pipelines: Vec<_> = launches
            .iter()
            .filter(|((stem, _), _)| *stem == shader.stem)
            .flat_map(|((_, entry), sets)| sets.iter().map(move |set| pipeline(entry, set)))
            .collect();
        let name = format!("{}/{}", shader.family, shader.stem);
        jobs.push(json!({ "shader": name, "source": shader.source, "pipelines": pipelines }));
    }
    let Some(failures) = in_browser(&jobs) else { return };
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// Whether the shader belongs to a family that browsers run.
fn in_browsers(shader: &shaders::Shader) -> bool {
    matches!(shader.variant(), Variant::Floor | Variant::Gpu)
}

/// The wall itself: a barrier that only some invocations reach passes naga and fails here.
#[test]
fn planted_breach_is_found() {
    let source = "@group(0) @binding(0) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) {
            if (y[i] > 0.0) { workgroupBarrier(); }
        }";
    let job = json!({ "shader": "planted", "source": source, "pipelines": [pipeline("main", &Vec::new())] });
    let Some(failures) = in_browser(&[job]) else { return };
    assert!(failures.len() == 1 && failures[0].contains("uniform"), "{failures:?}");
}

fn pipeline(entry: &str, constants: &Constants) -> Value {
    let constants: serde_json::Map<_, _> =
        constants.iter().map(|&(name, bits)| (name.to_owned(), json!(f64::from_bits(bits)))).collect();
    json!({ "entry": entry, "constants": constants })
}

/// What the browser says is wrong with `jobs`; `None` with a printed reason where there is no browser with WebGPU. On CI
/// that is a failure.
fn in_browser(jobs: &[Value]) -> Option<Vec<String>> {
    let skip = |reason: &str| {
        assert!(std::env::var_os("CI").is_none(), "on CI this test must run: {reason}");
        println!("skipped: {reason}");
    };
    let Some(program) = find_browser() else {
        skip(&format!("none of {} is on PATH", BROWSERS.join(", ")));
        return None;
    };
    let result = ask(&program, jobs);
    if let Some(broken) = result["broken"].as_str() {
        panic!("the page failed: {broken}");
    }
    let Some(adapter) = result["adapter"].as_str() else {
        skip(&format!("{} gives no WebGPU adapter", program.display()));
        return None;
    };
    println!("{} shaders compiled by {} on {adapter}", jobs.len(), program.display());
    let failures = result["failures"].as_array().expect("the page's own format");
    Some(failures.iter().map(|f| f.as_str().unwrap_or_default().to_owned()).collect())
}

fn find_browser() -> Option<PathBuf> {
    let folders: Vec<_> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let all = BROWSERS.iter().flat_map(|name| folders.iter().map(move |f| f.join(name)));
    all.map(|p| p.with_extension(std::env::consts::EXE_EXTENSION)).find(|p| p.is_file())
}

/// A browser with a profile of its own, both gone when this is dropped.
struct Browser {
    child: Child,
    profile: PathBuf,
}

impl Browser {
    fn start(program: &Path, url: &str) -> Self {
        let port = url.rsplit(':').next().expect("a port").trim_end_matches('/');
        let profile = std::env::temp_dir().join(format!("protoseg-browser-{}-{port}", std::process::id()));
        let child = Command::new(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", program.display()));
        Self { child, profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A browser that has ended by itself, or a profile left behind, is no reason to fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// Serves the page until the browser has posted its result.
fn ask(program: &Path, jobs: &[Value]) -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on the loopback address");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    // Inside a script element the text must not hold its closing tag.
    let jobs = json!(jobs).to_string().replace("</", "<\\/");
    let page = PAGE.replace("SECONDS", &PIPELINE_SECS.to_string()).replace("JOBS", &jobs);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(result) = answer(stream, &page) {
                // The receiver is gone once patience has ended.
                let _ = sender.send(result);
                return;
            }
        }
    });
    let _browser = Browser::start(program, &url);
    let text = receiver.recv_timeout(PATIENCE);
    let text = text.unwrap_or_else(|_| panic!("{} posted no result in {PATIENCE:?}", program.display()));
    serde_json::from_str(&text).expect("the page posts JSON")
}

/// Answers one request; the body if it was the result. A connection that the browser drops is none.
fn answer(stream: TcpStream, page: &str) -> Option<String> {
    // A browser opens connections ahead of need and leaves them silent.
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let mut reader = BufReader::new(&stream);
    let mut request = String::new();
    reader.read_line(&mut request).ok()?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).ok()? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (status, content) =
        if request.starts_with("GET / ") { ("200 OK", page) } else { ("204 No Content", "") };
    let length = content.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close"
    );
    (&stream).write_all(format!("{head}\r\n\r\n{content}").as_bytes()).ok()?;
    request.starts_with("POST /result ").then(|| String::from_utf8(body).ok()).flatten()
}
