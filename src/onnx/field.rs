//! Field numbers of `onnx.proto3` (onnx/onnx, version 1.12), as far as they are written.

pub(super) const FLOAT: u64 = 1;
pub(super) const INT64: u64 = 7;

pub(super) mod model {
    pub(in super::super) const IR_VERSION: u64 = 1;
    pub(in super::super) const PRODUCER_NAME: u64 = 2;
    pub(in super::super) const PRODUCER_VERSION: u64 = 3;
    pub(in super::super) const GRAPH: u64 = 7;
    pub(in super::super) const OPSET_IMPORT: u64 = 8;
    pub(in super::super) const METADATA: u64 = 14;
}

pub(super) mod opset {
    pub(in super::super) const DOMAIN: u64 = 1;
    pub(in super::super) const VERSION: u64 = 2;
}

pub(super) mod entry {
    pub(in super::super) const KEY: u64 = 1;
    pub(in super::super) const VALUE: u64 = 2;
}

pub(super) mod graph {
    pub(in super::super) const NODE: u64 = 1;
    pub(in super::super) const NAME: u64 = 2;
    pub(in super::super) const INITIALIZER: u64 = 5;
    pub(in super::super) const INPUT: u64 = 11;
    pub(in super::super) const OUTPUT: u64 = 12;
}

pub(super) mod node {
    pub(in super::super) const INPUT: u64 = 1;
    pub(in super::super) const OUTPUT: u64 = 2;
    pub(in super::super) const NAME: u64 = 3;
    pub(in super::super) const OP_TYPE: u64 = 4;
    pub(in super::super) const ATTRIBUTE: u64 = 5;
}

pub(super) mod attribute {
    pub(in super::super) const NAME: u64 = 1;
    pub(in super::super) const F: u64 = 2;
    pub(in super::super) const I: u64 = 3;
    pub(in super::super) const S: u64 = 4;
    pub(in super::super) const INTS: u64 = 8;
    pub(in super::super) const TYPE: u64 = 20;
    pub(in super::super) const KIND_FLOAT: u64 = 1;
    pub(in super::super) const KIND_INT: u64 = 2;
    pub(in super::super) const KIND_STRING: u64 = 3;
    pub(in super::super) const KIND_INTS: u64 = 7;
}

pub(super) mod tensor {
    pub(in super::super) const DIMS: u64 = 1;
    pub(in super::super) const DATA_TYPE: u64 = 2;
    pub(in super::super) const NAME: u64 = 8;
    pub(in super::super) const RAW_DATA: u64 = 9;
}

/// `ValueInfoProto`, and of its type the tensor's element type and shape.
pub(super) mod value {
    pub(in super::super) const NAME: u64 = 1;
    pub(in super::super) const TYPE: u64 = 2;
    pub(in super::super) const TENSOR_TYPE: u64 = 1;
    pub(in super::super) const ELEM_TYPE: u64 = 1;
    pub(in super::super) const SHAPE: u64 = 2;
    pub(in super::super) const DIM: u64 = 1;
    pub(in super::super) const DIM_VALUE: u64 = 1;
}
