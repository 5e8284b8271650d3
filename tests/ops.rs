//! Every operation of the table: device against oracle on odd sizes, gradients against finite differences, and no hole.

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use protoseg::gpu::{Variant, shaders};
use protoseg::ops::{check, table::TABLE};
use support::gpu_of;

/// Only the stems named in `PROTOSEG_OPS` (comma-separated), if that is set.
fn selected(stem: &str) -> bool {
    std::env::var("PROTOSEG_OPS").map_or(true, |list| list.split(',').any(|s| s == stem))
}

/// Runs every case with the kernels of `variant`, or with the adapter's default ones.
fn compare_with_oracle(variant: Option<Variant>) {
    let gpu = gpu_of(variant);
    let mut failures = Vec::new();
    for row in TABLE.iter().filter(|r| selected(r.stem)) {
        for case in (row.cases)() {
            let label = format!("{} [{}]", row.stem, case.name);
            match pollster::block_on(check::on_device(&case, &gpu)) {
                Err(error) => failures.push(format!("{label}: {error}")),
                Ok(all) => {
                    let bad = all.iter().filter(|d| d.max_rel > case.tolerance);
                    failures.extend(bad.map(|d| {
                        format!("{label}: {} off by {:.2e} of its maximum at {}", d.name, d.max_rel, d.index)
                    }));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn device_agrees_with_oracle() {
    compare_with_oracle(None);
}

/// The kernels that a browser runs.
#[test]
fn device_agrees_with_oracle_on_the_floor() {
    compare_with_oracle(Some(Variant::Floor));
}

/// The kernels that a GPU runs, its browser too.
#[test]
fn device_agrees_with_oracle_on_gpu_kernels() {
    compare_with_oracle(Some(Variant::Gpu));
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
    // `STEM.subgroup` is a variant of `STEM`.
    let files: BTreeSet<_> = shaders::all().iter().filter_map(|s| s.stem.split('.').next()).collect();
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
}
