//! Which constants the operations give each kernel: a kernel is tested as it is used.

use std::collections::{BTreeMap, BTreeSet};

use protoseg::bench::peak;
use protoseg::gpu::{Caps, Dispatch, Tile, Tiles, Variant};
use protoseg::ops::{check, table::TABLE};
use protoseg::tape::{Keep, Program};

/// `override` constants by name, values as bits so that they can be ordered.
pub type Constants = Vec<(&'static str, u64)>;
/// The constants that some operation launches each (stem, entry point) with.
pub type Launches = BTreeMap<(&'static str, &'static str), BTreeSet<Constants>>;

/// Lowers every case of the op table for each kind of device that kernels are chosen by; the kernels of `bench` beside them.
pub fn launches() -> Launches {
    let devices = devices();
    let mut found = Launches::new();
    let mut add = |dispatch: &Dispatch| {
        let constants = dispatch.constants.iter().map(|&(name, value)| (name, value.to_bits())).collect();
        found.entry((dispatch.shader, dispatch.entry)).or_default().insert(constants);
    };
    peak::dispatches().iter().for_each(&mut add);
    for case in TABLE.iter().flat_map(|row| (row.cases)()) {
        let recorded = check::record(&case).unwrap_or_else(|e| panic!("case `{}`: {e}", case.name));
        for caps in &devices {
            Program::new(&recorded.tape, caps, Keep::Everything).dispatches().for_each(&mut add);
        }
    }
    found
}

/// Every kind of device that kernels are chosen by.
fn devices() -> Vec<Caps> {
    let of = |variant, subgroup_size| {
        let subgroups = subgroup_size > 0;
        Caps { variant, subgroups, subgroup_size, ..Caps::floor() }
    };
    let mut devices = vec![
        of(Variant::Floor, 0),
        Caps { software: true, ..of(Variant::Floor, 0) },
        Caps { software: true, ..of(Variant::Software, 8) },
        of(Variant::Subgroup, 32),
        Caps { subgroup_size: 0, ..of(Variant::Subgroup, 32) },
        Caps { matrix_size: 16, ..of(Variant::Matrix, 32) },
        Caps { matrix_size: 16, ..of(Variant::Matrix, 64) },
        Caps { matrix_size: 8, ..of(Variant::Matrix, 32) },
    ];
    for tile in Tile::ALL {
        for variant in [Variant::Gpu, Variant::F16] {
            devices.push(Caps { tiles: Tiles::only(tile), ..of(variant, 0) });
        }
    }
    devices
}
