//! Which constants the operations give each kernel: a kernel is tested as it is used.

use std::collections::{BTreeMap, BTreeSet};

use protoseg::bench::peak;
use protoseg::gpu::{Caps, Dispatch, Tier};
use protoseg::ops::{check, table::TABLE};
use protoseg::tape::{Keep, Program};

/// `override` constants by name, values as bits so that they can be ordered.
pub type Constants = Vec<(&'static str, u64)>;
/// The constants that some operation launches each (stem, entry point) with.
pub type Launches = BTreeMap<(&'static str, &'static str), BTreeSet<Constants>>;

/// Lowers every case of the op table for each kind of device that kernels are chosen by; the kernels of `bench` beside them.
pub fn launches() -> Launches {
    let subgroups =
        |software, subgroup_size| Caps { tier: Tier::Subgroups, software, subgroup_size, ..Caps::floor() };
    let devices = [Caps::floor(), subgroups(true, 8), subgroups(true, 4), subgroups(false, 32)];
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
