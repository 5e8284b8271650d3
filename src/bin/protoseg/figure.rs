//! `figure`: the paper's retrieval figure for chosen classes.

use protoseg::data::{Dataset, RgbImage};
use protoseg::explain::figure::{self, FigureClass, FigureRow, FigureSpec, OUTSIDE};
use protoseg::infer::Model;
use protoseg::{Error, Result, fs_atomic};

use crate::args::{Cli, FigureArgs};
use crate::eval::labelled;

/// How many images are looked at for each that is shown.
const CANDIDATES: usize = 4;

pub async fn figure(args: &FigureArgs, cli: &Cli) -> Result<()> {
    if args.rows == 0 {
        return Err(Error::config("--rows is 0", "give at least 1"));
    }
    let data = Dataset::open_with(&args.data, &args.split, &args.masks_of.options())?;
    let gpu = crate::open(cli).await?;
    let mut model = Model::open(&gpu, &args.model)?;
    model.needs_prototypes("the figure")?;
    let data = labelled(&model, data)?;
    let picture = draw(&mut model, &data, &args.classes, args.rows).await?;
    save_png(&picture, &args.out)?;
    eprintln!("wrote {} ({}x{})", args.out.display(), picture.width(), picture.height());
    Ok(())
}

/// Draws the figure of `names` with up to `rows` images per class.
pub async fn draw(
    model: &mut Model,
    data: &Dataset,
    names: &[String],
    rows: usize,
) -> Result<image::RgbImage> {
    let infos: Vec<_> =
        names.iter().map(|n| model.spec().classes.by_name(n.trim()).cloned()).collect::<Result<_>>()?;
    let mut classes = Vec::new();
    for info in infos {
        let mut block = FigureClass {
            class_name: info.name.clone(),
            class_color: info.color,
            num_prototypes: model.spec().net.prototypes,
            rows: Vec::new(),
        };
        for index in choose(model, data, info.id, rows).await? {
            block.rows.push(row(model, data, info.id, index).await?);
        }
        classes.push(block);
    }
    figure::render(&FigureSpec::of_model(model.spec(), classes))
}

/// One image, with what the model finds of `class` in it.
async fn row(model: &mut Model, data: &Dataset, class: u16, index: usize) -> Result<FigureRow> {
    let sample = data.load(index)?;
    let found = model.predict(&sample.image).await?;
    let inside = |c: u32, k: u32| if c == u32::from(class) { k as u8 } else { OUTSIDE };
    Ok(FigureRow {
        image: picture(&sample.image)?,
        nearest: found.classes.iter().zip(&found.prototypes).map(|(&c, &k)| inside(c, k)).collect(),
        labelled: sample.mask.labels.iter().map(|&l| l == class).collect(),
        strength: found.strength,
        name: data.samples()[index].name.clone(),
    })
}

/// Images that show the class well, by label and by prediction, and are not neighbours: frames of one sequence look
/// alike. Only those with the most labelled pixels are predicted.
async fn choose(model: &mut Model, data: &Dataset, class: u16, rows: usize) -> Result<Vec<usize>> {
    let count =
        |i: usize| -> Result<usize> { Ok(data.load(i)?.mask.labels.iter().filter(|&&l| l == class).count()) };
    let counts: Vec<usize> = (0..data.len()).map(count).collect::<Result<_>>()?;
    let mut order: Vec<usize> = (0..data.len()).filter(|&i| counts[i] > 0).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(counts[i]), i));
    let mut ranked = Vec::new();
    for index in spread(&order, rows * CANDIDATES, data.len()) {
        ranked.push((row(model, data, class, index).await?.clarity(), index));
    }
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let ranked: Vec<usize> = ranked.into_iter().map(|(_, index)| index).collect();
    Ok(spread(&ranked, rows, data.len()))
}

/// The first `wanted` of `order` that lie far apart among `len` images; the nearer, the fewer there are.
fn spread(order: &[usize], wanted: usize, len: usize) -> Vec<usize> {
    let mut apart = len / (2 * wanted.max(1));
    loop {
        let mut chosen: Vec<usize> = Vec::new();
        for &i in order {
            if chosen.len() < wanted && chosen.iter().all(|&j| i.abs_diff(j) > apart) {
                chosen.push(i);
            }
        }
        if chosen.len() == wanted.min(order.len()) || apart == 0 {
            return chosen;
        }
        apart /= 2;
    }
}

/// Our pixels as an `image` picture.
pub fn picture(image: &RgbImage) -> Result<image::RgbImage> {
    image::RgbImage::from_raw(image.width as u32, image.height as u32, image.rgb.clone())
        .ok_or_else(|| Error::shape("figure", "pixels do not fill the picture"))
}

/// Writes a figure beside and renames it.
pub fn save_png(picture: &image::RgbImage, path: &std::path::Path) -> Result<()> {
    fs_atomic::write_atomic(path, &figure::png(picture)?)
}
