//! What the network computes of one image, as tensors for other programs.

use crate::data::RgbImage;
use crate::error::{Error, Result};
use crate::model_file::{Tensor, Tensors};
use crate::tape::Store;

use super::predict::{Predictor, Want};

impl Predictor {
    /// `classes [1,H,W]` and, of a model with prototypes, `prototypes [1,H,W]`, both as whole numbers; at the resolution of the
    /// features `logits [1,h,w,C]` and `embedding [1,h,w,D]`. The names and shapes are those of an exported graph's outputs.
    ///
    /// # Errors
    /// [`Error::Device`] for an image that does not fit the device as a whole; those of the device.
    pub async fn tensors(&mut self, store: &mut Store, image: &RgbImage) -> Result<Tensors> {
        let (height, width) = (image.height, image.width);
        if self.window(height, width, Want::Tensors)? != [height, width] {
            return Err(Error::device(
                format!("the tensors of {width}x{height} pixels do not fit the adapter"),
                "give a smaller image, or choose another --adapter",
            ));
        }
        let found = self.logits_as(store, image, Want::Tensors).await?;
        let [h, w] = found.size;
        let r = &self.plan(store, height, width, Want::Tensors).await?;
        let whole = |data: Vec<u32>| Tensor {
            shape: vec![1, height, width],
            data: data.into_iter().map(|x| x as f32).collect(),
        };
        let mut out = Tensors::from([("classes".to_owned(), whole(r.plan.read(r.recorded.pred).await?))]);
        if let Some(prototypes) = r.recorded.prototypes {
            out.insert("prototypes".to_owned(), whole(r.plan.read(prototypes.nearest).await?));
        }
        let embedding: Vec<f32> = r.plan.read(r.recorded.emb).await?;
        let map = |data: Vec<f32>| Tensor { shape: vec![1, h, w, data.len() / (h * w)], data };
        out.insert("logits".to_owned(), map(found.values));
        out.insert("embedding".to_owned(), map(embedding));
        Ok(out)
    }
}
