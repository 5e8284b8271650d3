//! What keeps a file from being the network that was asked for, and which it is instead.

use crate::error::{Error, Result};
use crate::nn::Arch;
use crate::words::listed;

use super::checkpoint::Checkpoint;
use super::fit::best;
use super::names::family_of;
use super::needs::{self, Need};
use super::report::Report;

/// Whether what the network needs is there but for a few tensors, so that the file is meant for it.
fn mostly_there(report: &Report, needs: &[Need]) -> bool {
    let is_wrong = |name: &str| report.wrong_shape.iter().any(|wrong| wrong.name == name);
    let lacks = |name: &String| report.missing.contains(name) || is_wrong(name);
    let required = || needs.iter().filter(|need| need.required);
    4 * required().filter(|need| lacks(&need.name)).count() < required().count()
}

/// What keeps the network from being made of the file, as one sentence, of the `needed` tensors that it is nothing without.
pub fn flaw(file: &Checkpoint, report: &Report, needed: usize) -> Option<Error> {
    let required: Vec<_> = report.wrong_shape.iter().filter(|wrong| wrong.required).collect();
    let remedy = format!("use the weights of {} itself, or another --arch", report.arch);
    if let [first, more @ ..] = &required[..] {
        let more =
            if more.is_empty() { String::new() } else { format!(" (and {} more like that)", more.len()) };
        return Some(Error::model(
            file.path(),
            format!("has a tensor of the wrong shape, {first}{more}"),
            remedy,
        ));
    }
    if report.missing.is_empty() {
        return None;
    }
    let problem = format!(
        "lacks {} of the {needed} tensors that {} needs: {}",
        report.missing.len(),
        report.arch,
        listed(&report.missing, 3)
    );
    Some(Error::model(file.path(), problem, remedy))
}

/// What to say of a file that is for another architecture: all that another needs is there, and no less of the file is
/// of use then, or so much is lacking that the file is not meant for `arch`.
pub fn other_arch(file: &Checkpoint, arch: Arch, needs: &[Need], report: &Report) -> Result<Option<Error>> {
    // How much of what a network needs is there, and how much it needs.
    let there = |arch: Arch, needs: &[Need]| {
        let required: Vec<Need> = needs.iter().filter(|need| need.required).cloned().collect();
        let found = best(file.headers(), family_of(arch), &required).map_or(0, |fit| fit.score(&required));
        (found, required.len())
    };
    let (found, all) = there(arch, needs);
    let mut others = Vec::new();
    for other in Arch::all().filter(|&other| other != arch) {
        let (found, all) = there(other, &needs::of_backbone(other)?);
        others.push((100 * found / all.max(1), found, other.name()));
    }
    others.sort_unstable();
    let closest = others.last().copied().filter(|&(share, ..)| share > 100 * found / all.max(1));
    let whole = closest.filter(|&(share, of_other, _)| share == 100 && of_other >= found);
    let remedy = match (whole, closest) {
        (Some((_, _, other)), _) => format!("all that {other} needs are there: give --arch {other}"),
        _ if mostly_there(report, needs) => return Ok(None),
        (None, Some((share, _, other))) if share > 50 => {
            format!("it is closest to {other}, of which {share} % are there")
        }
        _ => {
            let first: Vec<&str> = file.headers().iter().map(|header| header.name.as_str()).collect();
            format!("no architecture here has such names: {}", listed(&first, 3))
        }
    };
    let problem = format!("holds {found} of the {all} tensors that {} needs, with their shapes", arch.name());
    Ok(Some(Error::model(file.path(), problem, remedy)))
}

/// What to say of a file that is for a deeper network, all of whose tensors have the names and shapes of some of its.
pub fn deeper_arch(file: &Checkpoint, arch: Arch, report: &Report) -> Result<Option<Error>> {
    let taken = report.used.len() + report.renamed.len();
    for other in Arch::all().filter(|&other| other != arch && family_of(other) == family_of(arch)) {
        let needs = needs::of_backbone(other)?;
        let Some(fit) = best(file.headers(), family_of(other), &needs) else { continue };
        let is_whole = needs
            .iter()
            .filter(|need| need.required)
            .all(|need| fit.found.get(&need.name).is_some_and(|f| f.serves));
        if is_whole && fit.score(&needs) > taken {
            let problem = format!(
                "is of {}: {} needs {taken} of its tensors, and {} all {}",
                other.name(),
                arch.name(),
                other.name(),
                fit.score(&needs)
            );
            let remedy = format!("give --arch {}", other.name());
            return Ok(Some(Error::model(file.path(), problem, remedy)));
        }
    }
    Ok(None)
}
