//! A comparison for people and for scripts.

use std::time::Duration;

use serde_json::{Value, json};

use crate::compare::differences::Difference;
use crate::compare::{Compared, Outcome, Sampled};
use crate::table::{Align, Cell, Table};
use crate::text::{Line, Tone, shortened};
use crate::units;

/// What came of comparing two servers.
#[derive(Debug)]
pub struct Comparison {
    /// The addresses of their inference APIs.
    pub(super) theirs: String,
    pub(super) ours: String,
    pub(super) models: Vec<Compared>,
    /// Whether samples were asked for.
    pub(super) with_samples: bool,
    /// Folders of samples that are called like no model.
    pub(super) strays: Vec<String>,
}

/// Columns of a terminal that the table takes at most.
const WIDTH: usize = 100;

/// What is shown of a value.
const SHOWN: usize = 48;

impl Comparison {
    /// Whether nothing differs and every request was answered by both.
    pub fn is_same(&self) -> bool {
        self.models.iter().all(Compared::is_same)
    }

    /// Tables with what differs first, and a line that sums up; with escape codes if `colour`.
    pub fn text(&self, colour: bool) -> String {
        let lines = self.lines();
        let lines = lines.iter().map(|line| line.paint(colour) + "\n");
        lines.collect()
    }

    /// `{theirs, ours, models: [{model, same, description: [difference], samples: [{sample, same, theirs, ours,
    /// differences}]}], unused_samples, summary}`, where a difference is `{what, theirs, ours}` and each of the two sides of a
    /// sample `{status, seconds}` or `{error}`.
    pub fn document(&self) -> Value {
        let models: Vec<Value> = self.models.iter().map(model_json).collect();
        let same = self.models.iter().filter(|model| model.is_same()).count();
        let samples: Vec<&Sampled> = self.samples().map(|(_, sample)| sample).collect();
        let alike = samples.iter().filter(|sample| sample.is_same()).count();
        json!({
            "theirs": self.theirs,
            "ours": self.ours,
            "models": models,
            "unused_samples": self.strays,
            "summary": {
                "same": self.is_same(),
                "models": models.len(),
                "models_same": same,
                "samples": samples.len(),
                "samples_same": alike,
            },
        })
    }

    fn samples(&self) -> impl Iterator<Item = (&Compared, &Sampled)> {
        let of = |model| move |sample| (model, sample);
        self.models
            .iter()
            .flat_map(move |model| model.samples.iter().map(of(model)))
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = vec![
            Line::new(format!("theirs {}, ours {}", self.theirs, self.ours)),
            Line::default(),
        ];
        let mut rows: Vec<Row<'_>> = Vec::new();
        for model in &self.models {
            rows.push(Row::of_description(model));
            rows.extend(model.samples.iter().map(|it| Row::of_sample(model, it)));
        }
        rows.sort_by_key(|row| row.same);
        let mut table = Table::new(&[
            ("MODEL", Align::Left),
            ("WHAT", Align::Left),
            ("RESULT", Align::Left),
            ("THEIRS", Align::Right),
            ("OURS", Align::Right),
        ]);
        for row in &rows {
            let (word, tone) = match row.same {
                true => ("same", Tone::Good),
                false => ("differs", Tone::Bad),
            };
            table.row([
                row.model.into(),
                shortened(row.what, SHOWN).into(),
                Cell::toned(word, tone),
                row.times[0].as_str().into(),
                row.times[1].as_str().into(),
            ]);
        }
        let mut of_table = table.lines(Some(WIDTH)).into_iter();
        lines.extend(of_table.next());
        for (row, line) in rows.iter().zip(of_table) {
            lines.push(line);
            lines.extend(row.notes.iter().map(|note| {
                Line::default()
                    .and(Tone::Plain, "    ")
                    .and(Tone::Dim, note)
                    .cut(WIDTH)
            }));
        }
        lines.push(Line::default());
        lines.extend(self.remarks());
        lines.push(self.summary());
        lines
    }

    /// What was not compared.
    fn remarks(&self) -> Vec<Line> {
        let mut found = Vec::new();
        if !self.with_samples {
            let text = "Without --samples only what the two say of their models was compared, not what the models answer.";
            return vec![Line::default().and(Tone::Warn, text)];
        }
        let without: Vec<&str> = self
            .models
            .iter()
            .filter(|model| model.samples.is_empty())
            .map(|model| model.model.as_str())
            .collect();
        if !without.is_empty() {
            let text = format!(
                "No samples, so no answers were compared: {}",
                without.join(", ")
            );
            found.push(Line::default().and(Tone::Warn, text));
        }
        if !self.strays.is_empty() {
            let text = format!(
                "Samples of no model that is there: {}",
                self.strays.join(", ")
            );
            found.push(Line::default().and(Tone::Warn, text));
        }
        found
    }

