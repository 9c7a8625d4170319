//! What is on the screen: rows as lines of a given size. No terminal in here.

use std::time::Duration;

use tokio::time::Instant;

use super::History;
use super::rows::{Row, refused_per_second, rows, time};
use super::sample::Sample;
use crate::commands::workers_cell;
use crate::prometheus::Quantile;
use crate::table::{Align, Cell, Table};
use crate::text::{Line, Tone};
use crate::units;

/// What whoever looks has chosen to see.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Rows that are scrolled away at the top.
    above: usize,
}

impl View {
    pub(super) fn scroll(&mut self, rows: isize) {
        self.above = self.above.saturating_add_signed(rows);
    }

    /// At most `height` lines of at most `width` columns.
    pub(super) fn frame(&mut self, history: &History, width: usize, height: usize) -> Vec<Line> {
        let (Some(before), Some(now)) = (history.samples.front(), history.samples.back()) else {
            return Vec::new();
        };
        let rows = rows(before, now);
        let mut lines = match &history.lost {
            Some((since, why)) => lost(*since, why),
            None => summary(before, now, &rows),
        };
        if height < 8 {
            lines.retain(|line| *line != Line::default());
        }
        let mut table = table(&rows).lines(Some(width)).into_iter();
        lines.extend(table.next());
        let mut body: Vec<Line> = table.collect();
        if history.lost.is_some() {
            body = body.into_iter().map(|line| line.toned(Tone::Dim)).collect();
        }
        // The last line tells the keys.
        let room = height.saturating_sub(lines.len() + 1);
        self.above = self.above.min(body.len().saturating_sub(room));
        let below = body.len().saturating_sub(self.above + room);
        lines.extend(body.into_iter().skip(self.above).take(room));
        if height > lines.len() + 1 {
            lines.push(Line::default());
        }
        if height > lines.len() {
            lines.push(help(self.above, below));
        }
        lines.truncate(height);
        lines.into_iter().map(|line| line.cut(width)).collect()
    }
}

fn lost(since: Instant, why: &str) -> Vec<Line> {
    let away = units::duration(Duration::from_secs(since.elapsed().as_secs()));
    let why = why.lines().next().unwrap_or_default();
    vec![
        Line::default().and(Tone::Bad, why),
        Line::new(format!(
            "for {away}; asking on. What follows is from before."
        )),
        Line::default(),
    ]
}

/// Two or three lines about the whole server, and a blank one.
pub(super) fn summary(before: &Sample, now: &Sample, rows: &[Row]) -> Vec<Line> {
    let span = now.at.saturating_duration_since(before.at);
    let (mut ready, mut wanted) = (0, 0);
    for version in &now.versions {
        ready += version.description.ready() as u64;
        wanted += version.description.min_workers;
    }
    let defaults = now.versions.iter().filter(|version| version.is_default);
    let models = match defaults.count() {
        1 => "1 model".to_owned(),
        count => format!("{count} models"),
    };
    let tone = if ready < wanted {
        Tone::Warn
    } else {
        Tone::Good
    };
    let mut lines = vec![
        Line::default()
            .and(Tone::Strong, &now.address)
            .and(Tone::Plain, format!("  {models}, "))
            .and(tone, format!("{ready} of {wanted} workers ready")),
    ];
    match &now.counters {
        Err(why) => {
            let why = why.lines().next().unwrap_or_default();
            lines.push(
                Line::default()
                    .and(Tone::Warn, "no rates and times: ")
                    .and(Tone::Plain, why),
            );
        }
        Ok(_) if span.is_zero() => lines.push(Line::new("measuring")),
        Ok(_) => {
            let traffic = rows.iter().filter_map(|row| row.traffic.as_ref());
            let answered: f64 = traffic.map(|traffic| traffic.rate).sum();
            lines.push(Line::new(format!(
                "{} requests/s answered, {}/s refused or failed, over the last {} s",
                units::rate(answered),
                units::rate(refused_per_second(before, now)),
                span.as_secs_f64().round()
            )));
        }
    }
    lines.push(Line::default());
    lines
}

