//! The names that a file of weights may mention. None of them is ever looked up anywhere or run: each stands for one of a
//! handful of cases of this program's own.

use safetensors::tensor::Dtype;

use super::value::Global;

/// Names by module. Python 2 wrote `__builtin__` for `builtins`, numpy 2 moved its core.
const KNOWN: &[(&str, &str, Global)] = &[
    ("collections", "OrderedDict", Global::Dict),
    ("collections", "Counter", Global::Dict),
    ("torch", "Size", Global::Size),
    ("torch._utils", "_rebuild_tensor", Global::Tensor),
    ("torch._utils", "_rebuild_tensor_v2", Global::Tensor),
    ("torch._utils", "_rebuild_parameter", Global::Parameter),
    ("torch.nn.parameter", "Parameter", Global::Parameter),
    ("torch", "device", Global::Inert),
    ("argparse", "Namespace", Global::Inert),
    ("_codecs", "encode", Global::Inert),
    ("builtins", "set", Global::Inert),
    ("__builtin__", "set", Global::Inert),
    ("numpy", "dtype", Global::Inert),
    ("numpy.core.multiarray", "scalar", Global::Inert),
    ("numpy._core.multiarray", "scalar", Global::Inert),
];

/// Data types of `torch`, which pickles mention beside tensors.
const DTYPES: &[&str] = &[
    "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "float",
    "double", "half", "long", "int", "short",
];

/// What `module.name` stands for, or `None` where a file of weights has no business with it.
pub fn known(module: &str, name: &str) -> Option<Global> {
    let listed = KNOWN.iter().find(|row| (row.0, row.1) == (module, name)).map(|row| row.2);
    listed.or_else(|| match module {
        "torch" if DTYPES.contains(&name) => Some(Global::Inert),
        "torch" | "torch.cuda" | "torch.storage" => storage(name).map(Global::Storage),
        _ => None,
    })
}

/// The element type in the name of a storage's type, where that is a plain number.
fn storage(name: &str) -> Option<Option<Dtype>> {
    let element = name.strip_suffix("Storage").filter(|e| e.bytes().all(|b| b.is_ascii_alphanumeric()))?;
    Some(match element {
        "Double" => Some(Dtype::F64),
        "Float" => Some(Dtype::F32),
        "Half" => Some(Dtype::F16),
        "BFloat16" => Some(Dtype::BF16),
        "Long" => Some(Dtype::I64),
        "Int" => Some(Dtype::I32),
        "Short" => Some(Dtype::I16),
        "Char" => Some(Dtype::I8),
        "Byte" => Some(Dtype::U8),
        "Bool" => Some(Dtype::BOOL),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_run_something_is_not_known() {
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("builtins", "eval"),
            ("builtins", "getattr"),
            ("__builtin__", "exec"),
            ("subprocess", "Popen"),
            ("torch", "load"),
            ("torch.storage", "_load_from_bytes"),
            ("torch", "os.Storage"),
            ("torch.hub", "FloatStorage"),
            ("functools", "partial"),
            ("numpy.core.multiarray", "_reconstruct"),
        ] {
            assert_eq!(known(module, name), None, "{module}.{name}");
        }
        assert_eq!(known("torch", "HalfStorage"), Some(Global::Storage(Some(Dtype::F16))));
        assert_eq!(known("torch.cuda", "FloatStorage"), Some(Global::Storage(Some(Dtype::F32))));
        assert_eq!(known("torch", "ComplexFloatStorage"), Some(Global::Storage(None)));
    }
}
