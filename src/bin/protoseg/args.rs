//! Commands and their options.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use protoseg::data::{DataOptions, Layout, MaskKind};
use protoseg::gpu::Variant;
use protoseg::infer::SCALES;
use protoseg::ops::sinkhorn::MAX_PROTOS;

/// Prototype-based semantic segmentation on any GPU.
#[derive(Parser)]
#[command(version, about, propagate_version = true)]
pub struct Cli {
    /// Adapter to use: its number or part of its name (see `protoseg devices`); the fastest by default
    #[arg(long, global = true, env = "PROTOSEG_ADAPTER", value_name = "N|NAME")]
    pub adapter: Option<String>,
    /// Family of kernels, one that `protoseg devices` lists for the adapter; by default the fastest that computes in f32
    ///
    /// floor: plain WebGPU, as every browser has it. software: for software adapters with subgroups of 8. gpu: tiles in
    /// workgroup memory, plain WebGPU. subgroup: gpu with reductions over subgroups. f16 and matrix round the operands of
    /// convolutions and of the matching to 16 bits (sums stay f32; an operation's results differ by up to 1e-3 of their maximum,
    /// a network's by more), so they are used only when named here
    #[arg(long, global = true, env = "PROTOSEG_VARIANT", value_name = "FAMILY", value_parser = variant)]
    pub variant: Option<Variant>,
    /// Measure on this GPU which tiles suit the products of matrices at hand, and keep that in the user's cache folder;
    /// the results' bits stay the same
    #[arg(long, global = true)]
    pub autotune: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Train a model on images and masks
    #[command(after_long_help = keys())]
    Train(TrainArgs),
    /// Make a model from a pretrained backbone without training: one look at the images, then clustering
    #[command(after_long_help = FIT)]
    Fit(FitArgs),
    /// Score a model on a split
    #[command(after_long_help = SCORES)]
    Eval(EvalArgs),
    /// Segment images
    Predict(PredictArgs),
    /// Open the viewer: every pixel in the colour of its prototype, and why
    ///
    /// Needs a build with the feature `viewer` (`make view`, or cargo run --release --features viewer -- view)
    View(ViewArgs),
    /// Draw the sub-prototype figure: classes in the colours of their prototypes
    Figure(FigureArgs),
    /// Write a model for others: smaller, with weights in 16 bits; as an ONNX graph; or its backbone alone
    Export(ExportArgs),
    /// Bring weights of other libraries into the form that is used here: .safetensors, .pth, .pt or .bin
    #[command(after_long_help = IMPORT)]
    Import(ImportArgs),
    /// Compare golden and parity files with what this adapter computes
    Verify(VerifyArgs),
    /// List adapters, their tiers and limits
    Devices(JsonArgs),
    /// Say what a training step or a model needs: bytes, operations, dispatches
    Plan(PlanArgs),
    /// Time operations and named workloads on this adapter, beside its measured peaks
    Bench(BenchArgs),
    /// Check a data set's labels
    Audit(AuditArgs),
    /// Draw a data set of labelled street scenes
    Synth(SynthArgs),
    /// List the operations
    Ops,
}

#[derive(Args)]
pub struct TrainArgs {
    /// Configuration (TOML); examples are in examples/
    pub config: PathBuf,
    /// Run folder; by default runs/NAME, after the configuration's name
    ///
    /// It gets config.toml (resolved), log.jsonl (one event a line), last.safetensors, best.safetensors, checkpoints/ and, unless
    /// train.tensorboard is false, tensorboard/ with losses, learning rate, images/s, mIoU, mAcc, aAcc and the health of the
    /// prototypes; a resumed run goes on in all of them
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    /// Go on from the run folder's last checkpoint
    #[arg(long)]
    pub resume: bool,
    /// Override a key of the configuration; may be given several times
    #[arg(long = "set", value_name = "section.key=value")]
    pub set: Vec<String>,
    /// Write RUN/report.html and RUN/figure.png at the end, with a figure of these classes
    #[arg(long, value_name = "CLASS,CLASS", value_delimiter = ',')]
    pub report: Vec<String>,
}

