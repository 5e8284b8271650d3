//! One chart per curve: axes with round ticks, the line, a moving average where values are many, a read-out.

use super::Curve;
use super::markup::{escape, short};
use std::fmt::Write;

/// The drawing's coordinates; on the page it scales to its column.
const VIEW: (f64, f64) = (360.0, 200.0);
/// Left, right, top and bottom edge of the plot.
const PLOT: [f64; 4] = [46.0, 350.0, 8.0, 176.0];
/// Beyond this many points a line gets a moving average, and the raw values step back.
const SMOOTHED_FROM: usize = 80;
/// At most this many columns are drawn per line, each with its lowest and highest value.
const COLUMNS: usize = 300;
const LINES: [&str; 6] = ["#3d6ff0", "#e0642a", "#12a583", "#8b5cf0", "#d6338a", "#a87f00"];

/// All charts; empty without curves.
pub(super) fn section(curves: &[Curve]) -> String {
    if curves.is_empty() {
        return String::new();
    }
    let charts: String = curves.iter().enumerate().map(|(i, c)| chart(c, LINES[i % LINES.len()])).collect();
    format!("<div class=\"charts\">{charts}</div>")
}

fn chart(curve: &Curve, color: &str) -> String {
    let unit = if curve.unit.is_empty() { String::new() } else { format!("\u{2009}{}", escape(&curve.unit)) };
    let mut points: Vec<(f64, f64)> = curve.points.iter().copied().filter(|p| p.0.is_finite()).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let finite: Vec<(f64, f64)> = points.iter().copied().filter(|p| p.1.is_finite()).collect();
    let missing = curve.points.len() - finite.len();
    let mut notes = Vec::new();
    let (last, body) = match (finite.last(), finite.len()) {
        (Some(&(_, last)), num_points) => {
            let lowest = finite.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
            let highest = finite.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
            let smoothed = num_points > SMOOTHED_FROM && noisy(&finite, highest - lowest);
            let window = if smoothed { num_points / 40 + 1 } else { 1 };
            notes.push(format!("lowest {}, highest {}", short(lowest), short(highest)));
            if window > 1 {
                notes.push(format!("thick: mean of {window}"));
            }
            let label = format!(
                "{}: last {}{unit}, lowest {}, highest {}",
                escape(&curve.name),
                short(last),
                short(lowest),
                short(highest)
            );
            let drawing = plot(&points, &finite, window, (lowest, highest), color, &label);
            (format!("{}{unit}", short(last)), drawing)
        }
        (None, _) => ("\u{2013}".to_owned(), "<p class=\"empty\">No value was recorded.</p>".to_owned()),
    };
    let mut warning = String::new();
    if missing > 0 {
        let what = if missing == 1 { "1 value is" } else { &format!("{missing} values are") };
        warning = format!("<p class=\"note\"><b class=\"bad\">{what} not finite and left out</b></p>");
    }
    format!(
        "<figure class=\"chart\" style=\"--line:{color}\"><figcaption><b>{}</b><span class=\"read\">\
         <i class=\"swatch\" style=\"background:{color}\"></i><output data-unit=\"{unit}\">{last}</output></span></figcaption>{body}<p class=\"note\">{}</p>{warning}</figure>",
        escape(&curve.name),
        notes.join(" \u{b7} "),
    )
}

/// Whether the line goes up and down so much (three times its range in all) that its mean tells more than itself.
fn noisy(finite: &[(f64, f64)], range: f64) -> bool {
    finite.windows(2).map(|p| (p[1].1 - p[0].1).abs()).sum::<f64>() > 3.0 * range
}

/// Where values land in the drawing.
struct Axes {
    x: (f64, f64),
    y: (f64, f64),
}

impl Axes {
    fn new(finite: &[(f64, f64)], (low, high): (f64, f64)) -> Self {
        let widen = |lo: f64, hi: f64| if hi > lo { (lo, hi) } else { (lo - 0.5, hi + 0.5) };
        let x = widen(finite[0].0, finite[finite.len() - 1].0);
        // A loss or an mIoU is read against zero, unless zero is far away.
        let floor = if low >= 0.0 && low < 0.5 * high { 0.0 } else { low };
        let pad = if high > low { 0.06 * (high - floor) } else { high.abs().max(1e-6) * 0.1 };
        Self { x, y: (if floor == 0.0 && low >= 0.0 { 0.0 } else { floor - pad }, high + pad) }
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let [left, right, top, bottom] = PLOT;
        let u = (x - self.x.0) / (self.x.1 - self.x.0);
        let v = (y - self.y.0) / (self.y.1 - self.y.0);
        (left + u * (right - left), bottom - v * (bottom - top))
    }
}

