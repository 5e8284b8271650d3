//! The whole model of the method's authors as a model file of this program.

use std::path::Path;

use serde_json::json;

use crate::data::{Classes, Layout, MAX_CLASSES, Normalisation};
use crate::error::{Error, Result};
use crate::head::HeadOptions;
use crate::model::{ModelSpec, NetOptions, Provenance};
use crate::proto::Profile;

use super::checkpoint::Checkpoint;
use super::{Family, Imported, needs, read};

/// The images' colours as the authors' network sees them: blue, green, red by the means and deviations of red, green, blue
/// (quirk Q16). The first convolution is turned round on the way, so these are for red, green, blue.
const NORMALISATION: Normalisation =
    Normalisation { mean: [0.406, 0.456, 0.485], std: [0.225, 0.224, 0.229] };

/// Height and width of the authors' training crops.
const CROP: [usize; 2] = [512, 1024];

/// Reads `source`, a checkpoint of the method's authors, for a network of `net`, which is called `name`: its classes, prototypes and
/// dimension are those of the file's prototypes `[C, K, D]`, its head follows the released code.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Model`] where it holds no prototypes; those of a description that
/// cannot be.
pub fn import_model(source: &Path, name: &str, net: NetOptions) -> Result<Imported> {
    let file = Checkpoint::open(source)?;
    let is_prototypes = |name: &str| name.rsplit('.').next() == Some("prototypes");
    let shape =
        file.headers().iter().find(|header| is_prototypes(&header.name)).map(|header| &header.shape[..]);
    let Some(&[classes, prototypes, embedding]) = shape else {
        let problem = "holds no `prototypes` of shape [classes, prototypes, dimension]";
        return Err(Error::model(
            source,
            problem,
            "give a checkpoint of ProtoSeg, or an --arch of a backbone",
        ));
    };
    let spec = ModelSpec {
        net: NetOptions { prototypes, embedding, ..net },
        head: HeadOptions::profile(Profile::Off),
        classes: named_classes(classes).ok_or_else(|| {
            let problem = format!("holds the prototypes of {classes} classes");
            Error::model(source, problem, format!("give a model of 1 to {MAX_CLASSES} classes"))
        })?,
        normalisation: NORMALISATION,
        provenance: Provenance {
            protoseg: env!("CARGO_PKG_VERSION").into(),
            data: file.path().file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            crop: CROP,
            ..Provenance::default()
        },
    };
    spec.check()?;
    let imported = read(&file, Family::ProtoSeg, name, &needs::of_model(&spec)?)?;
    Ok(Imported { spec: Some(spec), ..imported })
}

/// The classes of the data set that has as many, in the order in which they are trained; numbered ones otherwise. `None` for more
/// than there can be: a file claims its number before any prototype is read.
fn named_classes(count: usize) -> Option<Classes> {
    if count > MAX_CLASSES {
        return None;
    }
    let layouts = [Layout::Cityscapes, Layout::Ade20k, Layout::CocoStuff, Layout::Voc];
    let known = layouts.into_iter().filter_map(Layout::published);
    if let Some(classes) = known.into_iter().find(|classes| classes.len() == count) {
        return Some(classes);
    }
    let class = |id: usize| json!({"id": id, "name": format!("class {id}")});
    let list: Vec<_> = (0..count).map(class).collect();
    Classes::parse(&json!({"classes": list}).to_string()).ok()
}
