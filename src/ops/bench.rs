//! What `protoseg bench` times of every operation: one or two sizes each, as they occur in a training step of MobileNetV2
//! with the prototype head at 480x360 (embeddings on 90x120 pixels) or in the head with 150 classes.
//!
//! Only the operation itself is recorded; what others would compute for it comes as an input.

mod transformer;

pub(super) use transformer::{attention, channel_scale, gelu, resample_positions, swiglu, tokens, windows};

use super::UpsampleArgmax;
use super::table::{Case, Fill, Input};
use super::{Act, AdamW, Axis, Balance, Conv, Corners, DropMode, EmptyLoss, Sgd, Sinkhorn, SmallClass};
use crate::error::Result;
use crate::tape::{Tape, ValueId};
use crate::{ops, rng};

/// Batch, height and width of the embedding map.
const MAP: [usize; 3] = [4, 90, 120];
/// Pixels of it.
const PIXELS: usize = 4 * 90 * 120;
/// Height and width of the labels.
const LABELS: [usize; 2] = [360, 480];
/// Pixels, classes, prototypes and dimension of the head with many classes.
const HEAD: [usize; 4] = [16_384, 150, 10, 256];

/// A map of embeddings' height and width with `channels`.
fn map(channels: usize) -> Input {
    Input::f32(&[MAP[0], MAP[1], MAP[2], channels], Fill::Uniform(-1.0, 1.0))
}

fn vector(length: usize) -> Input {
    Input::f32(&[length], Fill::Uniform(0.5, 1.5))
}

fn unit(shape: &[usize]) -> Input {
    Input::f32(shape, Fill::UnitRows)
}

fn whole(shape: &[usize], count: usize) -> Input {
    Input::i32(shape, Fill::Integers { count, ignored: 0.0 })
}

/// The same input without gradient.
fn fixed(input: Input) -> Input {
    Input { grad: false, ..input }
}

/// Labels `[N]` of `classes` classes, the pixels grouped by them, and where each class begins.
fn grouped(pixels: usize, classes: usize) -> [Input; 3] {
    let labels: Vec<u32> = (0..pixels as u32).map(|i| rng::bits(7, 0, i) % classes as u32).collect();
    let mut order: Vec<usize> = (0..pixels).collect();
    order.sort_by_key(|&i| labels[i]);
    let starts = (0..=classes as u32).map(|class| labels.iter().filter(|&&y| y < class).count() as f32);
    [
        Input::i32(&[pixels], Fill::Values(labels.iter().map(|&y| y as f32).collect())),
        Input::u32(&[pixels], Fill::Values(order.iter().map(|&i| i as f32).collect())),
        Input::u32(&[classes + 1], Fill::Values(starts.collect())),
    ]
}

pub(super) fn accumulate() -> Vec<Case> {
    let weight = || Input::fixed(&[2_236_682], Fill::Uniform(-1.0, 1.0));
    let first = Input::u32(&[1], Fill::Values(vec![0.0]));
    vec![Case::new("2.2 M weights", vec![weight(), weight(), first], |t, v| {
        ops::accumulate(t, v[0], v[1], v[2], 0.25)?;
        Ok(vec![v[1]])
    })]
}

pub(super) fn adamw() -> Vec<Case> {
    let weight = || Input::fixed(&[2_236_682], Fill::Uniform(0.0, 1.0));
    let lr = Input::fixed(&[1], Fill::Values(vec![1e-3]));
    let step = Input::u32(&[1], Fill::Values(vec![9.0]));
    let rule = AdamW { betas: [0.9, 0.999], weight_decay: 0.01, lr_scale: 1.0 };
    vec![Case::new("2.2 M weights", vec![weight(), weight(), weight(), weight(), lr, step], move |t, v| {
        ops::adamw(t, v[0], v[1], [v[2], v[3]], [v[4], v[5]], None, rule)?;
        Ok(vec![v[0], v[2], v[3]])
    })]
}

