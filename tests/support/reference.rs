//! Gradients of a backbone against files that a script in `tests/reference` has written.

use std::path::PathBuf;
use std::sync::Arc;

use protoseg::gpu::Gpu;
use protoseg::model_file::{self, ModelFile};
use protoseg::nn::{Arch, Builder, Extent, Freeze, FreezeNorms, Mode};
use protoseg::ops::{Sums, check};
use protoseg::tape::{DType, Keep, Plan, Program, Store, Tape};

/// The folder `PROTOSEG_REFERENCE`. Tests that need it are ignored unless asked for (`-- --ignored`).
pub fn folder() -> PathBuf {
    let folder = std::env::var_os("PROTOSEG_REFERENCE").map(PathBuf::from);
    folder.expect("PROTOSEG_REFERENCE names a folder that a script in tests/reference has written")
}

/// Compares the gradient of every weight of `arch`, of the maps times the seeds in the file and with the norms' statistics as
/// they are, with the file `NAME.gradients.safetensors`: each within 1e-3 of its largest element. Nothing is compared where there is
/// no such file.
pub fn gradients(gpu: &Arc<Gpu>, arch: Arch, name: &str, prepare: impl Fn(&mut Builder<'_>)) {
    let folder = folder();
    let path = folder.join(format!("{name}.gradients.safetensors"));
    if !path.exists() {
        println!("not compared: `{}` is absent", path.display());
        return;
    }
    let file = model_file::read(&path).expect("a reference file");
    let source = model_file::read(folder.join(format!("{name}.weights.safetensors"))).expect("weights");
    let [batch, _, height, width] = *file.shape("input").expect("the image") else { panic!("rank") };
    let mut tape = Tape::new();
    let image = tape.input("image", &[batch, height, width, 3], DType::F32);
    let mut b = Builder::new(&mut tape, Mode::Train);
    b.freeze = Freeze { backbone: false, norms: FreezeNorms::Statistics };
    prepare(&mut b);
    let taps = arch.record(&mut b, image, Extent { output_stride: 32, deepest: 32 }).expect("recorded");
    let catalogue = b.weights;
    let seeds: Vec<_> = std::iter::zip(0.., &taps)
        .map(|(i, tap)| {
            let shape = tape.value(tap.map).shape.clone();
            (tap.map, tape.input(&format!("seed.{i}"), &shape, DType::F32))
        })
        .collect();
    let params = tape.params();
    let grads = tape.backward(&seeds, &params, &Sums).expect("gradients");
    let kept: Vec<_> = grads.iter().map(|g| g.expect("all are used")).collect();
    let program = Program::new(&tape, gpu.caps(), Keep::Only(&kept));
    let mut store = Store::new();
    catalogue.load(gpu, &mut store, &source, |_| true).expect("loaded");
    let plan = Plan::new(gpu, &tape, &program, &mut store).expect("a plan");
    plan.write(image, &rows(&file, "input"));
    for (i, seed) in seeds.iter().enumerate() {
        plan.write(seed.1, &rows(&file, &format!("seed.{i}")));
    }
    plan.run();
    let largest = |x: &[f64]| x.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    let mut worst = (0.0, String::new());
    for (&param, &gradient) in std::iter::zip(&params, &kept) {
        let of = tape.value(param).name.clone();
        let entry = catalogue.0.iter().find(|entry| entry.name == of).expect("catalogued");
        let found = entry.to_disk(&pollster::block_on(plan.read::<f32>(gradient)).expect("read"));
        let found: Vec<f64> = found.into_iter().map(f64::from).collect();
        let wanted = file.f64(&format!("grad.{of}")).expect("a gradient");
        let found = check::difference(&of, &found, &wanted);
        // A key's bias moves all scores of a query alike: its gradient is the rounding of a sum of those that make the weights'.
        let weights = of.strip_suffix("key.bias").map(|layer| format!("grad.{layer}key.weight"));
        let scale = weights.map_or(largest(&wanted), |of| largest(&file.f64(&of).expect("a gradient")));
        let off = found.max_abs / scale;
        assert!(off < 1e-3, "{name}: {of} off by {off:.1e}");
        if off > worst.0 {
            worst = (off, of);
        }
    }
    println!("{name}: {} gradients, worst {} off by {:.1e}", kept.len(), worst.1, worst.0);
}

/// The tensor `name` `[B,C,H,W]` of `file` as rows of pixels.
pub fn rows(file: &ModelFile, name: &str) -> Vec<f32> {
    let [batch, channels, height, width] = *file.shape(name).expect("a shape") else { panic!("{name}") };
    let data = file.f32(name).expect("numbers");
    let pixels = height * width;
    (0..batch * pixels * channels)
        .map(|i| {
            let (c, pixel, image) = (i % channels, i / channels % pixels, i / channels / pixels);
            data[(image * channels + c) * pixels + pixel]
        })
        .collect()
}
