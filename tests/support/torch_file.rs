//! Files as PyTorch writes them, made by hand.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A value of Python.
#[derive(Clone)]
pub enum Py {
    None,
    Bool(bool),
    Int(i64),
    Text(String),
    Tuple(Vec<Py>),
    Dict(Vec<(String, Py)>),
    Global(&'static str, &'static str),
    Call(&'static str, &'static str, Vec<Py>),
    Persistent(Box<Py>),
    /// Instructions that leave one value.
    Raw(Vec<u8>),
}

impl Py {
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn sizes(sizes: &[usize]) -> Self {
        Self::Tuple(sizes.iter().map(|&size| Self::Int(size as i64)).collect())
    }

    /// An ordered dictionary, as state dicts are, with the attribute that they carry.
    pub fn state_dict(pairs: Vec<(String, Py)>) -> Self {
        let metadata =
            Self::Dict(vec![("_metadata".into(), Self::Call("collections", "OrderedDict", vec![]))]);
        let mut bytes = Vec::new();
        Self::Call("collections", "OrderedDict", vec![]).write(&mut bytes);
        bytes.push(b'(');
        for (key, value) in &pairs {
            Self::text(key).write(&mut bytes);
            value.write(&mut bytes);
        }
        bytes.push(b'u');
        metadata.write(&mut bytes);
        bytes.push(b'b');
        Self::Raw(bytes)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => out.push(b'N'),
            Self::Bool(value) => out.push(if *value { 0x88 } else { 0x89 }),
            Self::Int(value) => {
                out.extend([0x8A, 8]);
                out.extend(value.to_le_bytes());
            }
            Self::Text(text) => {
                out.push(b'X');
                out.extend((text.len() as u32).to_le_bytes());
                out.extend(text.as_bytes());
            }
            Self::Tuple(items) => {
                out.push(b'(');
                items.iter().for_each(|item| item.write(out));
                out.push(b't');
            }
            Self::Dict(pairs) => {
                out.extend(b"}(");
                for (key, value) in pairs {
                    Self::text(key).write(out);
                    value.write(out);
                }
                out.push(b'u');
            }
            Self::Global(module, name) => out.extend(format!("c{module}\n{name}\n").as_bytes()),
            Self::Call(module, name, arguments) => {
                Self::Global(module, name).write(out);
                Self::Tuple(arguments.clone()).write(out);
                out.push(b'R');
            }
            Self::Persistent(id) => {
                id.write(out);
                out.push(b'Q');
            }
            Self::Raw(bytes) => out.extend(bytes),
        }
    }

    /// The pickle of it.
    pub fn pickle(&self) -> Vec<u8> {
        let mut out = vec![0x80, 2];
        self.write(&mut out);
        out.push(b'.');
        out
    }
}

/// A tensor of PyTorch's: a view of a storage.
pub struct View<'a> {
    /// The storage's key.
    pub key: &'a str,
    /// The name of its type, such as `FloatStorage`.
    pub kind: &'static str,
    /// How many elements it is said to have.
    pub elements: usize,
    pub offset: usize,
    pub shape: &'a [usize],
    pub strides: &'a [usize],
}

impl View<'_> {
    /// As the pickle has it; old files have a sixth item in the storage's id.
    pub fn value(&self, is_old: bool) -> Py {
        let mut id = vec![
            Py::text("storage"),
            Py::Global("torch", self.kind),
            Py::text(self.key),
            Py::text("cpu"),
            Py::Int(self.elements as i64),
        ];
        id.extend(is_old.then_some(Py::None));
        let arguments = vec![
            Py::Persistent(Box::new(Py::Tuple(id))),
            Py::Int(self.offset as i64),
            Py::sizes(self.shape),
            Py::sizes(self.strides),
            Py::Bool(false),
            Py::Call("collections", "OrderedDict", vec![]),
        ];
        Py::Call("torch._utils", "_rebuild_tensor_v2", arguments)
    }
}

/// The strides of a row-major tensor.
pub fn contiguous(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

/// A zip archive without compression; `is_large` writes sizes of 64 bits.
pub fn entries(all: &[(&str, &[u8])], is_large: bool) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(is_large);
    for (name, content) in all {
        writer.start_file(*name, options).expect("an entry");
        writer.write_all(content).expect("written");
    }
    writer.finish().expect("an archive").into_inner()
}

/// The zip form.
pub fn archive(pickle: &[u8], storages: &[(&str, Vec<u8>)], order: &str, is_large: bool) -> Vec<u8> {
    let names: Vec<String> = storages.iter().map(|(key, _)| format!("archive/data/{key}")).collect();
    let mut all = vec![("archive/data.pkl", pickle), ("archive/byteorder", order.as_bytes())];
    all.extend(std::iter::zip(&names, storages).map(|(name, (_, content))| (name.as_str(), &content[..])));
    all.push(("archive/version", b"3\n"));
    entries(&all, is_large)
}

/// The form before PyTorch 1.6; `size` is that of an element.
pub fn legacy(pickle: &[u8], storages: &[(&str, Vec<u8>)], size: usize) -> Vec<u8> {
    let magic = Py::Raw(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19".to_vec());
    let system =
        Py::Dict(vec![("protocol_version".into(), Py::Int(1001)), ("little_endian".into(), Py::Bool(true))]);
    let mut keys = b"](".to_vec();
    storages.iter().for_each(|(key, _)| Py::text(key).write(&mut keys));
    keys.push(b'e');
    let mut out = [magic, Py::Int(1001), system].map(|value| value.pickle()).concat();
    out.extend(pickle);
    out.extend(Py::Raw(keys).pickle());
    for (_, content) in storages {
        out.extend(((content.len() / size) as u64).to_le_bytes());
        out.extend(content);
    }
    out
}
