//! The picture of a comparison: requests per second by connections, a panel for each model. An SVG written by hand: two
//! lines, some text, no library. Pure.

use std::fmt::Write;

use crate::report::{Model, Row, figure};

/// Of one panel with its margins, in pixels.
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 300.0;
/// Around the axes: left, right, top, bottom.
const LEFT: f64 = 66.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 46.0;
/// Above all panels, for the legend.
const HEAD: f64 = 44.0;

const OURS: &str = "#c2410c";
const BARE: &str = "#64748b";
const INK: &str = "#1e293b";
const GRID: &str = "#e2e8f0";

/// The whole picture.
pub fn svg(models: &[Model]) -> String {
    let columns = models.len().clamp(1, 2);
    let (width, height) = (
        WIDTH * columns as f64,
        HEAD + HEIGHT * models.len().div_ceil(columns) as f64,
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    legend(&mut svg);
    for (index, model) in models.iter().enumerate() {
        let (x, y) = (
            WIDTH * (index % columns) as f64,
            HEAD + HEIGHT * (index / columns) as f64,
        );
        let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">");
        panel(&mut svg, model);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String) {
    for (x, colour, text) in [
        (LEFT, OURS, "Torchrelay over HTTP (× of libtorch)"),
        (LEFT + 226.0, BARE, "libtorch alone"),
    ] {
        let _ = writeln!(
            svg,
            "<line x1=\"{x}\" y1=\"24\" x2=\"{}\" y2=\"24\" stroke=\"{colour}\" stroke-width=\"2.5\"/>\
             <text x=\"{}\" y=\"28\">{text}</text>",
            x + 20.0,
            x + 26.0
        );
    }
}

fn panel(svg: &mut String, model: &Model) {
    let rows = &model.rows;
    let scale = Scale::of(rows);
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let x_of = |index: usize| {
        let steps = rows.len().saturating_sub(1).max(1) as f64;
        LEFT + 16.0 + (right - LEFT - 32.0) * index as f64 / steps
    };
    let y_of = |value: f64| bottom - (bottom - TOP) * scale.place(value);

    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"18\" font-weight=\"bold\" font-size=\"13\">{}</text>\
         <text x=\"{LEFT}\" y=\"34\" fill=\"{BARE}\">requests per second{}</text>",
        escaped(&model.title),
        scale.remark()
    );
    for value in scale.ticks() {
        let y = y_of(value);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"{GRID}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            tick(value)
        );
    }
    for (index, row) in rows.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x_of(index),
            bottom + 18.0,
            row.concurrency
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"{BARE}\">connections</text>",
        f64::midpoint(LEFT, right),
        bottom + 36.0
    );
    let mut line = |colour: &str, value: fn(&Row) -> f64| {
        let points: Vec<String> = rows
            .iter()
            .enumerate()
            .map(|(index, row)| format!("{:.1},{:.1}", x_of(index), y_of(value(row))))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\"/>",
            points.join(" ")
        );
        for (index, row) in rows.iter().enumerate() {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{colour}\"/>",
                x_of(index),
                y_of(value(row))
            );
        }
    };
    line(BARE, |row| row.bare.per_second);
    line(OURS, |row| row.per_second);
    for (index, row) in rows.iter().enumerate() {
        let (ours, bare) = (y_of(row.per_second), y_of(row.bare.per_second));
        // On the side away from the other line, and never below the axis.
        let below = ours > bare && bottom - ours > 24.0;
        let y = if below { ours + 18.0 } else { ours - 9.0 };
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"{OURS}\" stroke=\"white\" stroke-width=\"3\" \
             paint-order=\"stroke\">{}×</text>",
            x_of(index),
            ratio(row.ratio.median)
        );
    }
}

/// From values to heights, 0 to 1.
enum Scale {
    /// From nothing to this.
    Linear(f64),
    /// From a power of ten to another, where the values are too far apart for anything else.
    Decades(i32, i32),
}

/// From where on values are too far apart.
const FAR: f64 = 10.0;

impl Scale {
    fn of(rows: &[Row]) -> Self {
        let values = || {
            rows.iter()
                .flat_map(|row| [row.per_second, row.bare.per_second])
        };
        let most = values().fold(0.0, f64::max);
        let least = values().fold(most, f64::min);
        if least > 0.0 && most > FAR * least {
            Scale::Decades(least.log10().floor() as i32, most.log10().ceil() as i32)
        } else {
            Scale::Linear(ceiling(most))
        }
    }

    fn place(&self, value: f64) -> f64 {
        match *self {
            Scale::Linear(top) => value / top,
            Scale::Decades(low, high) => {
                (value.log10() - f64::from(low)) / f64::from((high - low).max(1))
            }
        }
    }

