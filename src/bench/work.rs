//! The named workloads: pieces of work that other programs can be given too, so that times can be compared by name.

use crate::error::Result;
use crate::ops::table::{Case, Fill, Input, TABLE};
use crate::ops::{self, Conv};

use super::head::{HeadSize, head_training};
use super::job::{Direction, Job};
use super::network::{inference, training};

/// A workload.
pub struct Work {
    /// Its name on the command line and in the scripts that run the same work elsewhere.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Records it.
    pub record: Box<dyn Fn() -> Result<Job>>,
}

/// Every workload, in the order in which they are run.
#[must_use]
pub fn works() -> Vec<Work> {
    let mut all = Vec::new();
    let mut add = |name, about, record: Box<dyn Fn() -> Result<Job>>| {
        all.push(Work { name, about, record });
    };
    let gemm = |m, k, n| -> Box<dyn Fn() -> Result<Job>> { Box::new(move || forward(&product(m, k, n))) };
    add("gemm-512", "[512,512] x [512,512], as a 1x1 convolution", gemm(512, 512, 512));
    add("gemm-1024", "[1024,1024] x [1024,1024], as a 1x1 convolution", gemm(1024, 1024, 1024));
    add("gemm-16384x256x190", "[16384,256] x [256,190], as a 1x1 convolution", gemm(16_384, 256, 190));
    add("gemm-43200x96x24", "[43200,96] x [96,24], as a 1x1 convolution", gemm(43_200, 96, 24));
    for (groups, names) in
        [(1, ["conv3x3", "conv3x3-gradients"]), (64, ["depthwise3x3", "depthwise3x3-gradients"])]
    {
        let about = if groups == 1 {
            ["3x3, 64 to 64 channels at 4x90x120, forward", "the same, forward and both gradients"]
        } else {
            ["depthwise 3x3, 64 channels at 4x90x120, forward", "the same, forward and both gradients"]
        };
        add(names[0], about[0], Box::new(move || forward(&three_by_three(groups))));
        add(names[1], about[1], Box::new(move || gradients(&three_by_three(groups))));
    }
    let about = "10,000 pixels of one class onto 10 prototypes, 3 rounds";
    add("sinkhorn-10000x10", about, Box::new(|| forward(&first_size("sinkhorn"))));
    let heads = [
        (11, "head-step-11", "head training step, C = 11, K = 10, D = 256, N = 16,384, labels at 512x512"),
        (150, "head-step-150", "the same with C = 150"),
        (847, "head-step-847", "the same with C = 847"),
    ];
    for (classes, name, about) in heads {
        let size = HeadSize { classes, prototypes: 10, dimension: 256, side: 128 };
        add(name, about, Box::new(move || head_training(size)));
    }
    let step = || training(8, [360, 480]);
    add(
        "train-mobilenet",
        "MobileNetV2 + prototype head, training step, 480x360, batch 8, C = 11",
        Box::new(step),
    );
    let predict = || inference([360, 480]);
    add(
        "infer-mobilenet",
        "MobileNetV2 + prototype head, class map of one image, 480x360",
        Box::new(predict),
    );
    all
}

/// `[m,k] x [k,n]` as the 1x1 convolution of a line of `m` pixels.
fn product(m: usize, k: usize, n: usize) -> Case {
    let x = Input::fixed(&[1, 1, m, k], Fill::Uniform(-0.5, 0.5));
    let w = Input::fixed(&[1, 1, k, n], Fill::Uniform(-0.5, 0.5));
    Case::new("product", vec![x, w], |t, v| Ok(vec![ops::conv2d(t, v[0], v[1], None, Conv::default())?]))
}

/// The first bench size of an operation.
fn first_size(stem: &str) -> Case {
    let row = TABLE.iter().find(|row| row.stem == stem).expect("stems are written in our own code only");
    (row.bench)().swap_remove(0)
}

fn three_by_three(groups: usize) -> Case {
    let x = Input::f32(&[4, 90, 120, 64], Fill::Uniform(-0.5, 0.5));
    let w = Input::f32(&[3, 3, 64 / groups, 64], Fill::Uniform(-0.5, 0.5));
    let conv = Conv { padding: 1, groups, ..Conv::default() };
    Case::new("3x3", vec![x, w], move |t, v| Ok(vec![ops::conv2d(t, v[0], v[1], None, conv)?]))
}

fn forward(case: &Case) -> Result<Job> {
    Ok(Job::of_case(case, Direction::Forward)?.expect("every case has a forward pass"))
}

fn gradients(case: &Case) -> Result<Job> {
    Ok(Job::of_case(case, Direction::Gradients)?.expect("a convolution has gradients"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Caps;
    use crate::tape::{Keep, Program};

    fn program(name: &str) -> Program {
        let works = works();
        let work = works.iter().find(|w| w.name == name).expect("a workload");
        let job = (work.record)().expect("shapes fit");
        Program::new(&job.tape, &Caps::floor(), Keep::Only(&job.kept))
    }

    #[test]
    fn products_cost_what_they_are() {
        assert_eq!(program("gemm-16384x256x190").flops(), 2 * 16_384 * 256 * 190);
        let [forward, all] = ["conv3x3", "conv3x3-gradients"].map(|name| program(name).flops());
        assert_eq!(forward, 2 * 4 * 90 * 120 * 64 * 64 * 9);
        assert_eq!(all, 3 * forward);
    }

    /// The head's step holds prototypes, not pixels x prototypes, and its work grows with C.
    #[test]
    fn the_head_grows_with_its_classes() {
        let [few, many] = ["head-step-11", "head-step-150"].map(program);
        assert!(many.flops() > 8 * few.flops());
        let matrix = 4 * 16_384 * 1500;
        assert!(many.bytes() - few.bytes() < matrix, "{} bytes more", many.bytes() - few.bytes());
    }

    #[test]
    fn the_network_fits_the_floor() {
        for name in ["train-mobilenet", "infer-mobilenet"] {
            let program = program(name);
            assert!(program.largest_bytes() <= Caps::floor().max_binding_bytes, "{name}");
            assert!(program.num_dispatches() > 50, "{name}");
        }
    }
}