pub(super) fn adaptive_avg_pool2d() -> Vec<Case> {
    let x = Input::f32(&[MAP[0], 12, 15, 512], Fill::Uniform(-1.0, 1.0));
    vec![Case::new("4x12x15x512 to 6x6", vec![x], |t, v| {
        Ok(vec![ops::adaptive_avg_pool2d(t, v[0], [6, 6])?])
    })]
}

pub(super) fn add() -> Vec<Case> {
    vec![Case::new("4x90x120x64", vec![map(64), map(64)], |t, v| Ok(vec![ops::add(t, v[0], v[1], 1.0)?]))]
}

pub(super) fn argmax_rows() -> Vec<Case> {
    let o = fixed(map(32));
    vec![Case::new("43200x32", vec![o], |t, v| Ok(vec![ops::argmax_rows(t, v[0], None, 0)?.0]))]
}

pub(super) fn assign() -> Vec<Case> {
    let [n, c, k, _] = HEAD;
    let [gt, _, offsets] = grouped(n, c);
    let q = Input::fixed(&[n, k], Fill::Uniform(0.0, 1.0));
    vec![Case::new("16384x10, 150 classes", vec![q.clone(), q, gt, offsets], |t, v| {
        Ok(vec![ops::assign(t, v[0], v[1], v[2], v[3], (SmallClass::Sinkhorn, Balance::Balanced))?.1])
    })]
}

pub(super) fn batch_norm() -> Vec<Case> {
    let train = Case::new("4x90x120x64, ReLU6", vec![map(64), vector(64), vector(64)], |t, v| {
        Ok(vec![ops::batch_norm(t, v[0], v[1], v[2], 1e-5, Act::Relu6)?.y])
    });
    let inputs = [vec![fixed(map(64))], (0..4).map(|_| fixed(vector(64))).collect()].concat();
    let eval = Case::new("4x90x120x64, ReLU6, inference", inputs, |t, v| {
        Ok(vec![ops::batch_norm_eval(t, v[0], v[1], v[2], [v[3], v[4]], 1e-5, Act::Relu6)?])
    });
    vec![train, eval]
}

pub(super) fn bn_fold() -> Vec<Case> {
    let w = fixed(Input::f32(&[3, 3, 256, 256], Fill::Uniform(-1.0, 1.0)));
    let inputs = [vec![w], (0..4).map(|_| fixed(vector(256))).collect()].concat();
    vec![Case::new("3x3x256x256", inputs, |t, v| {
        let (w, bias) = ops::bn_fold(t, v[0], [v[1], v[2]], [v[3], v[4]], 1e-5)?;
        Ok(vec![w, bias])
    })]
}

/// A window of 1280 x 800 pixels.
pub(super) fn canvas() -> Vec<Case> {
    let case = |name: &str, photo: [usize; 2], scale: f32, contour: f32, smooth: f32| {
        let mut view = [0.0; 24];
        [view[2], view[3], view[4], view[13]] = [scale, 0.5, contour, smooth];
        Case::new(name, super::canvas::inputs([photo, LABELS, LABELS], &view), |t, v| {
            Ok(vec![super::canvas::record_one(t, v, [800, 1280])?])
        })
    };
    let mut two = case("480x360 at 0.4, smooth, two pictures", LABELS, 0.375, 0.0, 1.0);
    two.record = Box::new(|t, v| Ok(vec![super::canvas::record(t, v, [800, 1280])?]));
    vec![
        two,
        case("480x360 at 0.4, smooth", LABELS, 0.375, 0.0, 1.0),
        case("480x360 at 0.4, smooth, contours", LABELS, 0.375, 2.0, 1.0),
        case("480x360 at 4", LABELS, 4.0, 0.0, 0.0),
        case("2560x1600 at 2", [1600, 2560], 2.0, 0.0, 0.0),
        case("5120x3200 at 4", [3200, 5120], 4.0, 0.0, 0.0),
    ]
}

