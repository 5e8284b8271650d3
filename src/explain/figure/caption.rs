//! What a figure says of the model.

use crate::model::ModelSpec;
use crate::words::counted;

use super::{FigureClass, FigureSpec};

impl FigureSpec {
    /// A figure of a model's classes, with the headline and the sentence that every such figure has.
    #[must_use]
    pub fn of_model(spec: &ModelSpec, classes: Vec<FigureClass>) -> Self {
        let trained = spec.provenance.miou.map_or(String::new(), |m| {
            let images = counted(spec.provenance.val_images, "validation image");
            format!(", mIoU {:.1} % on {images}", 100.0 * m)
        });
        let steps = match spec.provenance.step {
            0 => "untrained".to_owned(),
            count => counted(count as usize, "step"),
        };
        Self {
            title: "Pixels in the colour of their nearest prototype".into(),
            subtitle: format!(
                "K = {} prototypes per class, {steps}{trained}. Colours show which of a class's own prototypes is nearest; \
                 nobody labelled parts.",
                spec.net.prototypes
            ),
            classes,
        }
    }
}
