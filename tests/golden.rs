//! The device against the reference data: golden files of the head, parity files of the backbone.

mod reference;

use protoseg::nn::Arch;
use protoseg::verify::{Verification, verify, verify_each};
use reference::{gpu, shared, shared_files};

fn assert_ok(verification: &Verification) {
    println!("{verification}");
    assert!(verification.ok());
}

#[test]
fn every_golden_file_agrees() {
    let files = shared_files("golden");
    let gpu = gpu();
    let mut each = |file: &protoseg::verify::FileReport| println!("{file}");
    let found = verify_each(&gpu, &files, None, &mut each);
    assert_ok(&pollster::block_on(found).expect("golden files"));
}

#[test]
fn mobilenet_v2_agrees() {
    let Some(weights) = shared("weights/mobilenet_v2.safetensors") else { return };
    let files: Vec<_> = shared_files("parity")
        .into_iter()
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("mobilenet_v2")))
        .collect();
    let backbone = Some((weights, Arch::MobilenetV2));
    assert_ok(&pollster::block_on(verify(&gpu(), &files, backbone)).expect("parity files"));
}