pub(super) fn class_logit() -> Vec<Case> {
    let inputs = |n, c| vec![Input::f32(&[n, c], Fill::Uniform(-1.0, 1.0)), vector(c), vector(c)];
    vec![Case::new("43200x11", inputs(PIXELS, 11), |t, v| ops::class_logit::over_tiles(t, v, 12))]
}

pub(super) fn clip_norm() -> Vec<Case> {
    let gradient = Input::fixed(&[2_236_682], Fill::Uniform(-1.0, 1.0));
    vec![Case::new("2.2 M weights", vec![gradient], |t, v| {
        let (norm, factor) = ops::clip_norm(t, v, 1.0)?;
        Ok(vec![norm, factor])
    })]
}

pub(super) fn concat() -> Vec<Case> {
    let maps = (0..4).map(|_| map(64)).collect();
    vec![Case::new("four of 4x90x120x64", maps, |t, v| Ok(vec![ops::concat(t, v)?]))]
}

pub(super) fn conv2d() -> Vec<Case> {
    let case = |name: &str, ci: usize, kernel: usize, co: usize, conv: Conv| {
        let w = Input::f32(&[kernel, kernel, ci / conv.groups, co], Fill::Uniform(-0.1, 0.1));
        Case::new(name, vec![map(ci), w], move |t, v| Ok(vec![ops::conv2d(t, v[0], v[1], None, conv)?]))
    };
    let same = Conv { padding: 1, ..Conv::default() };
    vec![
        case("1x1, 4x90x120, 64 to 64", 64, 1, 64, Conv::default()),
        case("1x1, 4x90x120, 144 to 24", 144, 1, 24, Conv::default()),
        case("3x3, 4x90x120, 64 to 64", 64, 3, 64, same),
        case("depthwise 3x3, 4x90x120x64", 64, 3, 64, Conv { groups: 64, ..same }),
    ]
}

pub(super) fn count_labels() -> Vec<Case> {
    let case = |name: &str, protos: [usize; 2]| {
        let label = super::count_labels::labels(&[1, LABELS[0], LABELS[1]], protos);
        Case::new(name, vec![label], move |t, v| Ok(vec![ops::count_labels(t, v[0], protos[0], protos[1])?]))
    };
    vec![case("360x480, 11 x 10", [11, 10]), case("360x480, 1000 x 10", [1000, 10])]
}

pub(super) fn count_pairs() -> Vec<Case> {
    let case = |name: &str, c: usize| {
        let shape = [1, LABELS[0], LABELS[1]];
        let inputs = vec![super::count_pairs::truths(&shape, c), super::count_labels::labels(&shape, [c, 1])];
        Case::new(name, inputs, move |t, v| Ok(vec![ops::count_pairs(t, v[0], v[1], c)?]))
    };
    vec![case("360x480, 11 classes", 11), case("360x480, 150 classes", 150)]
}

pub(super) fn cross_entropy() -> Vec<Case> {
    let case = |name: &str, [b, h, w]: [usize; 3], c: usize, [hl, wl]: [usize; 2]| {
        let o = Input::f32(&[b * h * w, c], Fill::Uniform(-3.0, 3.0));
        Case::new(name, vec![o, whole(&[b, hl, wl], c), fixed(vector(c))], move |t, v| {
            Ok(vec![ops::cross_entropy(t, [v[0], v[1], v[2]], [h, w], EmptyLoss::Zero)?])
        })
    };
    vec![
        case("4x90x120x11 at 360x480", MAP, 11, LABELS),
        case("128x128x32 at 512x512", [1, 128, 128], 32, [512; 2]),
    ]
}

pub(super) fn dropout() -> Vec<Case> {
    let step = Input::u32(&[1], Fill::Values(vec![3.0]));
    vec![Case::new("4x90x120x64, channels", vec![map(64), step], |t, v| {
        Ok(vec![ops::dropout(t, v[0], v[1], 0.1, DropMode::Channel, 9)?])
    })]
}

