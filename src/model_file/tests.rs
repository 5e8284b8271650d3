//! Round trips, refusals, and the reference files.

use super::*;
use crate::testing::{TempDir, shared};

fn example() -> (Tensors, BTreeMap<String, String>) {
    let mut tensors = Tensors::new();
    let data: Vec<f32> = (0..6).map(|i| i as f32 * 0.1 - 0.2).collect();
    tensors.insert("head.weight".into(), Tensor { shape: vec![2, 3], data });
    tensors.insert("head.bias".into(), Tensor { shape: vec![2], data: vec![f32::MIN_POSITIVE, -0.0] });
    tensors.insert("scale \"x\"".into(), Tensor { shape: vec![], data: vec![f32::INFINITY] });
    tensors.insert("none".into(), Tensor { shape: vec![0, 4], data: vec![] });
    let pairs = [("arch", "tiny"), ("classes", r#"[{"name": "Straße"}]"#), ("a", ""), ("z", "\n")];
    let metadata = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    (tensors, metadata)
}

fn message(bytes: &[u8]) -> String {
    let message = ModelFile::from_bytes("some/m.safetensors", bytes.to_vec()).unwrap_err().to_string();
    assert!(message.contains("some/m.safetensors") && !message.contains('\n'), "{message}");
    message
}

/// A file with one tensor of any type.
fn file_of(name: &str, dtype: &str, shape: &[usize], data: &[u8]) -> ModelFile {
    let header =
        format!(r#"{{"{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[0,{}]}}}}"#, data.len());
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    ModelFile::from_bytes("m.safetensors", bytes).unwrap()
}

#[test]
fn what_is_written_is_read_and_the_bytes_are_the_same_each_time() {
    let (tensors, metadata) = example();
    let dir = TempDir::new("model");
    let path = dir.join("m.safetensors");
    write(&path, &tensors, &metadata).unwrap();
    let file = read(&path).unwrap();
    assert_eq!(file.tensors().unwrap(), tensors);
    assert_eq!(file.metadata(), &metadata);
    assert_eq!(file.get("head.weight", &[2, 3]).unwrap(), tensors["head.weight"]);
    assert!(file.contains("none") && !file.contains("nones"));
    let first = std::fs::read(&path).unwrap();
    for _ in 0..8 {
        assert_eq!(encode(&example().0, &example().1).unwrap(), first);
    }
    let start = u64::from_le_bytes(first[..8].try_into().unwrap());
    assert_eq!(start % 8, 0);
    let names: Vec<&str> = file.names().collect();
    assert_eq!(names, ["head.bias", "head.weight", "none", "scale \"x\""]);
}

#[test]
fn damaged_files_are_refused_in_one_sentence() {
    let (tensors, metadata) = example();
    let whole = encode(&tensors, &metadata).unwrap();
    for length in [0, 7, 8, 40, whole.len() / 2, whole.len() - 1] {
        assert!(message(&whole[..length]).contains("not a whole safetensors file"));
    }
    let mut extra = whole.clone();
    extra.push(0);
    message(&extra);
    let mut garbled = whole.clone();
    garbled[8] = b'x';
    message(&garbled);
    let mut huge = whole;
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    message(&huge);
    message(b"PK\x03\x04 a pickle in a zip archive, not safetensors");
    let absent = read("/nowhere/m.safetensors").unwrap_err().to_string();
    assert!(absent.contains("cannot read the model file"), "{absent}");
}

#[test]
fn missing_misshapen_and_mistyped_tensors_are_named() {
    let (tensors, metadata) = example();
    let file = ModelFile::from_bytes("m.safetensors", encode(&tensors, &metadata).unwrap()).unwrap();
    let shape = file.get("head.weight", &[3, 2]).unwrap_err().to_string();
    assert!(shape.contains("`head.weight` has the shape [2, 3] where [3, 2] is needed"), "{shape}");
    let missing = file.get("head.weights", &[2, 3]).unwrap_err().to_string();
    assert!(
        missing.contains("no tensor `head.weights`") && missing.contains("is `head.weight`"),
        "{missing}"
    );
    assert!(matches!(file.i64("head.bias"), Err(Error::Model { .. })));
    let labels = file_of("gt", "I32", &[2], &[1, 0, 0, 0, 255, 255, 255, 255]);
    assert_eq!(labels.i64("gt").unwrap(), [1, -1]);
    assert_eq!(labels.f64("gt").unwrap(), [1.0, -1.0]);
    assert_eq!((labels.dtype("gt").unwrap(), labels.shape("gt").unwrap()), (Dtype::I32, &[2][..]));
    let integers = labels.get("gt", &[2]).unwrap_err().to_string();
    assert!(integers.contains("`gt` holds I32 where floating-point weights must be"), "{integers}");
    let tiny = file_of("w", "F8_E4M3", &[1], &[0]);
    assert!(tiny.f32("w").unwrap_err().to_string().contains("F8_E4M3"));
    let empty = ModelFile::from_bytes("m.safetensors", encode(&Tensors::new(), &metadata).unwrap()).unwrap();
    assert!(empty.f32("w").unwrap_err().to_string().contains("no tensor `w` among its 0"));
}

#[test]
fn tensors_that_contradict_themselves_are_not_written() {
    let dir = TempDir::new("model");
    let path = dir.join("m.safetensors");
    let wrong = Tensor { shape: vec![2, 2], data: vec![0.0; 3] };
    let error = write(&path, &Tensors::from([("w".into(), wrong)]), &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("`w` has the shape [2, 2] but 3 values"), "{error}");
    let reserved = Tensors::from([("__metadata__".into(), Tensor { shape: vec![], data: vec![0.0] })]);
    write(&path, &reserved, &BTreeMap::new()).unwrap_err();
    assert!(!path.exists());
}

#[test]
fn reads_the_reference_files() {
    let Some(path) = shared("golden/c11_k3_d32.safetensors") else { return };
    let file = read(path).unwrap();
    let labels = file.i64("in.labels").unwrap();
    assert_eq!(labels.len(), file.shape("in.labels").unwrap().iter().product::<usize>());
    assert!(labels.iter().all(|&label| (-1..11).contains(&label)) && labels.contains(&-1));
    assert_eq!(file.get("in.protos", &[11, 3, 32]).unwrap().data.len(), 11 * 3 * 32);
    let unit = file.f64("protos_norm").unwrap();
    let norm: f64 = unit[..32].iter().map(|x| x * x).sum();
    assert!((norm - 1.0).abs() < 1e-12, "{norm}");
    assert!(file.metadata()["config"].starts_with('{'));
}
