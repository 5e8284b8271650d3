//! Every operation of the table: device against oracle on odd sizes, gradients against finite differences, and no hole.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use protoseg::gpu::{Gpu, Tile, Tiles, Variant, shaders};
use protoseg::ops::check::{self, Difference};
use protoseg::ops::table::TABLE;
use support::gpu;

/// What `f16` operands cost at most, relative to the tensor's maximum: each is rounded by 2^-11.
const ROUNDED: f64 = 1e-3;
/// Rows with kernels that round their operands in the families `f16` and `matrix`.
const HALF_ROWS: &[&str] = &["conv2d", "match_contrast", "proto_match"];

/// Only the stems named in `PROTOSEG_OPS` (comma-separated), if that is set.
fn selected(stem: &str) -> bool {
    std::env::var("PROTOSEG_OPS").map_or(true, |list| list.split(',').any(|s| s == stem))
}

/// Runs every case on `gpu`; floats that the operations in `rounded` write, or that follow from them in their own cases, may
/// be off by 1e-3 of their maximum, and their whole numbers (which of two near prototypes won) are not compared.
fn compare_with_oracle(gpu: &Arc<Gpu>, rounded: &[&str]) {
    let mut failures = Vec::new();
    for row in TABLE.iter().filter(|r| selected(r.stem)) {
        for case in (row.cases)() {
            let label = format!("{} [{}]", row.stem, case.name);
            let bad = |d: &&Difference| {
                // Operations that other rows record are named in the value.
                let stem = d.name.rsplit('/').next().unwrap_or_default();
                let loose = rounded.contains(&stem) || rounded.contains(&row.stem);
                let tolerance = if loose { f64::max(ROUNDED, case.tolerance) } else { case.tolerance };
                d.max_rel > tolerance && !(loose && d.whole)
            };
            match pollster::block_on(check::on_device(&case, gpu)) {
                Err(error) => failures.push(format!("{label}: {error}")),
                Ok(all) => {
                    failures.extend(all.iter().filter(bad).map(|d| {
                        format!("{label}: {} off by {:.2e} of its maximum at {}", d.name, d.max_rel, d.index)
                    }));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// The adapter with the kernels of `variant`, or `None` with the reason that it gives where it lacks what they take: such
/// an adapter passes, since it can never run them.
fn able(variant: Variant) -> Option<Arc<Gpu>> {
    let wanted = std::env::var("PROTOSEG_ADAPTER").ok();
    match pollster::block_on(Gpu::open(wanted.as_deref(), Some(variant))) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            assert!(!matches!(variant, Variant::Floor | Variant::Gpu), "every adapter runs these: {error}");
            println!("{error}");
            None
        }
    }
}

#[test]
fn device_agrees_with_oracle() {
    compare_with_oracle(&gpu(), &[]);
}

/// The kernels that a browser runs on a software adapter.
#[test]
fn device_agrees_with_oracle_on_the_floor() {
    compare_with_oracle(&able(Variant::Floor).expect("it asks for nothing"), &[]);
}

/// The kernels of GPUs, in browsers too.
#[test]
fn device_agrees_with_oracle_on_gpu_kernels() {
    compare_with_oracle(&able(Variant::Gpu).expect("it asks for nothing"), &[]);
}

#[test]
fn device_agrees_with_oracle_on_subgroup_kernels() {
    let Some(gpu) = able(Variant::Subgroup) else { return };
    compare_with_oracle(&gpu, &[]);
}

#[test]
fn device_agrees_with_oracle_on_f16_kernels() {
    let Some(gpu) = able(Variant::F16) else { return };
    compare_with_oracle(&gpu, HALF_ROWS);
    exact_in_half(&gpu);
}

#[test]
fn device_agrees_with_oracle_on_matrix_kernels() {
    let Some(gpu) = able(Variant::Matrix) else { return };
    compare_with_oracle(&gpu, HALF_ROWS);
    exact_in_half(&gpu);
}

/// With operands that `f16` holds exactly nothing is rounded, so sums in `f32` agree as closely as those of other families.
fn exact_in_half(gpu: &Arc<Gpu>) {
    let mut failures = Vec::new();
    for row in TABLE.iter().filter(|r| HALF_ROWS.contains(&r.stem) && selected(r.stem)) {
        for case in (row.cases)() {
            let found = pollster::block_on(check::on_device_in_half(&case, gpu)).expect("it has run before");
            let bad = found.into_iter().filter(|d| d.max_rel > case.tolerance);
            failures.extend(bad.map(|d| format!("{} [{}]: {d:?}", row.stem, case.name)));
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// How products of matrices are cut into tiles is chosen by a table or by measurement, and must change no bit.
#[test]
fn tiles_change_no_bit() {
    for variant in [Variant::Gpu, Variant::F16] {
        let Some(gpu) = able(variant) else { continue };
        for row in TABLE.iter().filter(|r| HALF_ROWS.contains(&r.stem) && selected(r.stem)) {
            for case in (row.cases)() {
                let run = |tile| pollster::block_on(check::with_tiles(&case, &gpu, Tiles::only(tile)));
                let bits = |tile| {
                    let all = run(tile).expect("it runs").concat();
                    all.into_iter().map(f64::to_bits).collect::<Vec<_>>()
                };
                let first = bits(Tile::ALL[0]);
                for tile in &Tile::ALL[1..] {
                    assert!(first == bits(*tile), "{variant}, {} [{}]: {tile:?}", row.stem, case.name);
                }
            }
        }
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let mut failures = Vec::new();
    for row in TABLE.iter().filter(|r| selected(r.stem)) {
        for case in (row.cases)() {
            let label = format!("{} [{}]", row.stem, case.name);
            match check::finite_differences(&case) {
                Err(error) => failures.push(format!("{label}: {error}")),
                Ok(all) => failures.extend(
                    all.iter()
                        .filter(|d| d.max_rel > 1e-6)
                        .map(|d| format!("{label}: {} off by {:.2e} of the largest", d.name, d.max_rel)),
                ),
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn table_has_no_hole() {
    let rows: BTreeSet<_> = TABLE.iter().map(|r| r.stem).collect();
    assert_eq!(rows.len(), TABLE.len(), "a stem stands twice");
    // `STEM.gpu` is a variant of `STEM`; what measures the adapter belongs to no operation.
    let kernels = shaders::all().iter().filter(|s| s.family != "bench");
    let files: BTreeSet<_> = kernels.filter_map(|s| s.stem.split('.').next()).collect();
    for stem in rows.union(&files) {
        for folder in ["src/ops", "src/oracle"] {
            let path = format!("{}/{folder}/{stem}", env!("CARGO_MANIFEST_DIR"));
            let found =
                [format!("{path}.rs"), format!("{path}/mod.rs")].iter().any(|p| Path::new(p).exists());
            assert!(found, "`{stem}` has no {folder}/{stem}.rs");
        }
    }
    assert_eq!(rows, files, "stems of the table (left) against shader files (right)");
    assert!(TABLE.iter().all(|r| !(r.cases)().is_empty()), "a row has no case");
    assert!(TABLE.iter().all(|r| !(r.bench)().is_empty()), "a row has no bench size");
}