#[derive(Args)]
#[cfg_attr(not(feature = "viewer"), allow(dead_code, reason = "a build without the viewer only refuses"))]
pub struct ViewArgs {
    /// Model files, images, folders of images, data sets, training configurations or run folders, in any order; a model
    /// without an image is shown freshly drawn street scenes
    pub paths: Vec<PathBuf>,
    /// Select this class
    #[arg(long, value_name = "CLASS")]
    pub select: Option<String>,
    /// Pin this pixel of the first image: column and row
    #[arg(long, value_name = "X,Y", value_parser = pixel)]
    pub at: Option<[f32; 2]>,
    /// What is coloured: image, classes, prototypes, similarity, confidence, unknown, embedding, truth or errors
    #[arg(long, value_name = "MODE")]
    pub mode: Option<String>,
    /// Panel on the right: pixel, gallery, health or train
    #[arg(long, value_name = "PANEL")]
    pub panel: Option<String>,
    /// light or dark; by default as the system says
    #[arg(long)]
    pub theme: Option<String>,
    /// Size of the window in points
    #[arg(long, value_name = "WxH", value_parser = window_size)]
    pub size: Option<[f32; 2]>,
    /// Draw the window once, save it as a PNG and end; settings are neither read nor kept
    #[arg(long, value_name = "PNG")]
    pub screenshot: Option<PathBuf>,
}

#[derive(Args)]
pub struct FitArgs {
    /// Backbone weights (safetensors, torchvision names), or a model file, whose backbone is taken
    #[arg(long, value_name = "WEIGHTS")]
    pub backbone: PathBuf,
    /// Their architecture, as model.arch names it; `protoseg train --help` lists them
    #[arg(long)]
    pub arch: String,
    /// How an HRNet enlarges its coarse branches: align, half, or nearest, which the published ImageNet weights are trained with; a
    /// model file says it itself
    #[arg(long, value_name = "KIND", default_value = "align")]
    pub hrnet_upsampling: String,
    /// Data set folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Split whose labels are used
    #[arg(long, default_value = "train")]
    pub split: String,
    #[command(flatten)]
    pub masks_of: LayoutArgs,
    /// Model file to write
    #[arg(long, value_name = "MODEL")]
    pub out: PathBuf,
    /// Prototypes per class
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=MAX_PROTOS as i64))]
    pub prototypes: u16,
    /// Dimensions of the embedding; by default as many as classes, but at least 32 and at most 256
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub embedding: Option<u16>,
    /// Size that images are cut or padded to; that of the first image by default, but at most 640 each way
    #[arg(long, value_name = "HxW", value_parser = size)]
    pub size: Option<[usize; 2]>,
    /// Look at N images, chosen at random, instead of all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub images: Option<u32>,
    /// Seed
    #[arg(long, default_value_t = 0)]
    pub seed: u32,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// How `fit` does it.
const FIT: &str = "\
The backbone stays as it is. Its maps, upsampled and concatenated, are looked at once; a random sample of each class's pixels is
kept. They are whitened by the covariance within classes and clustered; the embedding is the projection onto the directions that
the clusters' centres span the most, and the prototypes are the centres of a k-means of each class's embeddings. The model file
is one like any other: eval, predict and figure take it.";

#[derive(Args)]
pub struct EvalArgs {
    /// Model file
    pub model: PathBuf,
    /// Data set folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Split; train and val stand for what the layout calls them, such as validation or val2017
    #[arg(long, default_value = "val")]
    pub split: String,
    #[command(flatten)]
    pub masks_of: LayoutArgs,
    /// Sliding windows of the training crop's size instead of the whole image
    #[arg(long)]
    pub sliding: bool,
    /// Sizes of the image, relative to its own, whose probabilities are averaged
    #[arg(long, value_delimiter = ',', default_value = "1.0", value_parser = scale)]
    pub scales: Vec<f32>,
    /// Average with the mirror image
    #[arg(long)]
    pub flip: bool,
    /// Print the N worst confusions too (10 if N is not given): which class is taken for which, and the share of its pixels
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "10",
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with = "json"
    )]
    pub confusion: Option<u32>,
    /// Print how the prototypes of each class share what is predicted as it, and how far apart they are
    #[arg(long, conflicts_with = "json")]
    pub prototypes: bool,
    /// Write what is predicted to DIR/NAME.png, as masks in the size and with the values of the data set's own masks
    #[arg(long, value_name = "DIR")]
    pub masks: Option<PathBuf>,
    /// Print one JSON document, the whole confusion matrix and the health of the prototypes in it
    #[arg(long)]
    pub json: bool,
}

