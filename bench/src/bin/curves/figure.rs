//! Curves as SVG, legible on light and dark pages: no background, grey axes, colours of middle brightness. Text is left
//! to the reader's fonts. A point is the median of its rounds, and the bar through it reaches from least to most.

use std::ops::Range;
use std::path::Path;

use plotters::prelude::*;

use crate::curve::{Curve, Name, Point, Spread};

/// An axis: linear from zero, or by powers of ten.
#[derive(Clone, Copy, Debug)]
struct Axis {
    label: &'static str,
    is_log: bool,
}

/// One quantity in a chart, and how its lines are told apart.
type Quantity = (&'static str, fn(&Point) -> Option<Spread>);

/// One chart of a curve.
struct Chart {
    file: &'static str,
    title: &'static str,
    x: Axis,
    y: Axis,
    /// What a value is multiplied by, for the axis' unit.
    scale: f64,
    quantities: Vec<Quantity>,
}

const fn linear(label: &'static str) -> Axis {
    Axis { label, is_log: false }
}

const fn log(label: &'static str) -> Axis {
    Axis { label, is_log: true }
}

const CPU: Quantity = ("", |point| point.cpu_us);
const USER: Quantity = (", of it user code", |point| point.user_us);
const SLAB: Quantity = ("kernel slab, both ends", |point| point.slab_bytes);
const RESIDENT: Quantity = ("server, resident", |point| point.user_bytes);

/// The charts of a curve.
fn charts(name: Name) -> Vec<Chart> {
    let chart = |file, title, x, y, scale, quantities| Chart { file, title, x, y, scale, quantities };
    let cpu = "server CPU, µs per message";
    match name {
        Name::Connections => vec![chart(
            "connections",
            "Calls beside idle connections",
            linear("idle connections beside 200 busy ones"),
            linear("server CPU, µs per call"),
            1.0,
            vec![CPU, USER],
        )],
        Name::Idle => vec![
            chart(
                "idle-memory",
                "Memory of idle connections",
                linear("connections"),
                linear("MB"),
                1e-6,
                vec![SLAB, RESIDENT],
            ),
            chart(
                "idle-cpu",
                "CPU of idle connections, a ping each 8 s",
                linear("connections"),
                linear("server, % of a CPU"),
                100.0,
                vec![("heartbeats and ticks", |point| point.cpu_share)],
            ),
        ],
        Name::Channels => vec![
            chart(
                "channels",
                "Publications over many channels, one subscriber each",
                log("channels"),
                linear("server CPU, µs per publication"),
                1.0,
                vec![CPU, USER],
            ),
            chart("channels-memory", "Memory of channels", log("channels"), log("MB"), 1e-6, vec![RESIDENT]),
        ],
        Name::Subscribers => vec![chart(
            "subscribers",
            "Fan-out of 64 B, W publications in flight",
            log("subscribers of the channel"),
            log("server CPU, µs per delivery"),
            1.0,
            vec![CPU],
        )],
        Name::Size => vec![chart(
            "size",
            "Calls by size, P in flight on each of 50 connections",
            log("bytes of argument and answer"),
            log(cpu),
            1.0,
            vec![CPU],
        )],
        Name::Shards => vec![chart(
            "shards",
            "Throughput over shards",
            linear("shards"),
            linear("million messages per second"),
            1e-6,
            vec![("", |point| point.rate)],
        )],
        Name::All => Vec::new(),
    }
}

impl Chart {
    /// Where its lines leave room.
    fn legend(&self) -> SeriesLabelPosition {
        match self.file {
            "connections" | "channels" => SeriesLabelPosition::MiddleRight,
            "subscribers" => SeriesLabelPosition::UpperRight,
            _ => SeriesLabelPosition::UpperLeft,
        }
    }
}

/// Draws every chart of a curve.
pub(crate) fn draw(curve: &Curve, folder: &Path) -> Result<(), String> {
    charts(curve.name).iter().try_for_each(|chart| {
        let path = folder.join(format!("{}.svg", chart.file));
        let lines = lines(curve, chart);
        if lines.iter().all(|line| line.points.len() < 2) {
            eprintln!("{}: a single point is no curve; not drawn", path.display());
            return Ok(());
        }
        plot(chart, &lines, &path).map_err(|error| format!("cannot draw {}: {error}", path.display()))
    })
}

/// What is drawn of a line: axis positions, and values from least to most.
struct Line {
    label: String,
    points: Vec<(f64, Spread)>,
}

fn lines(curve: &Curve, chart: &Chart) -> Vec<Line> {
    let mut names: Vec<&str> = Vec::new();
    for point in &curve.points {
        if !names.contains(&point.line.as_str()) {
            names.push(&point.line);
        }
    }
    let line = |name: &str, quantity: &Quantity| {
        let points = curve.points.iter().filter(|point| point.line == name).filter_map(|point| {
            let spread = (quantity.1)(point).filter(|spread| !chart.y.is_log || spread.min > 0.0)?;
            let place = |value: f64| chart.y.place(value * chart.scale);
            let place = Spread { min: place(spread.min), median: place(spread.median), max: place(spread.max) };
            Some((chart.x.place(point.x), place))
        });
        let is_whole = quantity.0.is_empty() || quantity.0.starts_with(',');
        let label = if is_whole { format!("{name}{}", quantity.0) } else { quantity.0.to_owned() };
        Line { label, points: points.collect() }
    };
    let all = names.iter().flat_map(|name| chart.quantities.iter().map(|quantity| line(name, quantity)));
    // The measurements for the model have one point each; they belong into no chart.
    all.filter(|line| line.points.len() > 1 || curve.name == Name::Shards && !line.points.is_empty()).collect()
}

impl Axis {
    /// Where on the axis a value is.
    fn place(self, value: f64) -> f64 {
        if self.is_log { value.log10() } else { value }
    }

    /// From where to where it goes, and how many labels fit: one for each power of ten.
    fn range(self, values: impl Iterator<Item = f64> + Clone) -> (Range<f64>, usize) {
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let most = values.fold(f64::NEG_INFINITY, f64::max);
        if self.is_log {
            let (least, most) = (least.floor(), most.ceil().max(least.floor() + 1.0));
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let powers = (most - least) as usize + 1;
            return (least..most, powers);
        }
        (0.0..(most * 1.1).max(f64::MIN_POSITIVE), 8)
    }

    /// What stands at a place.
    fn text(self, place: f64) -> String {
        let value = if self.is_log { 10_f64.powf(place) } else { place };
        match value {
            _ if value >= 1e6 => format!("{} M", trim(value / 1e6)),
            _ if value >= 1e4 => format!("{} k", trim(value / 1e3)),
            _ => trim(value),
        }
    }
}

/// A number without zeros at its end.
fn trim(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Readable on white and on black: contrast 4 and 5 to 1.
const GREY: RGBColor = RGBColor(0x80, 0x80, 0x80);
const COLOURS: [RGBColor; 4] =
    [RGBColor(0x2f, 0x81, 0xf7), RGBColor(0xe3, 0x6b, 0x1e), RGBColor(0x2d, 0xa4, 0x4e), RGBColor(0xbf, 0x4b, 0x8a)];
const SIZE: (u32, u32) = (720, 400);

fn plot(chart: &Chart, lines: &[Line], path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let font = |size: u32| ("sans-serif", size).into_font().color(&GREY);
    let values = || lines.iter().flat_map(|line| &line.points);
    let (x, x_labels) = chart.x.range(values().map(|point| point.0));
    let (y, y_labels) = chart.y.range(values().flat_map(|point| [point.1.min, point.1.max]));
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    let mut builder = ChartBuilder::on(&area);
    builder.margin(12).margin_right(24).x_label_area_size(46).y_label_area_size(66).caption(chart.title, font(18));
    let mut context = builder.build_cartesian_2d(x, y)?;
    context
        .configure_mesh()
        .axis_style(GREY)
        .bold_line_style(GREY.mix(0.25))
        .light_line_style(TRANSPARENT)
        .x_desc(chart.x.label)
        .y_desc(chart.y.label)
        .axis_desc_style(font(14))
        .label_style(font(13))
        .x_labels(x_labels)
        .y_labels(y_labels)
        .x_label_formatter(&|place| chart.x.text(*place))
        .y_label_formatter(&|place| chart.y.text(*place))
        .draw()?;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let medians = line.points.iter().map(|point| (point.0, point.1.median));
        context
            .draw_series(LineSeries::new(medians.clone(), colour.stroke_width(2)))?
            .label(&line.label)
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        context.draw_series(medians.map(|place| Circle::new(place, 3, colour.filled())))?;
        let bars = line.points.iter().map(|point| [(point.0, point.1.min), (point.0, point.1.max)]);
        context.draw_series(bars.map(|bar| PathElement::new(bar, colour.mix(0.6).stroke_width(1))))?;
    }
    context
        .configure_series_labels()
        .position(chart.legend())
        .border_style(GREY.mix(0.4))
        .label_font(font(13))
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::SCHEMA;

    #[test]
    fn labels_are_short_and_powers_of_ten_where_the_axis_is_logarithmic() {
        let axis = log("");
        let (range, labels) = axis.range([axis.place(2.0), axis.place(400_000.0)].into_iter());
        assert_eq!((range, labels), (0.0..6.0, 7));
        assert_eq!([0.0, 3.0, 4.0, 6.0, -1.0].map(|place| axis.text(place)), ["1", "1000", "10 k", "1 M", "0.1"]);
        assert_eq!(linear("").text(2.5), "2.5");
    }

    #[test]
    fn every_chart_is_drawn_with_its_lines_labels_and_no_background() {
        let folder = std::env::temp_dir().join(format!("socketshard-figures-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        for name in Name::EACH {
            let value = |value| Spread::of([value, value * 1.5]);
            let point = |x: f64| Point {
                line: "a line".to_owned(),
                x,
                cpu_us: value(x),
                user_us: value(x / 2.0),
                rate: value(1e6 * x),
                user_bytes: value(1e6 * x),
                slab_bytes: value(1e7 * x),
                cpu_share: value(0.01 * x),
                ..Point::default()
            };
            let curve = Curve {
                schema: SCHEMA.to_owned(),
                name,
                rounds: 2,
                seconds: 1.0,
                machine: serde_json::Value::Null,
                commit: None,
                command: String::new(),
                points: vec![point(1.0), point(10.0), point(100.0)],
            };
            draw(&curve, &folder).expect("drawn");
            for chart in charts(name) {
                let text = std::fs::read_to_string(folder.join(format!("{}.svg", chart.file))).expect("an SVG");
                for expected in [chart.title, chart.x.label, chart.y.label] {
                    assert!(text.contains(expected), "{}: {expected}", chart.file);
                }
                assert!(text.matches("<polyline").count() >= chart.quantities.len(), "{}", chart.file);
                assert!(!text.contains("NaN") && !text.contains("#FFFFFF"), "{}", chart.file);
            }
        }
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
