//! The text format of Prometheus, as much of it as samples need, and histograms made from them.
//!
//! Comments and lines that are no samples are skipped: whoever watches is better served by the rest than by an error.

use std::time::Duration;

/// One line: `name{label="value",} 1.0`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample<'a> {
    pub(crate) name: &'a str,
    labels: Vec<(&'a str, String)>,
    pub(crate) value: f64,
}

impl Sample<'_> {
    /// The label of that name; empty if there is none, as Prometheus has it.
    pub(crate) fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(label, _)| *label == name);
        found.map_or("", |(_, value)| value)
    }
}

/// Every sample of a scrape, in its order.
pub(crate) fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter_map(sample)
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let line = line.trim();
    let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with('#') {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    // A time may follow the value.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample {
        name,
        labels,
        value,
    })
}

/// Labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((found, after));
        }
        let (name, quoted) = rest.split_once('=')?;
        let (value, after) = quoted_text(quoted.trim_start().strip_prefix('"')?)?;
        found.push((name.trim(), value));
        rest = after;
    }
}

/// Text up to the closing quotation mark, and what follows that.
fn quoted_text(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

/// Observations by bucket; also what came between two states of one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Histogram {
    /// Upper bound and how many lie at or below it, by bound. The last one is infinite.
    buckets: Vec<(f64, f64)>,
    pub(crate) sum: f64,
    pub(crate) count: f64,
}

/// Where a quantile lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Quantile {
    At(f64),
    /// Beyond the largest bound.
    Above(f64),
}

impl Histogram {
    /// Takes in a sample of a histogram: `suffix` is what follows its name.
    pub(crate) fn take(&mut self, suffix: &str, sample: &Sample<'_>) {
        match suffix {
            "_sum" => self.sum += sample.value,
            "_count" => self.count += sample.value,
            "_bucket" => {
                if let Ok(bound) = sample.label("le").parse() {
                    self.add(bound, sample.value);
                }
            }
            _ => {}
        }
    }

    /// Joins another one with the same bounds.
    pub(crate) fn join(&mut self, other: &Histogram) {
        for &(bound, count) in &other.buckets {
            self.add(bound, count);
        }
        self.sum += other.sum;
        self.count += other.count;
    }

    fn add(&mut self, bound: f64, count: f64) {
        let at = self.buckets.partition_point(|(other, _)| *other < bound);
        match self.buckets.get_mut(at) {
            Some((other, sum)) if *other == bound => *sum += count,
            _ => self.buckets.insert(at, (bound, count)),
        }
    }

    /// What was observed since `before`. A count that fell has started over from zero.
    pub(crate) fn since(&self, before: &Histogram) -> Histogram {
        if self.count < before.count {
            return self.clone();
        }
        let buckets = self.buckets.iter().map(|&(bound, count)| {
            let earlier = before.buckets.iter().find(|(other, _)| *other == bound);
            (bound, count - earlier.map_or(0.0, |(_, count)| *count))
        });
        Histogram {
            buckets: buckets.collect(),
            sum: self.sum - before.sum,
            count: self.count - before.count,
        }
    }

    /// `None` if nothing was observed.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    /// The value that a share `q` of what was observed does not exceed, taking values to lie evenly in their bucket.
    pub(crate) fn quantile(&self, q: f64) -> Option<Quantile> {
        let (_, total) = self.buckets.last()?;
        if *total <= 0.0 {
            return None;
        }
        let rank = q * total;
        let at = self.buckets.partition_point(|(_, count)| *count < rank);
        let (bound, count) = *self.buckets.get(at)?;
        let (below, before) = match at.checked_sub(1) {
            Some(previous) => self.buckets[previous],
            None => (0.0, 0.0),
        };
        if bound.is_infinite() {
            return Some(Quantile::Above(below));
        }
        let inside = count - before;
        let share = if inside > 0.0 {
            (rank - before) / inside
        } else {
            1.0
        };
        Some(Quantile::At(below + (bound - below) * share))
    }
}

