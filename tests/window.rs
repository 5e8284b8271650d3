//! The real window under a virtual display: what it looks like, and what keys and mouse do to it.
#![cfg(all(feature = "viewer", target_os = "linux"))]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use image::{RgbImage, imageops};
use support::{TempDir, root};

/// A virtual display of 1280 x 800 pixels.
struct Display {
    server: Child,
    name: String,
}

impl Display {
    /// Starts one; `None`, and says so, where there is no Xvfb.
    fn start() -> Option<Self> {
        let server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut server) = server else {
            println!("skipped: there is no Xvfb here");
            return None;
        };
        let mut number = String::new();
        let output = server.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut number).expect("the display's number");
        Some(Self { server, name: format!(":{}", number.trim()) })
    }

    /// A command that sees this display and a home of its own.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>, home: &TempDir) -> Command {
        let mut command = Command::new(program);
        command.env("DISPLAY", &self.name).env_remove("WAYLAND_DISPLAY").env_remove("WAYLAND_SOCKET");
        command.env("XDG_DATA_HOME", home.path()).current_dir(root());
        command
    }

    fn viewer(&self, home: &TempDir) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_protoseg"), home);
        command.args(["view", "models/street-small.safetensors"]);
        command
    }

    /// What `xdotool` prints; it must succeed.
    fn xdotool(&self, home: &TempDir, arguments: &[&str]) -> String {
        let output = self.command("xdotool", home).args(arguments).output().expect("xdotool");
        assert!(
            output.status.success(),
            "xdotool {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The window's own picture with these options.
fn shot(display: &Display, home: &TempDir, options: &[&str]) -> RgbImage {
    let path = home.path().join("window.png");
    let run = display.viewer(home).args(options).arg("--screenshot").arg(&path).output().expect("the viewer");
    assert!(run.status.success(), "{options:?}: {}", String::from_utf8_lossy(&run.stderr));
    image::open(&path).expect("a PNG").into_rgb8()
}

/// Compares a picture of the window, at half its size, with the one that is kept; `PROTOSEG_SNAPSHOTS=write` replaces that.
fn compare(name: &str, picture: &RgbImage) {
    let path = root().join("tests/window").join(format!("{name}.png"));
    let (width, height) = (picture.width() / 2, picture.height() / 2);
    let small = imageops::resize(picture, width, height, imageops::FilterType::Triangle);
    if std::env::var("PROTOSEG_SNAPSHOTS").is_ok_and(|what| what == "write") {
        small.save(&path).expect("a PNG that can be written");
        return;
    }
    let kept = image::open(&path).expect("a picture that is kept").into_rgb8();
    assert_eq!(small.dimensions(), kept.dimensions(), "{name}");
    let difference = |x: u32, y: u32| {
        let (a, b) = (small.get_pixel(x, y).0, kept.get_pixel(x, y).0);
        (0..3).map(|i| u64::from(a[i].abs_diff(b[i]))).sum::<u64>()
    };
    // Blocks of 10 x 10: a driver's rounding of edges is below it, a label that moved or a colour that changed is not.
    let mut worst = (0, 0, 0);
    for by in 0..height / 10 {
        for bx in 0..width / 10 {
            let sum: u64 = (0..100).map(|i| difference(bx * 10 + i % 10, by * 10 + i / 10)).sum();
            worst = worst.max((sum / 300, bx * 10, by * 10));
        }
    }
    if worst.0 > 12 {
        let seen = std::env::temp_dir().join(format!("protoseg-window-{name}.png"));
        small.save(&seen).expect("a PNG that can be written");
        let (mean, x, y) = worst;
        panic!(
            "{name} differs by {mean} of 255 at {x}, {y} of the half-sized picture; it is in {}",
            seen.display()
        );
    }
}

#[test]
fn the_window_looks_as_it_should() {
    let Some(display) = Display::start() else { return };
    let home = TempDir::new("window");
    for (name, options) in [
        ("prototypes", &["--size", "1280x800", "--theme", "dark", "--select", "Car", "--at", "300,210"][..]),
        (
            "similarity-small",
            &["--size", "800x500", "--theme", "light", "--mode", "similarity", "--select", "Person"],
        ),
    ] {
        compare(name, &shot(&display, &home, options));
    }
}

#[test]
fn what_cannot_be_shown_is_said_and_nothing_is_written() {
    let Some(display) = Display::start() else { return };
    let home = TempDir::new("window");
    let path = home.path().join("none.png");
    let fails = |options: &[&str]| {
        let run =
            display.viewer(&home).args(options).arg("--screenshot").arg(&path).output().expect("the viewer");
        assert_eq!((run.status.code(), path.exists()), (Some(1), false), "{options:?}");
        String::from_utf8_lossy(&run.stderr).into_owned()
    };
    assert!(fails(&["no/such.png"]).contains("there is no such file"));
    assert!(fails(&["--select", "Whale"]).contains("Whale"));
    assert!(fails(&["--mode", "rainbow"]).contains("expected one of `image`, `classes`"));
    let run = display.viewer(&home).env_remove("DISPLAY").output().expect("the viewer");
    let message = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.code() == Some(1) && message.contains("virtual display"), "{message}");
}

#[test]
fn keys_reach_the_window_and_settings_are_kept() {
    let Some(display) = Display::start() else { return };
    let home = TempDir::new("window");
    if display.command("xdotool", &home).arg("version").output().is_err() {
        println!("skipped: there is no xdotool here");
        return;
    }
    let mut viewer = display.viewer(&home).stderr(Stdio::null()).spawn().expect("the viewer");
    let found = display.xdotool(&home, &["search", "--sync", "--onlyvisible", "--name", "^protoseg$"]);
    let window = found.lines().next().expect("a window");
    // There is no window manager to give it the keyboard.
    display.xdotool(&home, &["mousemove", "640", "400", "windowfocus", "--sync", window]);
    std::thread::sleep(Duration::from_secs(3));
    for key in ["bracketleft", "bracketleft", "o", "b", "ctrl+q"] {
        display.xdotool(&home, &["key", key]);
        std::thread::sleep(Duration::from_millis(400));
    }
    let patience = Instant::now();
    while viewer.try_wait().expect("a child").is_none() {
        assert!(patience.elapsed() < Duration::from_secs(60), "Ctrl Q closes the window");
        std::thread::sleep(Duration::from_millis(50));
    }
    let kept = read(&home.path().join("protoseg/app.ron"));
    let opacity =
        kept.split_once("opacity:").and_then(|(_, rest)| rest.split(',').next()?.parse::<f32>().ok());
    assert!(opacity.is_some_and(|opacity| (opacity - 0.55).abs() < 1e-3), "{opacity:?}");
    for part in ["contour:2", "show_filmstrip:false"] {
        assert!(kept.contains(part), "{part} in {kept}");
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