pub(super) fn ema() -> Vec<Case> {
    let weight = || Input::fixed(&[2_236_682], Fill::Uniform(-1.0, 1.0));
    let step = Input::u32(&[1], Fill::Values(vec![9.0]));
    vec![Case::new("2.2 M weights", vec![weight(), weight(), step], |t, v| {
        ops::ema(t, v[0], v[1], v[2], 0.999)?;
        Ok(vec![v[1]])
    })]
}

pub(super) fn embedding_color() -> Vec<Case> {
    let range = Input::fixed(&[3, 2], Fill::Values(vec![-1.0, 1.0, -1.0, 1.0, -1.0, 1.0]));
    let inputs = vec![fixed(unit(&[1, MAP[1], MAP[2], 64])), fixed(unit(&[3, 64])), range];
    vec![Case::new("360x480 of 90x120x64", inputs, |t, v| {
        Ok(vec![ops::embedding_color(t, v[0], v[1], v[2], LABELS)?])
    })]
}

pub(super) fn fill() -> Vec<Case> {
    vec![Case::new("43200x64", vec![], |t, _| Ok(vec![ops::fill(t, &[PIXELS, 64], 1.0)?]))]
}

pub(super) fn global_mean() -> Vec<Case> {
    vec![Case::new("4x90x120x64", vec![map(64)], |t, v| Ok(vec![ops::global_mean(t, v[0])?]))]
}

pub(super) fn group_by_class() -> Vec<Case> {
    let case = |name: &str, n: usize, c: usize| {
        Case::new(name, vec![whole(&[n], c)], move |t, v| Ok(vec![ops::group_by_class(t, v[0], c)?.0]))
    };
    vec![case("43200, 11 classes", PIXELS, 11), case("16384, 1500 groups", HEAD[0], 1500)]
}

pub(super) fn gumbel() -> Vec<Case> {
    let step = Input::u32(&[1], Fill::Values(vec![3.0]));
    vec![Case::new("16384x10", vec![step], |t, v| Ok(vec![ops::gumbel(t, v[0], [HEAD[0], HEAD[2]], 9)?]))]
}

pub(super) fn hard_pixels() -> Vec<Case> {
    let (m, rule) = (4 * 360 * 480, ops::HardPixels { threshold: 0.7, min_kept: 100_000 });
    let inputs = vec![
        Input::fixed(&[m], Fill::Uniform(2.0, 6.0)),
        Input::fixed(&[m], Fill::Uniform(0.0, 2.0)),
        Input::i32(&[4, 360, 480], Fill::Integers { count: 11, ignored: 0.1 }),
    ];
    vec![Case::new("4x360x480", inputs, move |t, v| {
        Ok(vec![ops::hard_pixels(t, [v[0], v[1], v[2]], 11, rule)?])
    })]
}

pub(super) fn l2_normalize() -> Vec<Case> {
    let case = |name: &str, axis: Axis| {
        Case::new(name, vec![map(64)], move |t, v| Ok(vec![ops::l2_normalize(t, v[0], axis)?]))
    };
    vec![case("4x90x120x64", Axis::Channel), case("4x90x120x64, width", Axis::Width)]
}

pub(super) fn layer_norm() -> Vec<Case> {
    vec![Case::new("4x90x120x64", vec![map(64), vector(64), vector(64)], |t, v| {
        Ok(vec![ops::layer_norm(t, v[0], v[1], v[2], 1e-5)?])
    })]
}

pub(super) fn match_contrast() -> Vec<Case> {
    let [n, c, k, d] = HEAD;
    let inputs = vec![unit(&[n, d]), fixed(unit(&[c, k, d])), whole(&[n], c * k)];
    vec![Case::new("16384x256, 150x10", inputs, |t, v| {
        let found = ops::match_contrast(t, v[0], v[1], v[2], 0.1)?;
        Ok(vec![found.a, ops::valid_mean(t, found.contrast, v[2], EmptyLoss::Zero)?.0])
    })]
}

