//! A file of weights of any of the kinds that can be read.

use std::path::{Path, PathBuf};

use safetensors::tensor::Dtype;

use super::pickle::Refusal;
use super::torch::TorchFile;
use crate::disk;
use crate::error::{Error, Result};
use crate::model_file::ModelFile;

/// What a file says of one of its tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name in the file, that of the dictionaries around it in front.
    pub name: String,
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// The type of its elements, where those are plain numbers.
    pub dtype: Option<Dtype>,
}

/// A file of weights.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    headers: Vec<Header>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Safetensors(ModelFile),
    Torch(TorchFile),
}

impl Checkpoint {
    /// Reads the file's names; the numbers follow when they are asked for.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; [`Error::Model`] for what is none of the kinds, is damaged, or would run
    /// something.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = disk::read(path).map_err(|e| Error::io("read the weights", path, e))?;
        if !is_safetensors(&bytes) && TorchFile::recognises(&bytes) {
            let file = TorchFile::read(bytes).map_err(|refusal| refuse(path, refusal))?;
            let header = |(name, dtype, shape): (&str, _, &[usize])| Header {
                name: name.to_owned(),
                shape: shape.to_vec(),
                dtype,
            };
            let headers = file.tensors().map(header).collect();
            return Self::of(path, headers, Content::Torch(file));
        }
        if let Some((problem, remedy)) = other_kind(&bytes) {
            return Err(Error::model(path, problem, remedy));
        }
        let file = ModelFile::from_bytes(path, bytes)?;
        let mut headers = Vec::new();
        for name in file.names() {
            let (shape, dtype) = (file.shape(name)?.to_vec(), Some(file.dtype(name)?));
            headers.push(Header { name: name.to_owned(), shape, dtype });
        }
        Self::of(path, headers, Content::Safetensors(file))
    }

    fn of(path: &Path, headers: Vec<Header>, content: Content) -> Result<Self> {
        if headers.is_empty() {
            let remedy = "save a network's weights (in Python: torch.save(model.state_dict(), FILE))";
            return Err(Error::model(path, "holds no tensor under a name", remedy));
        }
        Ok(Self { path: path.to_path_buf(), headers, content })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What kind of file it is.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.content {
            Content::Safetensors(_) => "safetensors",
            Content::Torch(_) => "PyTorch",
        }
    }

    /// All its tensors.
    #[must_use]
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// The values of the tensor `name`, row-major, from whatever type of number they have.
    ///
    /// # Errors
    /// [`Error::Model`] where they are no numbers or damaged.
    pub fn values(&self, name: &str) -> Result<Vec<f32>> {
        match &self.content {
            Content::Safetensors(file) => file.f32(name),
            Content::Torch(file) => file.values(name).map_err(|refusal| refuse(&self.path, refusal)),
        }
    }
}

fn refuse(path: &Path, Refusal { problem, remedy }: Refusal) -> Error {
    Error::model(path, problem, remedy)
}

/// Whether `bytes` start with the length of a header that fits, and the header.
fn is_safetensors(bytes: &[u8]) -> bool {
    // The longest header that the format allows.
    let fits = |length: &[u8; 8]| u64::from_le_bytes(*length) <= 100_000_000;
    bytes.first_chunk().is_some_and(fits) && bytes.get(8) == Some(&b'{')
}

/// What a file is that is no file of weights, by how it starts, and what to do.
fn other_kind(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let start = bytes.trim_ascii_start();
    let is = |text: &[u8]| start.get(..text.len()).is_some_and(|found| found.eq_ignore_ascii_case(text));
    if bytes.is_empty() {
        Some(("is empty", "download it again"))
    } else if is(b"<!doctype") || is(b"<html") || is(b"<?xml") {
        Some((
            "is a web page, not weights",
            "open it to see what the server said, and download the file itself",
        ))
    } else if is(b"version https://git-lfs") {
        Some(("is a pointer of Git LFS, not the weights", "fetch the file itself (git lfs pull)"))
    } else if bytes.starts_with(&[0x1F, 0x8B]) || bytes.get(257..262) == Some(b"ustar") {
        Some(("is an archive (gzip or tar)", "unpack it and give the file of weights in it"))
    } else if !is_safetensors(bytes) {
        let remedy = "give a .safetensors, or what torch.save wrote (.pth, .pt, .bin)";
        Some(("is neither safetensors nor a file of PyTorch", remedy))
    } else {
        None
    }
}
