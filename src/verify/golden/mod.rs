//! Golden files: one training step of the head, compared with everything that the file holds.

mod config;
mod flips;
mod name;
mod record;
mod run;
mod scores;
#[cfg(test)]
mod tests;
mod ties;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::head::HeadOptions;
use crate::model::Phase;
use crate::model_file::ModelFile;
use crate::proto::{Profile, UpdateAssign};

use super::compare::rows_of_map;
use super::report::TensorReport;
use config::Golden;
use flips::Flips;
use name::{Name, is_input};
use record::{Recorded, record};
use run::{Found, Wanted, run};
use ties::Ties;

/// Compares every tensor of `file` with the device; `change` may falsify the options, for tests.
pub(super) async fn verify(
    gpu: &Arc<Gpu>,
    file: ModelFile,
    change: &dyn Fn(&mut HeadOptions),
) -> Result<Vec<TensorReport>> {
    let golden = Golden::new(file)?;
    let mut reports = BTreeMap::new();
    let mut names = Vec::new();
    for label in golden.file.names().filter(|label| !is_input(label)) {
        match Name::parse(label) {
            Some(name) => names.push((label.to_owned(), name)),
            None => unknown(&mut reports, label),
        }
    }
    let profiles: Vec<_> = [Profile::Off, Profile::Rec, Profile::Pap]
        .into_iter()
        .filter(|p| names.iter().any(|(_, name)| name.profile == Some(*p)))
        .collect();
    // What no profile changes is compared with the first.
    let first = profiles.first().copied().unwrap_or_default();
    for profile in if profiles.is_empty() { vec![first] } else { profiles } {
        let own: Vec<_> =
            names.iter().filter(|(_, name)| name.profile.unwrap_or(first) == profile).cloned().collect();
        let mut options = golden.config.options(profile)?;
        change(&mut options);
        verify_profile(gpu, &golden, &options, &own, &mut reports).await?;
    }
    Ok(reports.into_values().collect())
}

type Reports = BTreeMap<String, TensorReport>;

fn unknown(reports: &mut Reports, label: &str) {
    let reason = "unknown name, so nothing was compared with it";
    reports.insert(label.to_owned(), TensorReport::incomparable(label, reason));
}

async fn verify_profile(
    gpu: &Arc<Gpu>,
    golden: &Golden,
    options: &HeadOptions,
    names: &[(String, Name)],
    reports: &mut Reports,
) -> Result<()> {
    if options.update_assign == UpdateAssign::Gumbel && !golden.file.contains("in.gumbel") {
        let problem = "has tensors of the profile `off` but no `in.gumbel`";
        return Err(Error::model(golden.file.path(), problem, "use the golden file as it was written"));
    }
    let rounds: BTreeSet<_> = names.iter().filter_map(|(_, name)| name.rounds()).collect();
    let rounds: Vec<_> = rounds.into_iter().filter(|&n| n <= 1000).collect();
    let main = record(&golden.config, options, Phase::Main, &rounds)?;
    let final_q = format!("q{}", options.sinkhorn_iterations);
    let mut found = run(gpu, golden, &main, &wanted(golden, names, &main, &final_q)).await?;
    for special in ["g_protos_pretrain", "protos_after_argmax"] {
        if names.iter().any(|(_, name)| name.quantity == special) {
            found.insert((special.to_owned(), false), run_special(gpu, golden, options, special).await?);
        }
    }
    compare_all(golden, options, &found, names, final_q, reports)
}

/// What is read of the main run: all that the file holds, and the scores by which ties are told from mistakes.
fn wanted(golden: &Golden, names: &[(String, Name)], main: &Recorded, final_q: &str) -> BTreeSet<Wanted> {
    let mut wanted: BTreeSet<_> =
        names.iter().map(|(_, name)| (name.quantity.clone(), name.sampled)).collect();
    let has = |quantity: &str| names.iter().any(|(_, name)| name.quantity == quantity);
    if golden.is_large() {
        let scores = [final_q, "emb", "seg", "gt", "near_proto"];
        wanted.extend(scores.map(|quantity| (quantity.to_owned(), false)));
    }
    if has("pred_full") {
        wanted.insert(("seg".to_owned(), false));
    }
    wanted.retain(|(quantity, _)| main.quantities.contains_key(quantity));
    wanted
}

/// Quantities of runs under other options: prototypes trained by gradient, and the update with the clustering's assignment.
async fn run_special(
    gpu: &Arc<Gpu>,
    golden: &Golden,
    options: &HeadOptions,
    special: &str,
) -> Result<Vec<f64>> {
    let (options, phase, quantity) = if special == "g_protos_pretrain" {
        (HeadOptions { learnable_warmup: true, ..options.clone() }, Phase::WarmUp, special)
    } else {
        let update_assign = UpdateAssign::Argmax;
        (HeadOptions { update_assign, ..options.clone() }, Phase::Main, "protos_after")
    };
    let recorded = record(&golden.config, &options, phase, &[])?;
    let key = (quantity.to_owned(), false);
    let mut found = run(gpu, golden, &recorded, &BTreeSet::from([key.clone()])).await?;
    Ok(found.remove(&key).unwrap_or_default())
}

fn compare_all(
    golden: &Golden,
    options: &HeadOptions,
    found: &Found,
    names: &[(String, Name)],
    final_q: String,
    reports: &mut Reports,
) -> Result<()> {
    let ties = Ties::new(golden, found, names, final_q)?;
    let mut flips = Flips::new(golden, options, found);
    if !names.iter().any(|(_, name)| name.quantity == "near_proto") {
        flips.add("near_proto", ties.nearest_in_sample());
    }
    // Decisions first: what they lead to may differ with them.
    let later = |name: &Name| !name.is_decision() || name.quantity == "counts";
    let (after, before): (Vec<_>, Vec<_>) = names.iter().partition(|(_, name)| later(name));
    for (label, name) in before.into_iter().chain(after) {
        let Some(found) = found.get(&(name.quantity.clone(), name.sampled)) else {
            unknown(reports, label);
            continue;
        };
        let wanted = reference(golden, label, name)?;
        let report = if name.is_decision() && name.quantity != "counts" {
            let (report, pixels) = ties.compare(label, name, found, &wanted);
            flips.add(&name.quantity, pixels);
            report
        } else {
            flips.compare(label, name, found, &wanted)
        };
        reports.insert(label.clone(), report);
    }
    Ok(())
}

/// The reference's numbers in the device's order of axes.
fn reference(golden: &Golden, label: &str, name: &Name) -> Result<Vec<f64>> {
    let data = golden.file.f64(label)?;
    let shape = golden.file.shape(label)?;
    let (pixels, runs) = (golden.config.height * golden.config.width, golden.config.runs());
    match shape {
        // Consecutive steps share one label map.
        _ if name.quantity == "gt" && data.len() == golden.config.pixels() => Ok(data.repeat(runs)),
        [.., channels, height, width] if name.is_map() && height * width == pixels && shape.len() > 3 => {
            Ok(rows_of_map(&data, *channels, pixels))
        }
        _ => Ok(data),
    }
}