/// Behind the first convolution of a residual network.
pub(super) fn max_pool2d() -> Vec<Case> {
    let x = Input::f32(&[MAP[0], 2 * MAP[1], 2 * MAP[2], 64], Fill::Uniform(-1.0, 1.0));
    let pool = ops::Pool { kernel: 3, stride: 2, padding: 1 };
    vec![Case::new("3x3, stride 2, 4x180x240x64", vec![x], move |t, v| {
        Ok(vec![ops::max_pool2d(t, v[0], pool)?])
    })]
}

pub(super) fn nearest_patches() -> Vec<Case> {
    let inputs = vec![fixed(unit(&[1, MAP[1], MAP[2], 64])), fixed(unit(&[11, 10, 64]))];
    vec![Case::new("8 of 90x120x64, 11 x 10", inputs, |t, v| {
        let op = super::NearestPatches { num_patches: 8, radius: 4 };
        Ok(vec![ops::nearest_patches(t, v[0], v[1], op)?.0])
    })]
}

pub(super) fn nearest_prototype() -> Vec<Case> {
    let [_, h, w] = MAP;
    let inputs =
        vec![whole(&[1, LABELS[0], LABELS[1]], 11), fixed(unit(&[1, h, w, 64])), fixed(unit(&[11, 10, 64]))];
    vec![Case::new("360x480 of 90x120x64", inputs, |t, v| {
        Ok(vec![ops::nearest_prototype(t, v[0], v[1], v[2])?.1])
    })]
}

pub(super) fn own_similarity() -> Vec<Case> {
    let [n, c, k, d] = HEAD;
    let [gt, order, _] = grouped(n, c);
    let inputs = vec![fixed(unit(&[n, d])), fixed(unit(&[c, k, d])), gt, order];
    vec![Case::new("16384x256, 150 x 10", inputs, |t, v| {
        Ok(vec![ops::own_similarity(t, v[0], v[1], v[2], v[3])?])
    })]
}

/// Embeddings, prototypes and targets, for a small and a large number of classes.
fn against_prototypes(record: fn(&mut Tape, &[ValueId]) -> Result<Vec<ValueId>>) -> Vec<Case> {
    let case = |name: &str, [n, c, k, d]: [usize; 4]| {
        let inputs = vec![unit(&[n, d]), fixed(unit(&[c, k, d])), whole(&[n], c * k)];
        Case::new(name, inputs, record)
    };
    vec![case("43200x64, 11 x 10", [PIXELS, 11, 10, 64]), case("16384x256, 150 x 10", HEAD)]
}

/// A map of embeddings, 11 x 10 prototypes, and two words.
fn map_and_words(words: [u32; 2]) -> Vec<Input> {
    let words = Input::u32(&[2], Fill::Words(words.to_vec()));
    vec![fixed(unit(&[1, MAP[1], MAP[2], 64])), fixed(unit(&[11, 10, 64])), words]
}

pub(super) fn pick() -> Vec<Case> {
    vec![Case::new("11 x 10 x 64", map_and_words([100, 100]), |t, v| {
        Ok(vec![ops::pick(t, v[0], v[1], v[2], LABELS)?])
    })]
}

pub(super) fn pixel_label() -> Vec<Case> {
    let shape = [1, LABELS[0], LABELS[1]];
    let score = |low, high| Input::fixed(&shape, Fill::Uniform(low, high));
    let inputs = vec![
        whole(&shape, 11),
        score(0.0, 4.0),
        score(-4.0, 0.0),
        Input::u32(&shape, Fill::Integers { count: 10, ignored: 0.0 }),
        Input::fixed(&[1, LABELS[0], LABELS[1], 10], Fill::Uniform(-1.0, 1.0)),
    ];
    vec![Case::new("360x480, 10 prototypes", inputs, |t, v| {
        Ok(vec![ops::pixel_label(t, v[0], [v[1], v[2]], Some([v[3], v[4]]))?.0])
    })]
}

