//! The backbones and decoders, in one program: names and numbers of the libraries that weights come from, maps, gradients and
//! losses of PyTorch's, every node of a step against the oracle.

mod support;

#[path = "backbones/decoders.rs"]
mod decoders;
#[path = "backbones/hrnet.rs"]
mod hrnet;
#[path = "backbones/resnet.rs"]
mod resnet;
#[path = "backbones/transformers.rs"]
mod transformers;
#[path = "backbones/two_steps.rs"]
mod two_steps;
