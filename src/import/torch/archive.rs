//! The zip form, which `torch.save` writes since PyTorch 1.6: `NAME/data.pkl`, `NAME/data/KEY` for each storage, perhaps
//! `NAME/byteorder`, none of it compressed.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;

use zip::CompressionMethod;
use zip::read::ZipArchive;

use super::super::pickle::{Read, Refusal, unpickle};
use super::{TorchFile, names};

/// Longest pickle; those of checkpoints have some hundred KiB.
const MAX_PICKLE: usize = 64 << 20;

/// The checksum of zip archives.
const CHECKSUM: crc::Crc<u32, crc::Table<16>> = crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISO_HDLC);

/// Where an entry lies.
struct Place {
    range: Range<usize>,
    /// Whether the bytes lie there as they are.
    is_plain: bool,
    /// The checksum in the archive; PyTorch can be told not to work one out, and writes 0 then.
    crc: u32,
}

/// Reads the archive in `bytes`.
pub fn read(bytes: Vec<u8>) -> Read<TorchFile> {
    let places = places(&bytes)?;
    let Some(folder) = places.keys().find_map(|name| name.strip_suffix("data.pkl")).map(str::to_owned) else {
        return Err(Refusal {
            problem: "is a zip archive without data.pkl, so PyTorch did not write it".into(),
            remedy: "unpack it and give the file of weights in it",
        });
    };
    if places.contains_key(&format!("{folder}constants.pkl")) {
        return Err(Refusal::forbidden("is a TorchScript archive, a program with its weights"));
    }
    let content = |name: &str| {
        let name = format!("{folder}{name}");
        places.get(&name).map_or(Ok(&[][..]), |place| whole(&bytes, &name, place))
    };
    let data = content("data.pkl")?;
    if data.len() > MAX_PICKLE {
        return Err(Refusal::forbidden(format!(
            "its pickle has {} MiB, as no checkpoint's has",
            data.len() >> 20
        )));
    }
    let is_big_endian = content("byteorder")? == b"big";
    let pickle = unpickle(data)?;
    let tensors = names::tensors(&pickle)?;
    let prefix = format!("{folder}data/");
    let mut storages = BTreeMap::new();
    for (name, place) in &places {
        if let Some(key) = name.strip_prefix(&prefix) {
            whole(&bytes, name, place)?;
            storages.insert(key.to_owned(), place.range.clone());
        }
    }
    Ok(TorchFile { graph: pickle.graph, storages, is_big_endian, tensors, bytes })
}

/// The bytes of an entry, which must be those that were saved.
fn whole<'a>(bytes: &'a [u8], name: &str, place: &Place) -> Read<&'a [u8]> {
    if !place.is_plain {
        return Err(Refusal {
            problem: format!("its entry `{name}` is compressed or encrypted, and PyTorch's are not"),
            remedy: "load it in Python and save it again with torch.save",
        });
    }
    let content = &bytes[place.range.clone()];
    if place.crc != 0 && CHECKSUM.checksum(content) != place.crc {
        return Err(Refusal::damaged(format!(
            "its entry `{name}` does not have the checksum that it was saved with"
        )));
    }
    Ok(content)
}

/// Where each entry of the archive lies.
fn places(bytes: &[u8]) -> Read<BTreeMap<String, Place>> {
    let damaged = |reason: String| Refusal::damaged(format!("is not a whole zip archive ({reason})"));
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(e.to_string()))?;
    let mut places = BTreeMap::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(|e| damaged(e.to_string()))?;
        let name = file.name().to_owned();
        let is_plain = !file.encrypted() && file.compression() == CompressionMethod::Stored;
        let start = file.data_start().and_then(|start| usize::try_from(start).ok());
        let range =
            start.and_then(|start| Some(start..start.checked_add(usize::try_from(file.size()).ok()?)?));
        let range = range.filter(|range| range.end <= bytes.len());
        let range = range.ok_or_else(|| damaged(format!("`{name}` reaches beyond its end")))?;
        places.insert(name, Place { range, is_plain, crc: file.crc32() });
    }
    Ok(places)
}
