//! `devices` and `ops`.

use protoseg::Result;
use protoseg::gpu::{Tier, list_adapters};
use protoseg::ops::table::TABLE;

use crate::args::JsonArgs;

pub async fn devices(args: &JsonArgs) -> Result<()> {
    let adapters = list_adapters().await;
    if args.json {
        return crate::print_json(&adapters);
    }
    if adapters.is_empty() {
        // Says which driver to install.
        protoseg::gpu::Gpu::open(None, None).await?;
    }
    for a in &adapters {
        let mark = if a.default { "*" } else { " " };
        say!("{mark} {}  {}  {} {}, {}", a.index, a.name, a.kind, a.backend, a.driver);
        say!(
            "     tier {:?}, {}, bindings up to {} MiB, kernel times: {}",
            a.tier,
            subgroups(a.tier, a.caps.subgroup_size),
            a.caps.max_binding_bytes >> 20,
            if a.timestamps { "yes" } else { "no" },
        );
        let names: Vec<_> = a.variants.iter().map(|v| v.name()).collect();
        say!("     variants {}; default {}", names.join(", "), a.caps.variant);
    }
    say!("* is used unless --adapter or PROTOSEG_ADAPTER says otherwise");
    Ok(())
}

fn subgroups(tier: Tier, size: u32) -> String {
    match (tier, size) {
        (Tier::Floor, _) => "no subgroups".into(),
        (_, 0) => "subgroups of varying size".into(),
        (_, size) => format!("subgroups of {size}"),
    }
}

pub fn ops() {
    for row in TABLE {
        say!("{:18} {} ({} cases)", row.stem, row.about, (row.cases)().len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_without_subgroups_has_none_of_varying_size() {
        assert_eq!(subgroups(Tier::Floor, 0), "no subgroups");
        assert_eq!(subgroups(Tier::Subgroups, 0), "subgroups of varying size");
        assert_eq!(subgroups(Tier::Subgroups, 32), "subgroups of 32");
    }
}
