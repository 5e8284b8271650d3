//! `devices` and `ops`.

use protoseg::Result;
use protoseg::gpu::list_adapters;
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
            "     tier {:?}, subgroups of {}, bindings up to {} MiB, kernel times: {}",
            a.tier,
            if a.caps.subgroup_size > 0 { a.caps.subgroup_size.to_string() } else { "varying size".into() },
            a.caps.max_binding_bytes >> 20,
            if a.timestamps { "yes" } else { "no" },
        );
    }
    say!("* is used unless --adapter or PROTOSEG_ADAPTER says otherwise");
    Ok(())
}

pub fn ops() {
    for row in TABLE {
        say!("{:18} {} ({} cases)", row.stem, row.about, (row.cases)().len());
    }
}
