//! Lines of metrics that handlers print, as TorchServe's package writes them.

use std::sync::LazyLock;

use regex::Regex;

/// How values of a metric add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

/// One value of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub name: String,
    /// As the handler says it: `ms`, `Milliseconds`, `count`.
    pub unit: String,
    pub value: f64,
    /// Names and values, in their order.
    pub dimensions: Vec<(String, String)>,
    /// What it is where no list says so.
    pub kind: Option<MetricKind>,
    pub hostname: String,
    /// Seconds since 1970, as printed.
    pub timestamp: String,
    /// The requests that it belongs to, if any.
    pub request_id: Option<String>,
}

/// Where metrics of handlers go. Called on the thread that reads a worker's output, which must not be kept waiting.
pub trait MetricSink: Send + Sync {
    /// A worker's handler has said this; the worker's name is that of its thread.
    fn take(&self, model: &str, worker: &str, metric: Metric);
}

/// Takes metrics and forgets them.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSink;

impl MetricSink for NoSink {
    fn take(&self, _model: &str, _worker: &str, _metric: Metric) {}
}

static MARK: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:INFO > )?\[METRICS\](.*)$"));

static FORM: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\s*([\w\s]+)\.([\w\s]+):([0-9\-,.e]+)\|#([^|]*)(?:\|#type:([^|,]+))?\|#hostname:([^,]+),([^,]+)(?:,(.*))?$",
    )
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("it is written above")
}

/// The metric of a line; `None` where it is any other line.
pub(crate) fn parse(line: &str) -> Option<Metric> {
    let body = MARK.captures(line)?.get(1)?.as_str();
    let found = FORM.captures(body)?;
    let text = |group: usize| {
        found
            .get(group)
            .map(|found| found.as_str().trim().to_owned())
    };
    let value = text(3)?
        .parse::<f64>()
        .ok()
        .filter(|value| value.is_finite())?;
    let dimensions = found.get(4)?.as_str().split(',');
    let kind = match text(5).as_deref() {
        Some("COUNTER") => Some(MetricKind::Counter),
        Some("GAUGE") => Some(MetricKind::Gauge),
        Some("HISTOGRAM") => Some(MetricKind::Histogram),
        _ => None,
    };
    Some(Metric {
        name: text(1)?,
        unit: text(2)?,
        value,
        dimensions: dimensions
            .filter_map(|pair| pair.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect(),
        kind,
        hostname: text(6)?,
        timestamp: text(7)?,
        request_id: text(8).filter(|id| !id.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, unit, value, dimensions, kind, timestamp, request.
    fn check(line: &str, expected: Option<&str>) {
        let found = parse(line).map(|metric| {
            let dimensions: Vec<String> = metric
                .dimensions
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!(
                "{} {} {} [{}] {:?} {} {} {:?}",
                metric.name,
                metric.unit,
                metric.value,
                dimensions.join(" "),
                metric.kind,
                metric.hostname,
                metric.timestamp,
                metric.request_id.as_deref().unwrap_or("")
            )
        });
        assert_eq!(found.as_deref(), expected, "{line}");
    }

    #[test]
    fn lines_of_metrics_are_told_from_others() {
        check(
            "[METRICS]PredictionTime.Milliseconds:1.25|#ModelName:m,Level:Model|#type:GAUGE|#hostname:h,1700000000,r1",
            Some(
                r#"PredictionTime Milliseconds 1.25 [ModelName=m Level=Model] Some(Gauge) h 1700000000 "r1""#,
            ),
        );
        check(
            "INFO > [METRICS]Sizes.Megabytes:-1e-3|#Shape:a:b|#hostname:h,17",
            Some(r#"Sizes Megabytes -0.001 [Shape=a:b] None h 17 """#),
        );
        check(
            "[METRICS]N.Count:3|#|#type:COUNTER|#hostname:h,17,r1,r2",
            Some(r#"N Count 3 [] Some(Counter) h 17 "r1,r2""#),
        );
        for line in [
            "",
            "[METRICS]",
            "[METRICS]N.Count:|#|#hostname:h,17",
            "[METRICS]N.Count:1-2|#|#hostname:h,17",
            "[METRICS]N.Count:3",
            "a line of its own [METRICS]N.Count:3|#|#hostname:h,17",
        ] {
            check(line, None);
        }
    }
}
