//! The text format of Prometheus, version 0.0.4, as the Java client wrote it that TorchServe has: a comma after every
//! label, the last one included, and numbers as Java writes doubles. Scripts and tests of its users look for this.

use std::fmt::{self, Display, Write as _};

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

/// The `content-type` of `encode`'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text of these families, in their order, labels in theirs.
pub(super) fn encode(families: &[MetricFamily]) -> String {
    let mut out = String::new();
    for family in families {
        let (name, kind) = (family.name(), family.get_field_type());
        let help = Escaped(family.help(), false);
        line(&mut out, format_args!("# HELP {name} {help}"));
        line(&mut out, format_args!("# TYPE {name} {}", word(kind)));
        for metric in family.get_metric() {
            samples(&mut out, name, kind, metric);
        }
    }
    out
}

fn samples(out: &mut String, name: &str, kind: MetricType, metric: &Metric) {
    let labels = Labels(metric.get_label(), None);
    let mut simple = |value| line(out, format_args!("{name}{labels} {}", number(value)));
    match kind {
        MetricType::COUNTER => simple(metric.get_counter().get_value()),
        MetricType::GAUGE => simple(metric.get_gauge().get_value()),
        MetricType::HISTOGRAM => {
            let histogram = metric.get_histogram();
            let buckets = histogram.get_bucket().iter();
            let finite = buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
            let all = (f64::INFINITY, histogram.get_sample_count());
            for (bound, count) in finite.filter(|(bound, _)| bound.is_finite()).chain([all]) {
                let labels = Labels(metric.get_label(), Some(bound));
                line(out, format_args!("{name}_bucket{labels} {}", whole(count)));
            }
            let count = whole(histogram.get_sample_count());
            line(out, format_args!("{name}_count{labels} {count}"));
            let sum = number(histogram.get_sample_sum());
            line(out, format_args!("{name}_sum{labels} {sum}"));
        }
        // Nobody makes them here.
        MetricType::SUMMARY | MetricType::UNTYPED => {}
    }
}

fn word(kind: MetricType) -> &'static str {
    match kind {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        MetricType::SUMMARY => "summary",
        MetricType::UNTYPED => "untyped",
    }
}

fn line(out: &mut String, text: fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a String takes any text");
}

/// Labels in braces, and the bound of a bucket.
#[derive(Clone, Copy)]
struct Labels<'a>(&'a [LabelPair], Option<f64>);

impl Display for Labels<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Labels(pairs, bound) = self;
        if pairs.is_empty() && bound.is_none() {
            return Ok(());
        }
        out.write_char('{')?;
        for pair in *pairs {
            write!(out, "{}=\"{}\",", pair.name(), Escaped(pair.value(), true))?;
        }
        if let Some(bound) = bound {
            write!(out, "le=\"{}\",", number(*bound))?;
        }
        out.write_char('}')
    }
}

/// Text with its backslashes and line ends escaped, and its quotation marks where it stands between some.
struct Escaped<'a>(&'a str, bool);

impl Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '\\' => out.write_str("\\\\")?,
                '\n' => out.write_str("\\n")?,
                '"' if self.1 => out.write_str("\\\"")?,
                letter => out.write_char(letter)?,
            }
        }
        Ok(())
    }
}

fn whole(count: u64) -> impl Display {
    number(count as f64)
}

/// A number as Java writes doubles: always a fraction, and an exponent from ten million on and below a thousandth.
pub(super) fn number(value: f64) -> impl Display {
    Number(value)
}

struct Number(f64);

impl Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        let size = value.abs();
        if value.is_nan() {
            out.write_str("NaN")
        } else if value.is_infinite() {
            out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
        } else if size == 0.0 || (1e-3..1e7).contains(&size) {
            write!(out, "{value:?}")
        } else {
            let text = format!("{value:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let fraction = if digits.contains('.') { "" } else { ".0" };
            write!(out, "{digits}{fraction}E{exponent}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::definition::{Definition, Kind};
    use super::super::family::Family;
    use super::*;
    use prometheus::core::Collector;

    #[test]
    fn numbers_look_like_doubles_of_java() {
        let check = |value: f64, expected: &str| assert_eq!(number(value).to_string(), expected);
        check(138.0, "138.0");
        check(0.0, "0.0");
        check(-2.5, "-2.5");
        check(0.001, "0.001");
        check(0.00025, "2.5E-4");
        check(9_999_999.0, "9999999.0");
        check(1e7, "1.0E7");
        check(123_456_789.5, "1.234567895E8");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
    }

    fn family(kind: Kind, dimensions: &[&str]) -> Family {
        let definition = Definition {
            name: "m".into(),
            unit: "Count".into(),
            kind,
            dimensions: dimensions.iter().map(ToString::to_string).collect(),
        };
        Family::with_buckets(definition, None, &[0.5, 2.0]).expect("a sound definition")
    }

    #[test]
    fn every_label_has_its_comma_and_its_place() {
        let counter = family(Kind::Counter, &["Level", "Hostname"]);
        let of = |host| counter.series(&["Host", host]).expect("two labels");
        of("vm").record(138.0);
        let _never_recorded = of("other");
        assert_eq!(
            encode(&counter.collect()),
            "# HELP m Torchserve prometheus counter metric with unit: Count\n\
             # TYPE m counter\n\
             m{Level=\"Host\",Hostname=\"vm\",} 138.0\n"
        );
    }

    #[test]
    fn label_values_are_escaped() {
        let gauge = family(Kind::Gauge, &["b"]);
        gauge.series(&["a\"\\\n"]).expect("one label").record(-1.0);
        assert_eq!(
            encode(&gauge.collect()),
            "# HELP m Torchserve prometheus gauge metric with unit: Count\n\
             # TYPE m gauge\n\
             m{b=\"a\\\"\\\\\\n\",} -1.0\n"
        );
    }

    #[test]
    fn histograms_end_with_count_and_sum() {
        let histogram = family(Kind::Histogram, &["Level"]);
        let series = histogram.series(&["Host"]).expect("one label");
        for value in [0.25, 1.0, 4.0] {
            series.record(value);
        }
        assert_eq!(
            encode(&histogram.collect()),
            "# HELP m Torchserve prometheus histogram metric with unit: Count\n\
             # TYPE m histogram\n\
             m_bucket{Level=\"Host\",le=\"0.5\",} 1.0\n\
             m_bucket{Level=\"Host\",le=\"2.0\",} 2.0\n\
             m_bucket{Level=\"Host\",le=\"+Inf\",} 3.0\n\
             m_count{Level=\"Host\",} 3.0\n\
             m_sum{Level=\"Host\",} 5.25\n"
        );
    }
}