/// What the scores of `eval` mean.
const SCORES: &str = "\
IoU and accuracy are counted over all pixels of the split, ignored ones left out. mIoU, mAcc and the mean boundary F are means
over the classes that have the score: one without a labelled pixel in the split is shown as absent, and null in JSON.

Boundary F (Csurka et al., BMVC 2013; DAVIS): per image and class, precision and recall of boundary pixels, which are matched by
one of the other map no further away than 0.0075 of the image's diagonal (Euclidean, not rounded), combined as 2PR / (P + R); a
class's score is the mean over the images in whose labels or prediction it has a boundary. A boundary pixel has a pixel of another class
above, below, left or right. Neither the image's edge nor that of an ignored region is a boundary, and boundary pixels
within the tolerance of an ignored pixel are not counted.

Prototypes are counted over places of the feature maps of the whole image, by predicted class and nearest prototype of it. The
effective number of a class is exp of the entropy of its prototypes' shares: how many do the work.";

#[derive(Args)]
pub struct PredictArgs {
    /// Model file
    pub model: PathBuf,
    /// Images, or folders of images
    #[arg(required = true, value_name = "IMAGE|DIR")]
    pub images: Vec<PathBuf>,
    /// Folder to write NAME.png to
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// What to write; prototypes, similarity and unknown are for models with prototypes
    #[arg(long, value_enum, default_value = "classes")]
    pub map: Map,
    /// Sliding windows of the training crop's size instead of the whole image; for --map classes
    #[arg(long)]
    pub sliding: bool,
    /// Sizes of the image, relative to its own, whose probabilities are averaged; for --map classes
    #[arg(long, value_delimiter = ',', default_value = "1.0", value_parser = scale)]
    pub scales: Vec<f32>,
    /// Average with the mirror image; for --map classes
    #[arg(long)]
    pub flip: bool,
}

/// What `predict` writes.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Map {
    /// Class per pixel, as a palette PNG with the values of the masks that the model was trained on
    Classes,
    /// Every class in shades of its colour, one per prototype
    Prototypes,
    /// Cosine to the nearest prototype of the predicted class, black = -1, white = 1
    Similarity,
    /// Logit of the class over that of the runner-up, white = certain
    Confidence,
    /// Distance to the nearest prototype, white = far from all
    Unknown,
    /// No picture but NAME.safetensors, for other programs: classes, prototypes, logits and embedding, as `export --onnx` names them
    Tensors,
}

#[derive(Args)]
pub struct FigureArgs {
    /// Model file
    pub model: PathBuf,
    /// Data set folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Split; train and val stand for what the layout calls them, such as validation or val2017
    #[arg(long, default_value = "val")]
    pub split: String,
    #[command(flatten)]
    pub masks_of: LayoutArgs,
    /// Class names, separated by commas
    #[arg(long, value_delimiter = ',', required = true)]
    pub classes: Vec<String>,
    /// Images per class
    #[arg(long, default_value_t = 3)]
    pub rows: usize,
    /// PNG to write
    #[arg(long, value_name = "FIG.png")]
    pub out: PathBuf,
}

#[derive(Args)]
pub struct ExportArgs {
    /// Model file
    pub model: PathBuf,
    /// File to write: .safetensors, or .onnx with --onnx
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// f16: kernels and other matrices in 16 bits; what there is one of per channel, and the prototypes, stay in 32. f32: all as it is.
    /// By default f16 for a model and f32 for --backbone
    #[arg(long, value_enum, conflicts_with = "onnx")]
    pub dtype: Option<Dtype>,
    /// Write the backbone's weights alone, under the names of the library that has the network: torchvision, timm or Hugging Face
    #[arg(long, conflicts_with = "onnx")]
    pub backbone: bool,
    /// Write the network with its head as a graph of standard ONNX operators (opset 17), for ONNX Runtime and others
    ///
    /// The input `image` is float32 [1,3,H,W], RGB from 0 to 1: normalisation is in the graph. Names and colours of the classes are in the
    /// file's metadata.
    #[arg(long)]
    pub onnx: bool,
    /// Height and width of the images that the ONNX graph takes; by default those of the crops that the model was trained on
    #[arg(long, value_name = "HxW", value_parser = size, requires = "onnx")]
    pub size: Option<[usize; 2]>,
    /// What the ONNX graph computes; by default all that the model has
    #[arg(long, value_name = "OUTPUT,OUTPUT", value_enum, value_delimiter = ',', requires = "onnx")]
    pub outputs: Vec<Output>,
}

