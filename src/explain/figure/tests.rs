//! Figures of odd shapes are drawn, and inputs that contradict themselves are refused in words.

use super::*;

fn row(w: u32, h: u32, k: u8) -> FigureRow {
    let image = RgbImage::from_fn(w, h, |x, y| Rgb([(x * 3) as u8, (y * 5) as u8, 90]));
    let nearest = (0..w * h)
        .map(|i| {
            let (x, y) = (i % w, i / w);
            let inside = x >= w / 3 && x <= w / 2 && y >= h / 4;
            if inside { (u64::from(y) * u64::from(k) / u64::from(h)) as u8 } else { OUTSIDE }
        })
        .collect();
    let strength = vec![0.9; (w * h) as usize];
    FigureRow { image, nearest, labelled: vec![], strength, name: format!("{w} x {h}") }
}

fn class(name: &str, k: u8, rows: Vec<FigureRow>) -> FigureClass {
    FigureClass { class_name: name.into(), class_color: [180, 20, 40], num_prototypes: usize::from(k), rows }
}

fn spec(classes: Vec<FigureClass>) -> FigureSpec {
    FigureSpec { title: "Title".into(), subtitle: "Subtitle".into(), classes }
}

fn refusal(classes: Vec<FigureClass>) -> String {
    render(&spec(classes)).expect_err("must be refused").to_string()
}

#[test]
fn a_landscape_class_shows_every_prototype_colour() {
    let figure = render(&spec(vec![class("person", 3, vec![row(64, 40, 3)])])).expect("a figure");
    assert_eq!(figure.width(), WIDTH);
    for color in crate::explain::palette::series(3) {
        let legend = figure.pixels().filter(|p| p.0 == color).count();
        assert!(legend > 400, "legend swatch of {color:?}: {legend} pixels");
    }
}

#[test]
fn odd_shapes_are_drawn() {
    let long = "an exceedingly long class name ".repeat(12);
    let mut absent = row(40, 30, 2);
    absent.nearest.fill(OUTSIDE);
    let classes = vec![
        class(&long, 16, vec![row(30, 90, 16), row(90, 30, 16)]),
        class("empty", 1, vec![]),
        class("absent", 2, vec![absent]),
        class("dot", 1, vec![row(1, 1, 1)]),
        class("strips", 2, vec![row(300, 1, 2), row(1, 300, 2)]),
        class("many", 200, vec![row(20, 20, 200)]),
    ];
    let figure = render(&spec(classes)).expect("a figure");
    assert!(figure.height() > 2000);
    let bare = FigureSpec { title: " ".into(), subtitle: String::new(), classes: vec![class("", 1, vec![])] };
    assert!(render(&bare).is_ok());
}

#[test]
fn standing_images_without_close_ups_stand_in_pairs() {
    let full = || FigureRow { nearest: vec![0; 30 * 50], ..row(30, 50, 1) };
    let height = |n: usize| {
        let rows = (0..n).map(|_| full()).collect();
        render(&spec(vec![class("sky", 1, rows)])).expect("a figure").height()
    };
    assert_eq!(height(3), height(4), "the fourth stands beside the third");
    assert!(height(5) > height(4));
}

#[test]
fn a_row_whose_subject_fills_the_frame_has_no_close_up() {
    let height = |rows| render(&spec(vec![class("car", 1, rows)])).expect("a figure").height();
    let small = || row(60, 40, 1);
    let full = || FigureRow { nearest: vec![0; 60 * 40], ..row(60, 40, 1) };
    // Without a close-up beside them the pictures have the room to be larger.
    assert!(height(vec![full()]) > height(vec![small()]) + 150);
    assert!(height(vec![small(), full()]) > height(vec![small(), small()]) + 150);
}

#[test]
fn the_file_says_how_large_it_is_printed() {
    let figure = render(&spec(vec![class("car", 2, vec![row(33, 21, 2)])])).expect("a figure");
    let bytes = png(&figure).expect("a PNG");
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG");
    let dims = reader.info().pixel_dims.expect("a size in print");
    assert_eq!((dims.xppu, dims.yppu, dims.unit), (11_811, 11_811, png::Unit::Meter));
    let centimetres = f64::from(figure.width()) / f64::from(dims.xppu) * 100.0;
    assert!((centimetres - 20.32).abs() < 0.01, "{centimetres} cm wide");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    reader.next_frame(&mut pixels).expect("pixels");
    assert_eq!(&pixels, figure.as_raw());
}

#[test]
fn the_same_input_gives_the_same_picture() {
    let draw = || render(&spec(vec![class("car", 4, vec![row(33, 21, 4)])])).expect("a figure");
    assert!(draw() == draw());
}

#[test]
fn contradictions_are_refused_in_words() {
    assert!(refusal(vec![]).contains("no class"));
    assert!(refusal(vec![class("car", 0, vec![])]).contains("0 prototypes"));
    assert!(refusal(vec![class("car", 255, vec![])]).contains("1 to 254"));
    assert!(refusal(vec![class("car", 2, vec![row(20, 20, 3)])]).contains("names prototype 2"));
    let mut short = row(5, 4, 2);
    short.strength.pop();
    assert!(refusal(vec![class("car", 2, vec![short])]).contains("20 pixels"));
    let mut unlabelled = row(5, 4, 2);
    unlabelled.labelled.push(true);
    assert!(refusal(vec![class("car", 2, vec![unlabelled])]).contains("1 labels"));
    let empty = FigureRow { image: RgbImage::new(0, 7), nearest: vec![], strength: vec![], ..row(1, 1, 1) };
    assert!(refusal(vec![class("car", 2, vec![empty])]).contains("0 x 7"));
}