/// Seconds as a duration; none for what is none.
pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read() {
        let check = |line: &str, expected: &str| {
            let found: Vec<String> = samples(line)
                .map(|sample| {
                    let labels: Vec<String> = sample
                        .labels
                        .iter()
                        .map(|(name, value)| format!("{name}={value:?}"))
                        .collect();
                    format!("{} [{}] {}", sample.name, labels.join(" "), sample.value)
                })
                .collect();
            assert_eq!(found.join("\n"), expected, "{line}");
        };
        check("m 1.0", "m [] 1");
        check("m{} 1.5E7 1700000000", "m [] 15000000");
        check("m{a=\"b\",} +Inf", "m [a=\"b\"] inf");
        check("m{a=\"b\",c=\"d\"} -2", "m [a=\"b\" c=\"d\"] -2");
        check(r#"m{a="x\"y\\z\n}, ",} 0.0"#, r#"m [a="x\"y\\z\n}, "] 0"#);
        check("m{ a = \"b\" , } 1", "m [a=\"b\"] 1");
        check(
            "# HELP m text\n# TYPE m counter\n\nm 1\nn 2\n",
            "m [] 1\nn [] 2",
        );
        for broken in [
            "",
            "m",
            "m x",
            "m{a=\"b\" 1",
            "m{a=b} 1",
            "m{a=\"b} 1",
            "{a=\"b\"} 1",
        ] {
            check(broken, "");
        }
    }

    /// Buckets as `bound:count`, cumulative; the sum is of no matter here.
    fn histogram(text: &str) -> Histogram {
        let mut lines = String::new();
        let mut count = "0";
        for bucket in text.split_whitespace() {
            let (bound, value) = bucket.split_once(':').unwrap();
            lines.push_str(&format!("h_bucket{{le=\"{bound}\",}} {value}\n"));
            count = value;
        }
        lines.push_str(&format!("h_count {count}\nh_sum {count}\n"));
        let mut histogram = Histogram::default();
        for sample in samples(&lines) {
            histogram.take(sample.name.strip_prefix('h').unwrap(), &sample);
        }
        histogram
    }

    #[test]
    fn quantiles_lie_between_two_scrapes() {
        let check = |before: &str, now: &str, q: f64, expected: Option<Quantile>| {
            let between = histogram(now).since(&histogram(before));
            match (between.quantile(q), expected) {
                (Some(Quantile::At(found)), Some(Quantile::At(expected))) => {
                    assert!((found - expected).abs() < 1e-9, "{now}: {found} {expected}");
                }
                (found, expected) => assert_eq!(found, expected, "{now}"),
            }
        };
        let zero = "1:0 2:0 4:0 +Inf:0";
        check(zero, zero, 0.5, None);
        check("", "", 0.5, None);
        // Ten between 1 and 2.
        check(zero, "1:0 2:10 4:10 +Inf:10", 0.5, Some(Quantile::At(1.5)));
        check(
            zero,
            "1:0 2:10 4:10 +Inf:10",
            0.99,
            Some(Quantile::At(1.99)),
        );
        // Half at most 1, half between 2 and 4.
        check(zero, "1:5 2:5 4:10 +Inf:10", 0.5, Some(Quantile::At(1.0)));
        check(zero, "1:5 2:5 4:10 +Inf:10", 0.9, Some(Quantile::At(3.6)));
        // What was there before does not count.
        check(
            "1:90 2:90 4:90 +Inf:90",
            "1:90 2:90 4:94 +Inf:94",
            0.5,
            Some(Quantile::At(3.0)),
        );
        check(zero, "1:0 2:0 4:0 +Inf:3", 0.5, Some(Quantile::Above(4.0)));
        // The server has started over.
        check(
            "1:90 2:90 4:90 +Inf:90",
            "1:2 2:2 4:2 +Inf:2",
            0.5,
            Some(Quantile::At(0.5)),
        );
    }

    #[test]
    fn histograms_of_two_labels_are_one() {
        let mut joined = histogram("1:1 2:3 +Inf:3");
        joined.join(&histogram("1:1 2:1 +Inf:2"));
        assert_eq!(joined, histogram("1:2 2:4 +Inf:5"));
        assert_eq!(joined.mean(), Some(1.0));
        assert_eq!(Histogram::default().mean(), None);
    }
}