/// What an ONNX graph computes.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Class of every pixel, int64 [1,H,W]
    Classes,
    /// Nearest of that class's prototypes, counted from 0, int64 [1,H,W]
    Prototypes,
    /// Class logits at the resolution of the embeddings, float32 [1,h,w,C]
    Logits,
    /// Embeddings, float32 [1,h,w,D]
    Embedding,
}

/// How `export` stores weights.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dtype {
    /// 16 bits
    F16,
    /// 32 bits
    F32,
}

#[derive(Args)]
pub struct ImportArgs {
    /// Weights: safetensors, or what torch.save wrote
    pub source: PathBuf,
    /// Architecture that they are of, as model.arch names it, or protoseg_hrnet_w48
    ///
    /// protoseg_hrnet_w48 is a whole checkpoint of the code that the paper's authors released, and becomes a model file.
    #[arg(long)]
    pub arch: String,
    /// File to write
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
    /// Print every name
    #[arg(long, conflicts_with = "json")]
    pub verbose: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What `import` reads and writes.
const IMPORT: &str = "\
Names of torchvision, timm, transformers, mmsegmentation, mmpretrain and the authors' own repositories are recognised, whatever stands
before them (state_dict, module, backbone, ...). Everything is converted to f32. Nothing of a PyTorch file is run: it is read for
tensors, and one that asks for any function beyond making them is refused by the function's name.

Every tensor is accounted for: used, renamed, unused, missing or of wrong shape. What the backbone needs must be there, or nothing is
written; the classifier is kept where the file has it.";

#[derive(Args)]
pub struct VerifyArgs {
    /// Golden files of the head, or parity files of a backbone
    #[arg(required = true, value_name = "FILE.safetensors")]
    pub files: Vec<PathBuf>,
    /// Backbone weights, for parity files
    #[arg(long, requires = "arch")]
    pub weights: Option<PathBuf>,
    /// Architecture of the weights, as model.arch names it; `protoseg train --help` lists them
    #[arg(long, requires = "weights")]
    pub arch: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct JsonArgs {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct PlanArgs {
    /// Configurations (their training steps) or model files (their inference)
    ///
    /// Of several, each gets its totals without the list of operations. A configuration whose data set is not there is
    /// planned for the classes that its data.layout is known for.
    #[arg(value_name = "CONFIG|MODEL", required = true)]
    pub files: Vec<PathBuf>,
    /// Size of the image; the configuration's crop or 360x480 by default
    #[arg(long, value_name = "HxW", value_parser = size)]
    pub size: Option<[usize; 2]>,
    /// Images per step
    #[arg(long)]
    pub batch: Option<usize>,
    /// Override a key of the configuration
    #[arg(long = "set", value_name = "section.key=value")]
    pub set: Vec<String>,
    /// Plan for this many classes, without looking at the data set
    #[arg(long)]
    pub classes: Option<usize>,
    /// Run it on the adapter and time every node, the slowest first
    #[arg(long)]
    pub time: bool,
    /// Print one JSON document; of several files a list of them
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct BenchArgs {
    /// Operations and workloads to time (see --list); all by default
    #[arg(value_name = "STEM")]
    pub names: Vec<String>,
    /// Time spent on each, at least; three samples are taken in any case
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5, value_parser = seconds)]
    pub seconds: f64,
    /// Dimension D of the embeddings of `large_vocabulary`; 64 by default
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub dimension: Option<u16>,
    /// Side of the square embedding map of `large_vocabulary`; 32 by default
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(4..=512))]
    pub side: Option<u16>,
    /// Print the names of everything that can be timed
    #[arg(long)]
    pub list: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What is said of a data set beyond its folder.
#[derive(Args)]
pub struct LayoutArgs {
    /// Layout of the data set: folder, voc, cityscapes, ade20k or coco_stuff; by default the one that it has
    #[arg(long, value_parser = layout)]
    pub layout: Option<Layout>,
    /// Masks to read, where there are several kinds: labelIds or labelTrainIds (Cityscapes, COCO-Stuff), values or colors
    #[arg(long, value_name = "KIND", default_value = "auto", value_parser = mask_kind)]
    pub mask_kind: MaskKind,
}

impl LayoutArgs {
    /// As the library takes it.
    pub fn options(&self) -> DataOptions {
        DataOptions { layout: self.layout, masks: self.mask_kind, ..DataOptions::default() }
    }
}

#[derive(Args)]
pub struct AuditArgs {
    /// Data set folder, or a configuration, whose data set and label map are checked then
    #[arg(value_name = "DIR|CONFIG")]
    pub dir: PathBuf,
    #[command(flatten)]
    pub masks_of: LayoutArgs,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct SynthArgs {
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Number of images, a fifth of them for validation
    #[arg(long, value_name = "N")]
    pub images: usize,
    /// Seed
    #[arg(long, default_value_t = 0)]
    pub seed: u32,
    /// Size of the images
    #[arg(long, value_name = "WxH", default_value = "256x160", value_parser = size)]
    pub size: [usize; 2],
}

/// A family of kernels.
fn variant(text: &str) -> Result<Variant, String> {
    let names = Variant::ALL.map(Variant::name).join(", ");
    Variant::named(text).ok_or_else(|| format!("`{text}` is none of {names}"))
}

/// A layout of data sets.
fn layout(text: &str) -> Result<Layout, String> {
    let names = Layout::ALL.map(Layout::name).join(", ");
    Layout::named(text).ok_or_else(|| format!("`{text}` is none of {names}"))
}

/// A kind of masks.
fn mask_kind(text: &str) -> Result<MaskKind, String> {
    let names = MaskKind::ALL.map(MaskKind::name).join(", ");
    MaskKind::named(text).ok_or_else(|| format!("`{text}` is none of {names}"))
}

/// `AxB` as two numbers.
fn size(text: &str) -> Result<[usize; 2], String> {
    let parts =
        text.split_once(['x', 'X']).and_then(|(a, b)| Some([a.trim().parse().ok()?, b.trim().parse().ok()?]));
    parts
        .filter(|p: &[usize; 2]| !p.contains(&0))
        .ok_or_else(|| format!("`{text}` is not two numbers, as 256x160"))
}

/// Column and row of a pixel.
fn pixel(text: &str) -> Result<[f32; 2], String> {
    let parts =
        text.split_once(',').and_then(|(x, y)| Some([x.trim().parse().ok()?, y.trim().parse().ok()?]));
    let parts: Option<[u32; 2]> = parts;
    parts
        .map(|at| at.map(|v| v as f32 + 0.5))
        .ok_or_else(|| format!("`{text}` is not a column and a row, as 120,80"))
}

/// Columns and rows of a window.
fn window_size(text: &str) -> Result<[f32; 2], String> {
    Ok(size(text)?.map(|side| side as f32))
}

/// A scale of an image.
fn scale(text: &str) -> Result<f32, String> {
    let [low, high] = SCALES;
    let value = text.trim().parse().ok().filter(|s: &f32| (low..=high).contains(s));
    value.ok_or_else(|| format!("`{text}` is not a number from {low} to {high}"))
}

/// A duration.
fn seconds(text: &str) -> Result<f64, String> {
    let value = text.trim().parse().ok().filter(|s: &f64| (0.0..=3600.0).contains(s));
    value.ok_or_else(|| format!("`{text}` is not a number of seconds from 0 to 3600"))
}

/// Every key of a configuration, for `train --help`.
fn keys() -> String {
    format!(
        "Every key of a configuration, with what it means and its default:\n\n{}",
        protoseg::train::Config::keys()
    )
}
