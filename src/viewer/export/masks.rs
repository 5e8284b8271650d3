//! An analysis as PNG files: classes as numbers, prototypes in their colours, the retrieval figure.

use crate::data::RgbImage;
use crate::data::export::encode_png;
use crate::error::{Error, Result};
use crate::explain::figure::{self, FigureClass, FigureRow, FigureSpec, OUTSIDE};
use crate::explain::live::Legend;
use crate::gpu::Gpu;
use crate::infer::Maps;
use crate::model::ModelSpec;

/// `[H*W]` labels `class | k << 16`, read back.
pub async fn labels(gpu: &Gpu, maps: &Maps) -> Result<Vec<u32>> {
    let [height, width] = maps.size;
    Ok(bytemuck::pod_collect_to_vec(&gpu.read(&maps.label, (4 * height * width) as u64).await?))
}

/// A map of size `from` (height, width) at the size `to`: every pixel takes the nearest.
fn nearest<T: Copy>(map: &[T], from: [usize; 2], to: [usize; 2]) -> Vec<T> {
    let at = |i: usize, axis: usize| ((2 * i + 1) * from[axis] / (2 * to[axis])).min(from[axis] - 1);
    let columns: Vec<usize> = (0..to[1]).map(|x| at(x, 1)).collect();
    (0..to[0]).flat_map(|y| columns.iter().map(move |&x| map[at(y, 0) * from[1] + x])).collect()
}

/// A PNG of 8-bit RGB pixels.
pub fn rgb_png(image: &RgbImage) -> Result<Vec<u8>> {
    let [height, width] = side([image.height, image.width])?;
    Ok(encode_png(width, height, png::ColorType::Rgb, png::BitDepth::Eight, None, &image.rgb))
}

/// A size as a PNG header holds it: in 31 bits.
fn side(size: [usize; 2]) -> Result<[u32; 2]> {
    let fits = size.iter().all(|&side| i32::try_from(side).is_ok_and(|side| side > 0));
    let [height, width] = size;
    if !fits {
        return Err(Error::shape("write_png", format!("a PNG cannot hold {width} x {height} pixels")));
    }
    Ok([height as u32, width as u32])
}

/// Class indices as grey values at the image's size; with 16 bits where there are more than 256 classes.
pub fn class_mask(labels: &[u32], from: [usize; 2], to: [usize; 2], num_classes: usize) -> Result<Vec<u8>> {
    let [height, width] = side(to)?;
    let classes = nearest(labels, from, to).into_iter().map(|label| (label & 0xffff) as u16);
    let grey = png::ColorType::Grayscale;
    Ok(if num_classes > 256 {
        let bytes: Vec<u8> = classes.flat_map(u16::to_be_bytes).collect();
        encode_png(width, height, grey, png::BitDepth::Sixteen, None, &bytes)
    } else {
        let bytes: Vec<u8> = classes.map(|class| class as u8).collect();
        encode_png(width, height, grey, png::BitDepth::Eight, None, &bytes)
    })
}

/// Every pixel in the colour of its prototype, whatever is switched off in the window.
pub fn prototype_map(labels: &[u32], from: [usize; 2], to: [usize; 2], legend: &Legend) -> Result<Vec<u8>> {
    let color = |label: u32| legend.prototype((label & 0xffff) as usize, (label >> 16) as usize);
    let rgb = nearest(labels, from, to).into_iter().flat_map(color).collect();
    rgb_png(&RgbImage { height: to[0], width: to[1], rgb })
}

/// What the figure is drawn of.
pub struct Retrieval {
    /// The model.
    pub spec: ModelSpec,
    /// The class.
    pub class: usize,
    /// The image at any size.
    pub image: RgbImage,
    /// Its name.
    pub name: String,
    /// `[H*W]` of the analysis.
    pub truth: Option<std::sync::Arc<Vec<Option<u32>>>>,
}

impl Retrieval {
    /// The paper's retrieval figure of one class in one image, as a PNG file. `labels` are those of [`labels`].
    ///
    /// # Errors
    /// Those of the device and of [`figure::render`].
    pub async fn draw(self, gpu: &Gpu, maps: &Maps) -> Result<Vec<u8>> {
        let labels = labels(gpu, maps).await?;
        let [height, width] = maps.size;
        let scores: Vec<f32> =
            bytemuck::pod_collect_to_vec(&gpu.read(&maps.score, (16 * height * width) as u64).await?);
        let strength = scores.chunks_exact(4).map(|score| score[2]).collect();
        let found = self.spec_of(&labels, strength, maps.size)?;
        figure::png(&figure::render(&found)?)
    }

