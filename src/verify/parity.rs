//! Parity files: a backbone's feature maps of a picture.

use std::path::Path;
use std::sync::Arc;

use crate::data::{Normalisation, RgbImage};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::model::usual_normalisation;
use crate::model_file::{self, ModelFile};
use crate::nn::{Arch, Builder, Extent, Mode, Tap, Upsampling};
use crate::tape::{DType, Keep, Plan, Program, Store, Tape, ValueId, tuned_caps};

use super::compare::{Tolerance, compare, rows_of_map};
use super::report::TensorReport;

/// Tolerance of maps and logits, of the map's largest magnitude.
const MAPS: Tolerance = Tolerance::Relative(1e-4);
/// Tolerance of the network input: a few roundings in f32.
const INPUT: Tolerance = Tolerance::Relative(1e-6);
/// Stride of the last map of the supported backbones.
const OUTPUT_STRIDE: usize = 32;

/// Metadata key of how the HRNet enlarges its branches that the maps are of.
const UPSAMPLING: &str = "hrnet_upsampling";

/// Compares the maps of `file` with those of the backbone `arch` with the weights in `weights`.
pub(super) async fn verify(
    gpu: &Arc<Gpu>,
    file: &ModelFile,
    weights: &Path,
    arch: Arch,
) -> Result<Vec<TensorReport>> {
    let picture = Picture::read(file, usual_normalisation(arch))?;
    let mut tape = Tape::new();
    let image = tape.input("image", &[1, picture.height, picture.width, 3], DType::F32);
    let mut b = Builder::new(&mut tape, Mode::Eval);
    if let Some(name) = file.metadata().get(UPSAMPLING) {
        b.upsampling = Upsampling::parse(name)?;
    }
    let taps = arch.record(&mut b, image, extent(file))?;
    let logits = if file.contains("logits") { arch.record_classifier(&mut b, &taps)? } else { None };
    let found = Found { taps, logits, positions: b.positions };
    let catalogue = b.weights;
    let wanted = wanted(file, &tape, &found, arch)?;
    let kept: Vec<_> = wanted.iter().map(|w| w.1).collect();
    let caps = tuned_caps(gpu, &tape, Keep::Only(&kept)).await?;
    let program = Program::new(&tape, &caps, Keep::Only(&kept));
    let mut store = Store::new();
    catalogue.load(gpu, &mut store, &model_file::read(weights)?, |_| true)?;
    let plan = Plan::new(gpu, &tape, &program, &mut store)?;
    plan.write_padded(image, &picture.pixels);
    plan.run();
    let mut reports = Vec::new();
    for (name, id) in wanted {
        let shape = file.shape(name)?;
        let reference = file.f64(name)?;
        let reference = match shape {
            [_, channels, height, width] => rows_of_map(&reference, *channels, height * width),
            _ => reference,
        };
        reports.push(compare(name, &plan.read_f64(id).await?, &reference, MAPS));
    }
    reports.extend(picture.check);
    for name in file.names().filter(|name| !["image_u8", "input"].contains(name)) {
        if !reports.iter().any(|r| r.name == name) {
            reports.push(TensorReport::incomparable(name, "unknown name, so nothing was compared with it"));
        }
    }
    reports.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(reports)
}

/// The stride in the name of a map.
fn stride(name: &str) -> Option<usize> {
    name.strip_prefix("stride")?.parse().ok()
}

/// As much of a backbone as `file` has maps of, all of it where there are class scores.
fn extent(file: &ModelFile) -> Extent {
    let deepest = file.names().filter_map(stride).max().filter(|_| !file.contains("logits"));
    Extent { output_stride: OUTPUT_STRIDE, deepest: deepest.unwrap_or(OUTPUT_STRIDE) }
}

/// Values of the tape that a file may have tensors for.
struct Found {
    taps: Vec<Tap>,
    logits: Option<ValueId>,
    positions: Option<ValueId>,
}

impl Found {
    /// The value that `name` stands for: a map by its stride or the number of blocks before it, logits, position embeddings.
    /// `None` for a name that stands for something else.
    fn get(&self, name: &str, arch: Arch) -> Option<Option<ValueId>> {
        let block = || name.strip_prefix("block")?.parse().ok();
        if name == "logits" {
            Some(self.logits)
        } else if name == "pos_embed" {
            Some(self.positions)
        } else if let Some(block) = block() {
            Some(arch.level(block).and_then(|level| self.taps.get(level)).map(|tap| tap.map))
        } else {
            // A plain transformer has several maps of one stride: the last is the one that was normed.
            stride(name).map(|stride| self.taps.iter().rfind(|tap| tap.stride == stride).map(|tap| tap.map))
        }
    }
}

/// The tensors to compare, with the values of the tape that hold ours.
fn wanted<'a>(
    file: &'a ModelFile,
    tape: &Tape,
    found: &Found,
    arch: Arch,
) -> Result<Vec<(&'a str, ValueId)>> {
    let mut wanted = Vec::new();
    for name in file.names() {
        let Some(found) = found.get(name, arch) else { continue };
        let shape = file.shape(name)?;
        let channels = if shape.len() == 4 { shape[1] } else { shape.last().copied().unwrap_or(0) };
        let Some(id) = found.filter(|&id| tape.value(id).channels() == channels) else {
            let problem =
                format!("holds `{name}` {shape:?}, which the backbone {} does not have", arch.name());
            let remedy = "verify it with the --arch it belongs to";
            return Err(Error::model(file.path(), problem, remedy));
        };
        wanted.push((name, id));
    }
    Ok(wanted)
}

/// The network input, and how it compares with the one in the file.
struct Picture {
    height: usize,
    width: usize,
    /// `[height, width, 4]`, the fourth channel zero.
    pixels: Vec<f32>,
    check: Option<TensorReport>,
}

impl Picture {
    /// Normalises `image_u8`; takes `input` as it is where there is no picture.
    fn read(file: &ModelFile, normalisation: Normalisation) -> Result<Self> {
        let wrong = |name: &str, shape: &[usize], wanted: &str| {
            let problem = format!("`{name}` has the shape {shape:?} where {wanted} is needed");
            Error::model(file.path(), problem, "use the parity file as it was written")
        };
        let given = if file.contains("input") {
            let [1, 3, height, width] = *file.shape("input")? else {
                return Err(wrong("input", file.shape("input")?, "[1, 3, H, W]"));
            };
            Some((height, width, rows_of_map(&file.f32("input")?, 3, height * width)))
        } else {
            None
        };
        if !file.contains("image_u8") {
            let (height, width, rows) = given.ok_or_else(|| {
                Error::model(file.path(), "has no `image_u8` and no `input`", "use a golden or parity file")
            })?;
            let pixels = rows.as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [r, g, b, 0.0]).collect();
            return Ok(Self { height, width, pixels, check: None });
        }
        let [height, width, 3] = *file.shape("image_u8")? else {
            return Err(wrong("image_u8", file.shape("image_u8")?, "[H, W, 3]"));
        };
        let rgb = file.i64("image_u8")?.into_iter().map(|byte| byte as u8).collect();
        let pixels = normalisation.image(&RgbImage { width, height, rgb });
        let check = given.map(|(_, _, rows)| {
            let ours: Vec<f64> =
                pixels.as_chunks::<4>().0.iter().flat_map(|p| p[..3].iter().map(|&x| f64::from(x))).collect();
            compare("input", &ours, &rows.into_iter().map(f64::from).collect::<Vec<_>>(), INPUT)
        });
        Ok(Self { height, width, pixels, check })
    }
}