fn plot(
    points: &[(f64, f64)],
    finite: &[(f64, f64)],
    window: usize,
    range: (f64, f64),
    color: &str,
    label: &str,
) -> String {
    let axes = Axes::new(finite, range);
    let [left, right, top, bottom] = PLOT;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{label}\" data-points=\"{}\">",
        VIEW.0,
        VIEW.1,
        hover(&axes, finite)
    );
    let (rows, columns) = (ticks(axes.y, 4), ticks(axes.x, 4));
    for (tick, label) in std::iter::zip(&rows, labels(&rows)) {
        let (_, y) = axes.place((axes.x.0, *tick));
        let _ = write!(svg, "<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>");
        let _ =
            write!(svg, "<text class=\"tick y\" x=\"{}\" y=\"{:.1}\">{label}</text>", left - 6.0, y + 3.5);
    }
    for (i, (tick, label)) in std::iter::zip(&columns, labels(&columns)).enumerate() {
        let (x, _) = axes.place((*tick, axes.y.0));
        let _ = write!(svg, "<path class=\"axis\" d=\"M{x:.1} {bottom}v4\"/>");
        let label = if i == 0 { format!("step {label}") } else { label };
        // A label centred on the last tick would leave the drawing.
        let x = x.min(VIEW.0 - 3.2 * label.len() as f64);
        let _ = write!(svg, "<text class=\"tick x\" x=\"{x:.1}\" y=\"{}\">{label}</text>", bottom + 16.0);
    }
    let _ = write!(svg, "<path class=\"axis\" d=\"M{left} {bottom}H{right}\"/>");
    let raw = if window > 1 { "raw" } else { "line" };
    let segments: Vec<&[(f64, f64)]> = points.split(|p| !p.1.is_finite()).filter(|s| !s.is_empty()).collect();
    for segment in &segments {
        let _ = write!(svg, "<path class=\"{raw}\" d=\"{}\"/>", path(&axes, segment));
        if window > 1 {
            let _ =
                write!(svg, "<path class=\"line\" d=\"{}\"/>", path(&axes, &moving_mean(segment, window)));
        }
    }
    if finite.len() <= 24 {
        for &point in finite {
            let (x, y) = axes.place(point);
            let _ =
                write!(svg, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\" fill=\"{color}\"/>");
        }
    }
    let _ =
        write!(svg, "<path class=\"cursor\" d=\"M0 {top}V{bottom}\"/><circle class=\"spot\" r=\"4\"/></svg>");
    svg
}

/// Round values inside the range, about `wanted` of them.
fn ticks((low, high): (f64, f64), wanted: usize) -> Vec<f64> {
    let rough = (high - low) / wanted as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|&s| s >= rough)
        .unwrap_or(10.0 * power);
    let first = (low / step).ceil();
    (0..=2 * wanted)
        .map(|i| (first + i as f64) * step)
        .take_while(|&t| t <= high + 1e-9 * step)
        .map(|t| if t.abs() < 1e-9 * step { 0.0 } else { t })
        .collect()
}

/// What is written beside ticks: as short as it can be while no two are alike.
fn labels(ticks: &[f64]) -> Vec<String> {
    let unlike = |labels: &Vec<String>| labels.windows(2).all(|pair| pair[0] != pair[1]);
    let shortest: Vec<String> = ticks.iter().map(|&tick| short(tick)).collect();
    let fixed = |digits: usize| ticks.iter().map(|tick| format!("{tick:.digits$}")).collect();
    Some(shortest.clone()).into_iter().chain((0..=9).map(fixed)).find(unlike).unwrap_or(shortest)
}