pub(super) fn ppc() -> Vec<Case> {
    against_prototypes(|t, v| Ok(vec![ops::ppc(t, v[0], v[1], v[2], 0.1, EmptyLoss::Zero)?]))
}

pub(super) fn ppd() -> Vec<Case> {
    against_prototypes(|t, v| Ok(vec![ops::ppd(t, v[0], v[1], v[2], EmptyLoss::Zero)?]))
}

pub(super) fn proto_match() -> Vec<Case> {
    let case = |name: &str, [n, c, k, d]: [usize; 4]| {
        Case::new(name, vec![unit(&[n, d]), fixed(unit(&[c, k, d]))], move |t, v| {
            Ok(vec![ops::proto_match(t, v[0], v[1], 0..c)?.0])
        })
    };
    // A tile of 32 classes: with more, they are streamed.
    vec![case("43200x64, 11 x 10", [PIXELS, 11, 10, 64]), case("16384x256, 32 x 10", [16_384, 32, 10, 256])]
}

pub(super) fn prototype_heat() -> Vec<Case> {
    let case = |name: &str, k: u32| {
        Case::new(name, map_and_words([3, k]), |t, v| {
            Ok(vec![ops::prototype_heat(t, v[0], v[1], v[2], LABELS)?])
        })
    };
    vec![case("360x480 of 90x120x64", 2), case("360x480 of 90x120x64, any of 10", ops::ANY_PROTOTYPE)]
}

pub(super) fn prototype_sums() -> Vec<Case> {
    let [n, c, k, d] = HEAD;
    let inputs = vec![fixed(unit(&[n, d])), whole(&[n], c), whole(&[n], k)];
    vec![Case::new("16384x256 onto 150 x 10", inputs, move |t, v| {
        Ok(vec![ops::prototype_sums(t, v[0], v[1], v[2], None, [c, k])?.0])
    })]
}

pub(super) fn prototype_update() -> Vec<Case> {
    let [_, c, k, d] = HEAD;
    let counts = Input::u32(&[c, k], Fill::Integers { count: 9, ignored: 0.0 });
    let inputs = vec![fixed(unit(&[c, k, d])), fixed(unit(&[c, k, d])), counts];
    vec![Case::new("150x10x256", inputs, |t, v| {
        ops::prototype_update(t, v[0], (v[1], v[2]), 0.999)?;
        Ok(vec![v[0]])
    })]
}

pub(super) fn query_logit() -> Vec<Case> {
    let inputs =
        vec![Input::f32(&[PIXELS, 64], Fill::Uniform(-1.0, 1.0)), Input::f32(&[4, 11, 64], Fill::UnitRows)];
    vec![Case::new("43200x64, 11 classes of 4 images", inputs, |t, v| {
        Ok(vec![ops::query_logit(t, v[0], v[1], 0..11)?])
    })]
}

pub(super) fn relu() -> Vec<Case> {
    vec![Case::new("4x90x120x64, ceiling 6", vec![map(64)], |t, v| Ok(vec![ops::relu6(t, v[0])?]))]
}

pub(super) fn resize() -> Vec<Case> {
    let case = |name: &str, [h, w]: [usize; 2]| {
        let x = Input::f32(&[4, h, w, 64], Fill::Uniform(-1.0, 1.0));
        Case::new(name, vec![x], |t, v| Ok(vec![ops::resize(t, v[0], [MAP[1], MAP[2]], Corners::Align)?]))
    };
    vec![case("4x45x60x64 to 90x120", [45, 60]), case("4x12x15x64 to 90x120", [12, 15])]
}

pub(super) fn resize_nearest() -> Vec<Case> {
    let x = Input::f32(&[MAP[0], 12, 15, 64], Fill::Uniform(-1.0, 1.0));
    vec![Case::new("4x12x15x64 to 90x120", vec![x], |t, v| {
        Ok(vec![ops::resize_nearest(t, v[0], [MAP[1], MAP[2]])?])
    })]
}