pub(super) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        ("MODEL", Align::Left),
        ("VERSION", Align::Left),
        ("READY", Align::Right),
        ("QUEUE", Align::Right),
        ("INSIDE", Align::Right),
        ("REQ/S", Align::Right),
        // As wide as they get, so that columns stay where they are.
        ("   P50", Align::Right),
        ("   P99", Align::Right),
        ("BATCH", Align::Right),
        ("REF/S", Align::Right),
    ]);
    for row in rows {
        let model = &row.version.description;
        let mark = if row.version.is_default { "*" } else { "" };
        let queue = match model.waiting() {
            0 => "0".into(),
            waiting => Cell::toned(waiting.to_string(), Tone::Warn),
        };
        let traffic = row.traffic.as_ref();
        // Without metrics nothing is known; without requests there is nothing to tell.
        let or_dash = |text: Option<String>| Cell::from(text.unwrap_or_else(|| "-".to_owned()));
        let refused = traffic.map(|traffic| traffic.refused);
        table.row([
            (&model.model_name).into(),
            format!("{}{mark}", model.model_version).into(),
            workers_cell(&row.version),
            queue,
            or_dash(traffic.map(|traffic| traffic.inside.to_string())),
            or_dash(traffic.map(|traffic| units::rate(traffic.rate))),
            or_dash(traffic.and_then(|traffic| traffic.p50).map(latency)),
            or_dash(traffic.and_then(|traffic| traffic.p99).map(latency)),
            or_dash(traffic.and_then(|traffic| traffic.batch).map(units::rate)),
            match refused {
                Some(refused) if refused > 0.0 => Cell::toned(units::rate(refused), Tone::Bad),
                refused => or_dash(refused.map(units::rate)),
            },
        ]);
    }
    table
}

fn latency(quantile: Quantile) -> String {
    let (time, beyond) = time(quantile);
    let mark = if beyond { ">" } else { "" };
    format!("{mark}{}", units::short_duration(time))
}