/// The line through the points; many points become columns of lowest and highest value, so that no spike is lost.
fn path(axes: &Axes, points: &[(f64, f64)]) -> String {
    let chunk = points.len().div_ceil(COLUMNS).max(1);
    let mut kept = Vec::new();
    for part in points.chunks(chunk) {
        let low = part.iter().enumerate().min_by(|a, b| a.1.1.total_cmp(&b.1.1)).map(|(i, _)| i);
        let high = part.iter().enumerate().max_by(|a, b| a.1.1.total_cmp(&b.1.1)).map(|(i, _)| i);
        let (Some(low), Some(high)) = (low, high) else { continue };
        kept.push(part[low.min(high)]);
        if low != high {
            kept.push(part[low.max(high)]);
        }
    }
    let mut d = String::new();
    for (i, &point) in kept.iter().enumerate() {
        let (x, y) = axes.place(point);
        let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
    }
    if kept.len() == 1 {
        // With round caps a line of no length is a dot.
        d.push_str("h0");
    }
    d
}

/// Mean of `window` neighbours, fewer at the ends.
fn moving_mean(points: &[(f64, f64)], window: usize) -> Vec<(f64, f64)> {
    let half = window / 2;
    (0..points.len())
        .map(|i| {
            let part = &points[i.saturating_sub(half)..(i + half + 1).min(points.len())];
            (points[i].0, part.iter().map(|p| p.1).sum::<f64>() / part.len() as f64)
        })
        .collect()
}

/// What the script shows under the pointer: "x y step value" in the drawing's coordinates, separated by `|`.
fn hover(axes: &Axes, finite: &[(f64, f64)]) -> String {
    let stride = finite.len().div_ceil(COLUMNS).max(1);
    let readings: Vec<String> = finite
        .iter()
        .step_by(stride)
        .map(|&p| {
            let (x, y) = axes.place(p);
            format!("{x:.1} {y:.1} {} {}", short(p.0), short(p.1))
        })
        .collect();
    readings.join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: Vec<(f64, f64)>) -> String {
        chart(&Curve { name: "a<b".into(), unit: "%".into(), points }, "#123456")
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks((0.0, 1.0), 4), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(ticks((0.0, 7300.0), 4), [0.0, 2000.0, 4000.0, 6000.0]);
        assert!(ticks((-0.3, 0.3), 4).contains(&0.0));
        assert_eq!(labels(&[0.5, 1.0]), ["0.5", "1"]);
        assert_eq!(labels(&[0.86955, 0.8696, 0.86965]), ["0.86955", "0.86960", "0.86965"]);
        assert_eq!(labels(&[1_000_500.0, 1_001_000.0]), ["1000500", "1001000"]);
    }

    #[test]
    fn a_gap_breaks_the_line_and_is_said() {
        let svg = curve(vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0), (f64::INFINITY, 1.0)]);
        assert_eq!(svg.matches("class=\"line\"").count(), 2);
        assert!(svg.contains("2 values are not finite"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert!(svg.contains("<b>a&lt;b</b>"));
        assert!(svg.contains("aria-label=\"a&lt;b: last 3\u{2009}%, lowest 1, highest 3\""), "{svg}");
    }

    #[test]
    fn no_value_one_value_and_a_constant_are_drawn() {
        assert!(curve(vec![]).contains("No value was recorded"));
        assert!(curve(vec![(3.0, f64::NAN)]).contains("1 value is not finite"));
        for points in [vec![(5.0, 2.0)], vec![(0.0, 0.0), (9.0, 0.0)], vec![(0.0, -4.0), (9.0, -4.0)]] {
            let svg = curve(points);
            assert!(svg.contains("class=\"line\"") && !svg.contains("NaN"), "{svg}");
        }
    }

    #[test]
    fn only_noise_is_smoothed() {
        let zigzag = curve((0..400).map(|i| (f64::from(i), f64::from(i % 2))).collect());
        assert!(zigzag.contains("thick: mean of 11") && zigzag.contains("class=\"raw\""));
        assert!(!curve((0..400).map(|i| (f64::from(i), f64::from(i))).collect()).contains("thick"));
    }

    #[test]
    fn many_points_keep_their_spike_and_stay_small() {
        let mut points: Vec<(f64, f64)> = (0..50_000).map(|i| (f64::from(i), 1.0)).collect();
        points[31_337].1 = 9.0;
        let axes = Axes::new(&points, (1.0, 9.0));
        let (_, top) = axes.place((0.0, 9.0));
        let d = path(&axes, &points);
        assert!(d.contains(&format!(" {top:.1}")) && d.len() < 20_000);
        assert!(curve(points).contains("highest 9"));
    }
}