pub(super) fn running_stats() -> Vec<Case> {
    let vectors = (0..4).map(|_| fixed(vector(1280))).collect();
    vec![Case::new("1280", vectors, |t, v| {
        ops::running_stats(t, [v[0], v[1]], [v[2], v[3]], PIXELS, 0.1)?;
        Ok(vec![v[2], v[3]])
    })]
}

pub(super) fn sample_labels() -> Vec<Case> {
    vec![Case::new("4x360x480 to 90x120", vec![whole(&[4, LABELS[0], LABELS[1]], 11)], |t, v| {
        Ok(vec![ops::sample_labels(t, v[0], [MAP[1], MAP[2]], 11)?])
    })]
}

pub(super) fn scale() -> Vec<Case> {
    vec![Case::new("4x90x120x64", vec![map(64)], |t, v| Ok(vec![ops::scale(t, v[0], 0.5)?]))]
}

pub(super) fn sgd() -> Vec<Case> {
    let weight = || Input::fixed(&[2_236_682], Fill::Uniform(-1.0, 1.0));
    let lr = Input::fixed(&[1], Fill::Values(vec![1e-3]));
    let rule = Sgd { momentum: 0.9, weight_decay: 5e-4, lr_scale: 1.0 };
    vec![Case::new("2.2 M weights", vec![weight(), weight(), weight(), lr], move |t, v| {
        ops::sgd(t, v[0], v[1], v[2], v[3], None, rule)?;
        Ok(vec![v[0], v[2]])
    })]
}

/// Three rounds on `n` pixels of `c` classes and ten prototypes each.
fn sinkhorn_of(name: &str, n: usize, c: usize, balance: Balance) -> Case {
    let rule = Sinkhorn { iterations: 3, kappa: 0.05, balance };
    let own = Input::fixed(&[n, 10], Fill::Uniform(-1.0, 1.0));
    let inputs = [vec![own], grouped(n, c).to_vec()].concat();
    Case::new(name, inputs, move |t, v| Ok(vec![ops::sinkhorn(t, v[0], v[1], (v[2], v[3]), rule)?.0]))
}

pub(super) fn shade() -> Vec<Case> {
    let case = |name: &str, mode: f32| {
        let options = [mode, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
        Case::new(name, super::shade::inputs([1, LABELS[0], LABELS[1]], [11, 10], options), |t, v| {
            Ok(vec![super::shade::record(t, v, [11, 10])?])
        })
    };
    vec![case("360x480, prototypes", 1.0), case("360x480, heat", 2.0)]
}

pub(super) fn sinkhorn() -> Vec<Case> {
    vec![
        sinkhorn_of("10000x10, one class", 10_000, 1, Balance::Balanced),
        sinkhorn_of("16384x10, 150 classes", HEAD[0], HEAD[1], Balance::Balanced),
        sinkhorn_of("16384x10, 150 classes, rho 0.1", HEAD[0], HEAD[1], Balance::Relaxed(0.1)),
    ]
}

pub(super) fn upsample_argmax() -> Vec<Case> {
    let [_, h, w] = MAP;
    let o = Input::fixed(&[h * w, 11], Fill::Uniform(-3.0, 3.0));
    let op = UpsampleArgmax { size: [h, w], out_size: LABELS, first: 0 };
    vec![Case::new("90x120x11 to 360x480", vec![o], move |t, v| {
        Ok(vec![ops::upsample_argmax(t, v[0], None, op)?[0]])
    })]
}

pub(super) fn valid_mean() -> Vec<Case> {
    let values = Input::f32(&[PIXELS], Fill::Uniform(0.5, 3.0));
    vec![Case::new("43200", vec![values, whole(&[PIXELS], 9)], |t, v| {
        Ok(vec![ops::valid_mean(t, v[0], v[1], EmptyLoss::Zero)?.0])
    })]
}