fn help(above: usize, below: usize) -> Line {
    let mut text = "q quits".to_owned();
    if above > 0 || below > 0 {
        text.push_str(&format!(
            "; up and down scroll: {above} above, {below} below"
        ));
    }
    Line::default().and(Tone::Dim, text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::counters::Counters;
    use super::*;
    use crate::models::Version;

    const SCRAPE: &str = "\
        torchrelay_request_seconds_bucket{model_name=\"mobilenet_v2\",model_version=\"default\",le=\"0.01\"} 0\n\
        torchrelay_request_seconds_bucket{model_name=\"mobilenet_v2\",model_version=\"default\",le=\"0.025\"} 1000\n\
        torchrelay_request_seconds_bucket{model_name=\"mobilenet_v2\",model_version=\"default\",le=\"+Inf\"} 1010\n\
        torchrelay_request_seconds_count{model_name=\"mobilenet_v2\",model_version=\"default\"} 1010\n\
        torchrelay_batch_size_sum{model_name=\"mobilenet_v2\",model_version=\"1.0\"} 1010\n\
        torchrelay_batch_size_count{model_name=\"mobilenet_v2\",model_version=\"1.0\"} 202\n\
        torchrelay_requests_inside{model_name=\"mobilenet_v2\",model_version=\"default\"} 14\n\
        torchrelay_refused_total{model_name=\"mobilenet_v2\",model_version=\"default\",reason=\"Overloaded\"} 25\n\
        torchrelay_refused_total{model_name=\"\",model_version=\"\",reason=\"ModelNotFound\"} 10\n";

    fn sample(at: Instant, counters: Result<&str, &str>) -> Sample {
        let version = |name: &str, waiting: u32| Version {
            description: serde_json::from_value(json!({
                "modelName": name, "modelVersion": "1.0", "minWorkers": 2,
                "workers": [{ "status": "READY" }, { "status": "READY" }],
                "jobQueueStatus": { "pendingRequests": waiting },
            }))
            .unwrap(),
            is_default: true,
        };
        Sample {
            at,
            address: "http://127.0.0.1:8081".to_owned(),
            versions: vec![version("mobilenet_v2", 12), version("quadrat", 0)],
            counters: counters.map(Counters::read).map_err(str::to_owned),
        }
    }

    fn history(before: Result<&str, &str>, now: Result<&str, &str>) -> History {
        let start = Instant::now();
        let then = start + Duration::from_secs(10);
        History {
            samples: [sample(start, before), sample(then, now)].into(),
            lost: None,
        }
    }

    fn check(view: &mut View, history: &History, size: (usize, usize), expected: &str) {
        let frame = view.frame(history, size.0, size.1);
        let lines: Vec<String> = frame.iter().map(|line| line.paint(false)).collect();
        assert_eq!(lines.join("\n"), expected, "{size:?}");
    }

    #[test]
    fn a_screen_of_a_common_size() {
        let history = history(Ok("Requests2XX 1"), Ok(SCRAPE));
        let expected = "\
http://127.0.0.1:8081  2 models, 4 of 4 workers ready
101 requests/s answered, 3.5/s refused or failed, over the last 10 s

MODEL         VERSION  READY  QUEUE  INSIDE  REQ/S     P50     P99  BATCH  REF/S
mobilenet_v2  1.0*       2/2     12      14    101  17.6ms    25ms    5.0    2.5
quadrat       1.0*       2/2      0       0      0       -       -      -      0

q quits";
        check(&mut View::default(), &history, (80, 24), expected);
    }

    #[test]
    fn without_metrics_the_header_says_why() {
        let history = history(Err("x"), Err("the server's metrics_mode is log"));
        check(
            &mut View::default(),
            &history,
            (80, 24),
            "\
http://127.0.0.1:8081  2 models, 4 of 4 workers ready
no rates and times: the server's metrics_mode is log

MODEL         VERSION  READY  QUEUE  INSIDE  REQ/S     P50     P99  BATCH  REF/S
mobilenet_v2  1.0*       2/2     12       -      -       -       -      -      -
quadrat       1.0*       2/2      0       -      -       -       -      -      -

q quits",
        );
    }

    #[test]
    fn small_terminals_show_what_fits() {
        let history = history(Ok("Requests2XX 1"), Ok(SCRAPE));
        let mut view = View::default();
        let narrow = "\
http://127.0.0.1:808
101 requests/s answe
MODEL     VERSION  R
mobilen…  1.0*
q quits; up and down";
        check(&mut view, &history, (20, 5), narrow);
        view.scroll(5);
        let scrolled = "\
http://127.0.0.1:808
101 requests/s answe
MODEL     VERSION  R
quadrat   1.0*
q quits; up and down";
        check(&mut view, &history, (20, 5), scrolled);
        view.scroll(-1);
        check(&mut view, &history, (20, 5), narrow);
        check(&mut view, &history, (1, 2), "h\n1");
        check(&mut view, &history, (0, 0), "");
    }

    #[test]
    fn a_server_that_is_away_is_said_to_be() {
        let mut history = history(Ok("Requests2XX 1"), Ok(SCRAPE));
        history.take(Err(crate::error::Error::Unreachable {
            address: "http://127.0.0.1:8081 (management)".to_owned(),
            why: "Connection refused".to_owned(),
        }));
        let expected = "\
cannot reach http://127.0.0.1:8081 (management): Connection refused
for 0 s; asking on. What follows is from before.
MODEL         VERSION  READY  QUEUE  INSIDE  REQ/S     P50     P99  BATCH  REF/S
mobilenet_v2  1.0*       2/2     12      14    101  17.6ms    25ms    5.0    2.5
q quits; up and down scroll: 0 above, 1 below";
        check(&mut View::default(), &history, (80, 5), expected);
        // Back again, it is measured anew.
        history.take(Ok(sample(Instant::now(), Ok(SCRAPE))));
        assert_eq!((history.samples.len(), history.lost.is_some()), (1, false));
        let frame = View::default().frame(&history, 80, 2);
        assert_eq!(frame[1].paint(false), "measuring");
    }
}
