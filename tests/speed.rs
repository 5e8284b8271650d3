//! Times of the hot kernels, for people who tune them: `cargo test --release --test speed -- --ignored --nocapture`.

use protoseg::gpu::Gpu;
use protoseg::ops::{self, Act, Sums};
use protoseg::tape::{DType, Keep, Plan, Program, Store, Tape};

/// CPU seconds of this process, all threads (Linux).
fn cpu_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    fields.get(11..13).map_or(0.0, |t| t.iter().filter_map(|x| x.parse::<f64>().ok()).sum::<f64>() / 100.0)
}

#[test]
#[ignore = "a measurement"]
fn batch_norm() {
    let wanted = std::env::var("PROTOSEG_ADAPTER").ok();
    let gpu = pollster::block_on(Gpu::open(wanted.as_deref(), None)).expect("a WebGPU adapter");
    println!("{}", gpu.name());
    for shape in [[8, 120, 160, 96], [8, 8, 10, 960], [8, 120, 160, 16], [8, 30, 40, 192]] {
        let mut tape = Tape::new();
        let x = tape.input("x", &shape, DType::F32);
        let dy = tape.input("dy", &shape, DType::F32);
        let gamma = tape.input("gamma", &shape[3..], DType::F32);
        let beta = tape.input("beta", &shape[3..], DType::F32);
        let y = ops::batch_norm(&mut tape, x, gamma, beta, 1e-5, Act::Relu).expect("shapes fit").y;
        let grads = tape.backward(&[(y, dy)], &[x], &Sums).expect("shapes fit");
        let program = Program::new(&tape, gpu.caps(), Keep::Only(&[y, grads[0].expect("x has one")]));
        let plan = Plan::new(&gpu, &tape, &program, &mut Store::new()).expect("it fits");
        let count: usize = shape.iter().product();
        let data: Vec<f32> = (0..count).map(|i| (i as f32 * 0.7).sin()).collect();
        [x, dy].iter().for_each(|&id| plan.write(id, &data));
        [gamma, beta].iter().for_each(|&id| plan.write(id, &vec![1.0_f32; shape[3]]));
        plan.run();
        gpu.wait().expect("no trouble");
        let runs = (200_000_000 / count).clamp(5, 200);
        let (start, wall) = (cpu_secs(), std::time::Instant::now());
        (0..runs).for_each(|_| plan.run());
        gpu.wait().expect("no trouble");
        let per = 1e9 / (count * runs) as f64;
        println!(
            "{shape:?}: forward and backward {:.2} ns of CPU, {:.2} ns of wall clock per element",
            (cpu_secs() - start) * per,
            wall.elapsed().as_secs_f64() * per
        );
        if let Some(times) = pollster::block_on(plan.profile()).expect("no trouble") {
            let all: Vec<String> =
                times.iter().map(|t| format!("{:.3}", t.seconds * 1e9 / count as f64)).collect();
            println!("  dispatches, ns of wall clock per element: {}", all.join(" "));
        }
    }
}
