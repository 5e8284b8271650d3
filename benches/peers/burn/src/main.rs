//! The named workloads of `protoseg bench` that burn's wgpu backend (WGSL) has operations for: same work, same sizes, one
//! JSON document on standard output. `burn-peer [--seconds S] [WORK...]`

use std::time::Instant;

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, DeviceKind, Distribution, Tensor};
use serde_json::{Value, json};

type Run = Box<dyn Fn()>;

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-0.5, 0.5), device)
}

fn gemm(device: &Device, [m, k, n]: [usize; 3]) -> Run {
    let (a, b) = (random([m, k], device), random([k, n], device));
    Box::new(move || drop(a.clone().matmul(b.clone())))
}

fn convolution(device: &Device, groups: usize, gradients: bool) -> Run {
    let options = move || ConvOptions::new([1, 1], [1, 1], [1, 1], groups);
    let device = if gradients { device.clone().autodiff() } else { device.clone() };
    let x = random([4, 64, 90, 120], &device);
    let w = random([64, 64 / groups, 3, 3], &device);
    if !gradients {
        return Box::new(move || drop(conv2d(x.clone(), w.clone(), None, options())));
    }
    let seed = random([4, 64, 90, 120], &device);
    Box::new(move || {
        let (x, w) = (x.clone().detach().require_grad(), w.clone().detach().require_grad());
        let y = conv2d(x.clone(), w.clone(), None, options());
        let found = (y * seed.clone()).sum().backward();
        drop((x.grad(&found), w.grad(&found)));
    })
}

fn work(name: &str, device: &Device) -> Option<Run> {
    Some(match name {
        "gemm-512" => gemm(device, [512, 512, 512]),
        "gemm-1024" => gemm(device, [1024, 1024, 1024]),
        "gemm-16384x256x190" => gemm(device, [16_384, 256, 190]),
        "gemm-43200x96x24" => gemm(device, [43_200, 96, 24]),
        "conv3x3" => convolution(device, 1, false),
        "conv3x3-gradients" => convolution(device, 1, true),
        "depthwise3x3" => convolution(device, 64, false),
        "depthwise3x3-gradients" => convolution(device, 64, true),
        _ => return None,
    })
}

const ALL: [&str; 8] = [
    "gemm-512",
    "gemm-1024",
    "gemm-16384x256x190",
    "gemm-43200x96x24",
    "conv3x3",
    "conv3x3-gradients",
    "depthwise3x3",
    "depthwise3x3-gradients",
];

/// Processor time of this process in seconds, by Linux's scheduler statistics; `None` elsewhere.
fn cpu_secs() -> Option<f64> {
    let mut total = 0;
    for thread in std::fs::read_dir("/proc/self/task").ok()? {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        total += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(1e-9 * total as f64)
}

/// Best and median of several samples after a warm-up whose first call, with the compilation of kernels, is told by itself.
fn measure(run: &Run, device: &Device, seconds: f64) -> Value {
    let sample = |count: usize| {
        let (cpu, start) = (cpu_secs(), Instant::now());
        (0..count).for_each(|_| run());
        device.sync().expect("the device works");
        let each = 1.0 / count as f64;
        let wall = start.elapsed().as_secs_f64() * each;
        (wall, cpu.zip(cpu_secs()).map(|(before, after)| (after - before) * each))
    };
    let first = sample(1).0;
    let once = sample(1).0;
    let count = ((0.05 / once) as usize).clamp(1, 200);
    let start = Instant::now();
    let mut walls = Vec::new();
    let mut cpu = f64::INFINITY;
    while walls.len() < 3 || (start.elapsed().as_secs_f64() < seconds && walls.len() < 50) {
        let (wall, spent) = sample(count);
        walls.push(wall);
        cpu = cpu.min(spent.unwrap_or(f64::INFINITY));
    }
    walls.sort_by(f64::total_cmp);
    json!({
        "first_secs": first,
        "best_secs": walls[0],
        "median_secs": walls[walls.len() / 2],
        "cpu_secs": cpu.is_finite().then_some(cpu),
        "runs": walls.len(),
    })
}

fn main() {
    let mut seconds = 1.0;
    let mut names = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            let given = arguments.next().and_then(|text| text.parse().ok());
            seconds = given.expect("--seconds takes a number");
        } else {
            names.push(argument);
        }
    }
    if names.is_empty() {
        names = ALL.map(str::to_owned).to_vec();
    }
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    let mut results = Vec::new();
    for name in &names {
        let Some(run) = work(name, &device) else {
            eprintln!("no workload `{name}`; there are {ALL:?}");
            std::process::exit(2);
        };
        eprintln!("burn: {name}");
        let mut measured = measure(&run, &device, seconds);
        measured["name"] = json!(name);
        results.push(measured);
    }
    let document = json!({ "peer": "burn", "version": "0.22.1, wgpu (WGSL), without autotune", "results": results });
    println!("{}", serde_json::to_string_pretty(&document).expect("plain JSON"));
}