    fn summary(&self) -> Line {
        let many = |count: usize, word: &str| match count {
            1 => format!("1 {word}"),
            _ => format!("{count} {word}s"),
        };
        let differ = self.models.iter().filter(|it| !it.is_same()).count();
        let samples = self.samples().count();
        let line = Line::new(format!(
            "{} and {}: ",
            many(self.models.len(), "model"),
            many(samples, "sample")
        ));
        let line = match differ {
            0 => line.and(Tone::Good, "nothing differs"),
            1 => line.and(Tone::Bad, "1 model differs"),
            differ => line.and(Tone::Bad, format!("{differ} models differ")),
        };
        let median = |side: fn(&Sampled) -> &Outcome| {
            let mut times: Vec<Duration> = self
                .samples()
                .filter_map(|(_, sample)| side(sample).took())
                .collect();
            times.sort();
            times.get(times.len() / 2).copied().map(units::duration)
        };
        match (median(|it| &it.theirs), median(|it| &it.ours)) {
            (Some(theirs), Some(ours)) => line.and(
                Tone::Plain,
                format!("; median time {theirs} there, {ours} here"),
            ),
            _ => line,
        }
    }
}

struct Row<'a> {
    model: &'a str,
    what: &'a str,
    same: bool,
    times: [String; 2],
    notes: Vec<String>,
}

impl<'a> Row<'a> {
    fn of_description(model: &'a Compared) -> Self {
        Row {
            model: &model.model,
            what: "description",
            same: model.description.is_empty(),
            times: Default::default(),
            notes: model.description.iter().map(note).collect(),
        }
    }

    fn of_sample(model: &'a Compared, sample: &'a Sampled) -> Self {
        let sides = [("theirs", &sample.theirs), ("ours", &sample.ours)];
        let failures = sides.iter().filter_map(|(name, outcome)| match outcome {
            Outcome::Failed(why) => Some(format!("{name}: {why}")),
            Outcome::Answered { .. } => None,
        });
        // An agreement to fail deserves a word.
        let both = match (&sample.theirs, &sample.ours) {
            (Outcome::Answered { status, .. }, Outcome::Answered { status: here, .. })
                if status == here && *status >= 400 =>
            {
                Some(format!("both answer {status}"))
            }
            _ => None,
        };
        Row {
            model: &model.model,
            what: &sample.file,
            same: sample.is_same(),
            times: sides.map(|(_, outcome)| match outcome.took() {
                Some(took) => units::short_duration(took),
                None => "-".to_owned(),
            }),
            notes: failures
                .chain(both)
                .chain(sample.differences.iter().map(note))
                .collect(),
        }
    }
}

impl Outcome {
    fn took(&self) -> Option<Duration> {
        match self {
            Outcome::Answered { took, .. } => Some(*took),
            Outcome::Failed(_) => None,
        }
    }

    fn json(&self) -> Value {
        match self {
            Outcome::Answered { status, took } => {
                json!({"status": status, "seconds": took.as_secs_f64()})
            }
            Outcome::Failed(why) => json!({"error": why}),
        }
    }
}

fn note(difference: &Difference) -> String {
    let shown = |value: &Value| {
        let text = value.as_str().map(str::to_owned);
        let none = value.is_null().then(|| "none".to_owned());
        let text = text.or(none).unwrap_or_else(|| value.to_string());
        shortened(&text, SHOWN)
    };
    let Difference { what, theirs, ours } = difference;
    format!("{what}: {} there, {} here", shown(theirs), shown(ours))
}

fn model_json(model: &Compared) -> Value {
    let sample = |sample: &Sampled| {
        json!({
            "sample": sample.file,
            "same": sample.is_same(),
            "theirs": sample.theirs.json(),
            "ours": sample.ours.json(),
            "differences": differences_json(&sample.differences),
        })
    };
    json!({
        "model": model.model,
        "same": model.is_same(),
        "description": differences_json(&model.description),
        "samples": model.samples.iter().map(sample).collect::<Vec<_>>(),
    })
}

fn differences_json(differences: &[Difference]) -> Vec<Value> {
    let one = |it: &Difference| json!({"what": it.what, "theirs": it.theirs, "ours": it.ours});
    differences.iter().map(one).collect()
}