    fn spec_of(self, labels: &[u32], strength: Vec<f32>, [height, width]: [usize; 2]) -> Result<FigureSpec> {
        let Self { spec, class, image, name, truth } = self;
        let info = spec.classes.classes.get(class);
        let info = info.ok_or_else(|| Error::shape("figure", format!("there is no class {class}")))?;
        let k = spec.net.prototypes;
        if k > usize::from(OUTSIDE - 1) {
            let problem = format!("`{}` has {k} prototypes", info.name);
            return Err(Error::config(problem, "the figure tells 254 apart at most"));
        }
        let inside = |&label: &u32| {
            if (label & 0xffff) as usize == class { (label >> 16) as u8 } else { OUTSIDE }
        };
        let nearest: Vec<u8> = labels.iter().map(inside).collect();
        if nearest.iter().all(|&k| k == OUTSIDE) {
            let problem = format!("no pixel of {name} is predicted as `{}`", info.name);
            return Err(Error::config(problem, "select a class that is in the image"));
        }
        let image = if [image.height, image.width] == [height, width] {
            image
        } else {
            image.resized([height, width])
        };
        let picture = image::RgbImage::from_raw(width as u32, height as u32, image.rgb)
            .ok_or_else(|| Error::shape("figure", "pixels do not fill the picture"))?;
        let labelled = truth
            .map_or_else(Vec::new, |truth| truth.iter().map(|label| *label == Some(class as u32)).collect());
        let row = FigureRow { image: picture, nearest, labelled, strength, name };
        let block = FigureClass {
            class_name: info.name.clone(),
            class_color: info.color,
            num_prototypes: k,
            rows: vec![row],
        };
        Ok(FigureSpec::of_model(&spec, vec![block]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::live::{ClassColors, PrototypeColors};
    use crate::viewer::testing;

    fn decoded(bytes: &[u8]) -> (png::BitDepth, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG");
        let mut out = vec![0; reader.output_buffer_size().expect("small")];
        let info = reader.next_frame(&mut out).expect("a picture");
        out.truncate(info.buffer_size());
        (info.bit_depth, out)
    }

    #[test]
    fn classes_are_grey_values_at_the_images_size() {
        let labels = [0, 1 | 5 << 16, 2, 3];
        let (depth, pixels) = decoded(&class_mask(&labels, [2, 2], [2, 4], 4).expect("made"));
        assert_eq!((depth, &pixels[..]), (png::BitDepth::Eight, &[0, 0, 1, 1, 2, 2, 3, 3][..]));
        let (depth, pixels) = decoded(&class_mask(&[258], [1, 1], [1, 2], 300).expect("made"));
        assert_eq!((depth, &pixels[..]), (png::BitDepth::Sixteen, &[1, 2, 1, 2][..]));
    }

    #[test]
    fn prototypes_have_their_colours() {
        let mut legend =
            Legend::new(&[[200, 0, 0], [0, 0, 200]], 2, ClassColors::Dataset, PrototypeColors::Shades);
        legend.recolor_prototype(1, 1, [1, 2, 3]);
        legend.show(1, false);
        let (_, pixels) = decoded(&prototype_map(&[1 | 1 << 16, 0], [1, 2], [1, 2], &legend).expect("made"));
        assert_eq!(pixels[..3], [1, 2, 3]);
        assert_eq!(pixels[3..], legend.prototype(0, 0));
    }

    #[test]
    fn the_figure_shows_the_class_and_says_where_it_is_not() {
        let spec = testing::spec(r#"{"classes": [{"id": 0, "name": "Car"}, {"id": 1, "name": "Sky"}]}"#);
        let make = |class| Retrieval {
            spec: spec.clone(),
            class,
            image: RgbImage { width: 8, height: 6, rgb: vec![90; 144] },
            name: "scene 1".into(),
            truth: None,
        };
        let labels: Vec<u32> = (0..12).map(|i| (i % 3) << 16).collect();
        let found = make(0).spec_of(&labels, vec![0.5; 12], [3, 4]).expect("the class is there");
        assert_eq!(found.classes[0].rows[0].nearest[..4], [0, 1, 2, 0]);
        assert_eq!(figure::render(&found).expect("a figure").width(), figure::WIDTH);
        let said = make(1).spec_of(&labels, vec![0.5; 12], [3, 4]).unwrap_err().to_string();
        assert!(said.contains("no pixel of scene 1 is predicted as `Sky`"), "{said}");
    }
}