    fn ticks(&self) -> Vec<f64> {
        match *self {
            Scale::Linear(top) => (0..=4)
                .map(|quarter| top * f64::from(quarter) / 4.0)
                .collect(),
            Scale::Decades(low, high) => (low..=high).map(|power| 10f64.powi(power)).collect(),
        }
    }

    fn remark(&self) -> &'static str {
        match self {
            Scale::Linear(_) => "",
            Scale::Decades(..) => ", in powers of ten",
        }
    }
}

/// The next round number, so that quarters of it are round too.
fn ceiling(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let unit = 10f64.powf(value.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0];
    let step = steps.into_iter().find(|step| step * unit >= value);
    step.unwrap_or(10.0) * unit
}

fn tick(value: f64) -> String {
    if value >= 1e6 {
        format!("{} M", trimmed(value / 1e6))
    } else if value >= 1e3 {
        format!("{} k", trimmed(value / 1e3))
    } else {
        trimmed(value)
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn ratio(value: f64) -> String {
    if value < 0.0995 {
        figure(value)
    } else {
        format!("{value:.2}")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::Configuration;
    use crate::report::BareFigures;
    use crate::stats::Ratio;

    fn model(title: &str, figures: &[(usize, f64, f64)]) -> Model {
        let rows = figures.iter().map(|&(concurrency, ours, bare)| Row {
            concurrency,
            per_second: ours,
            median_ms: 1.0,
            p99_ms: 1.0,
            cpu_ms: 1.0,
            client_share: 0.0,
            ratio: Ratio {
                median: ours / bare,
                least: 0.0,
                most: 0.0,
            },
            latency: Ratio {
                median: 1.0,
                least: 1.0,
                most: 1.0,
            },
            added_ms: 0.0,
            bare: BareFigures {
                configuration: Configuration {
                    workers: 1,
                    threads: 1,
                    batch: 1,
                },
                per_second: bare,
                median_ms: 1.0,
            },
        });
        Model {
            name: "m".into(),
            title: title.into(),
            first_right: Duration::ZERO,
            peak: 0,
            rows: rows.collect(),
        }
    }

    #[test]
    fn the_picture_says_what_was_measured() {
        let svg = svg(&[model("a < b", &[(1, 20.0, 40.0), (32, 60.0, 80.0)])]);
        for text in [
            ">a &lt; b<",
            ">1<",
            ">32<",
            ">0.50×<",
            ">0.75×<",
            ">80<",
            ">connections<",
            "width=\"440\" height=\"344\"",
        ] {
            assert!(svg.contains(text), "{text} in {svg}");
        }
        // Ten pixels from either end of the scale of 80: 20 and 60 are a quarter and three quarters.
        assert!(
            svg.contains("<polyline points=\"82.0,201.5 400.0,96.5\""),
            "{svg}"
        );
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn panels_stand_two_in_a_row() {
        let one = [(1, 1.0, 1.0)];
        let models = ["a", "b", "c"].map(|title| model(title, &one));
        let svg = svg(&models);
        assert!(svg.contains("width=\"880\" height=\"644\""));
        for place in ["translate(0 44)", "translate(440 44)", "translate(0 344)"] {
            assert!(svg.contains(place), "{place}");
        }
    }

    #[test]
    fn values_far_apart_stand_on_powers_of_ten() {
        let far = svg(&[model(
            "a",
            &[(1, 20_000.0, 500_000.0), (32, 40_000.0, 2_000_000.0)],
        )]);
        for text in [
            ">requests per second, in powers of ten<",
            ">10 k<",
            ">100 k<",
            ">10 M<",
        ] {
            assert!(far.contains(text), "{text} in {far}");
        }
        assert!(!svg(&[model("a", &[(1, 20.0, 40.0)])]).contains("powers"));
        let scale = Scale::Decades(4, 7);
        assert_eq!([1e4, 1e7].map(|value| scale.place(value)), [0.0, 1.0]);
    }

    fn check_scale(value: f64, top: f64, text: &str) {
        assert!(
            (ceiling(value) - top).abs() < 1e-9 * top,
            "{value}: {}",
            ceiling(value)
        );
        assert_eq!(tick(top), text);
    }

    #[test]
    fn scales_end_at_round_numbers() {
        check_scale(0.0, 1.0, "1");
        check_scale(61.0, 80.0, "80");
        check_scale(79.0, 80.0, "80");
        check_scale(101.0, 120.0, "120");
        check_scale(14_100.0, 16_000.0, "16 k");
        check_scale(1_300.0, 1_600.0, "1.6 k");
        check_scale(9_500_000.0, 10_000_000.0, "10 M");
    }
}
