//! Metrics that the handlers of models emit: which of them are taken up, under which labels, and for how long.
//!
//! What the list of metrics names under `model_metrics` is taken up with the type, unit and dimensions it has there; the
//! rest only where the configuration says so, and then as the handler says. A handler is not trusted: it fills no more
//! than [`MOST_SERIES`] places, and each of its mistakes is told once. What a model has filled goes with its last version.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::Registry;
use prometheus::proto::MetricFamily;
use tracing::{info, warn};

use super::definition::{Definition, Kind};
use super::family::{Family, LogTarget};
use super::{Inner, Mode};

/// How many series one model may have, all metrics and versions together.
pub(super) const MOST_SERIES: usize = 1000;

/// How many names of metrics are remembered, for each model, about which something has been said.
const MOST_TOLD: usize = 100;

/// One value of one metric, as a handler says it.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'s> {
    pub name: &'s str,
    /// Only for metrics that the list does not have.
    pub unit: &'s str,
    /// As `unit`.
    pub kind: Option<Kind>,
    pub value: f64,
    /// Names and values, in the handler's order.
    pub dimensions: &'s [(String, String)],
    /// The ids of the requests that it belongs to.
    pub requests: Option<&'s str>,
}

/// Which metrics of handlers are taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Takes {
    #[default]
    Nothing,
    Listed,
    All,
}

/// What handlers have emitted so far.
#[derive(Default)]
pub(super) struct Handlers {
    pub(super) takes: Takes,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    models: HashMap<String, Emitter>,
    /// Metrics that the list does not have, by name.
    found: HashMap<String, Family>,
}

/// One model that is there.
#[derive(Default)]
struct Emitter {
    /// How many of the server's handles there are, see [`Handlers::enter`].
    handles: usize,
    /// Names and label values of the places that it has filled; of metrics that are logged, only those that were found.
    series: HashSet<(String, Vec<String>)>,
    /// Of which metrics something has been said.
    told: HashSet<String>,
    is_full: bool,
}

impl Handlers {
    /// A version of the model is there, until [`leave`](Self::leave) has been called as often as this.
    pub(super) fn enter(&self, model: &str) {
        let mut state = self.lock();
        state.models.entry(model.to_owned()).or_default().handles += 1;
    }

    /// With the last version goes what the model alone has filled.
    pub(super) fn leave(&self, inner: &Inner, model: &str) {
        let mut state = self.lock();
        let Some(emitter) = state.models.get_mut(model) else {
            return;
        };
        emitter.handles = emitter.handles.saturating_sub(1);
        if emitter.handles > 0 {
            return;
        }
        let Some(gone) = state.models.remove(model) else {
            return;
        };
        for place in gone.series {
            let mut others = state.models.values();
            if others.any(|other| other.series.contains(&place)) {
                continue;
            }
            let (name, labels) = place;
            let family = inner.model.get(&name).or_else(|| state.found.get(&name));
            if let Some(family) = family {
                let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                family.remove(&labels);
            }
        }
        let State { models, found } = &mut *state;
        found.retain(|name, _| {
            let mut used = models.values().flat_map(|emitter| &emitter.series);
            used.any(|(used, _)| used == name)
        });
    }

    /// The metrics that the list does not have. They are in no lasting registry, which would remember their labels when
    /// they are gone.
    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        let registry = Registry::new();
        for family in self.lock().found.values() {
            // Names are told apart when they are found.
            let _ = registry.register(Box::new(family.clone()));
        }
        registry.gather()
    }

    /// Takes a value up. A model that is not there, or is not any more, has none.
    pub(super) fn take(&self, inner: &Inner, model: &str, sample: Sample<'_>) {
        if self.takes == Takes::Nothing {
            return;
        }
        let mut state = self.lock();
        let State { models, found } = &mut *state;
        let Some(emitter) = models.get_mut(model) else {
            return;
        };
        let name = sample.name;
        let known = inner.model.get(name).or_else(|| found.get(name)).cloned();
        let family = match known {
            Some(family) => family,
            None if self.takes == Takes::Listed => {
                return emitter.tell(name, || {
                    info!(
                        "model {model}: its metric {name} is left out, because model_metrics of metrics.yaml does not \
                         list it; model_metrics_auto_detect=true takes it up"
                    );
                });
            }
            None => {
                if emitter.has_no_room(model, name) {
                    return;
                }
                match detect(inner, &sample) {
                    Ok(family) => {
                        found.insert(name.to_owned(), family.clone());
                        emitter.series.insert((name.to_owned(), Vec::new()));
                        family
                    }
                    Err(why) => {
                        return emitter.tell(name, || {
                            warn!("model {model}: its metric {name} is left out: {why}");
                        });
                    }
                }
            }
        };
        let Some(labels) = labels(family.definition(), &sample, &inner.host) else {
            return emitter.tell(name, || {
                let expected = expected(family.definition()).join(", ");
                let found: Vec<&str> = sample.dimensions.iter().map(|(name, _)| &**name).collect();
                let found = found.join(", ");
                warn!(
                    "model {model}: values of its metric {name} are left out: expected the dimensions {expected}, \
                     found {found}"
                );
            });
        };
        if !family.is_logged() {
            let place = (name.to_owned(), labels);
            if !emitter.series.contains(&place) && emitter.has_no_room(model, name) {
                return;
            }
            record(&family, &place.1, &sample);
            emitter.series.insert(place);
        } else {
            drop(state);
            record(&family, &labels, &sample);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Emitter {
    /// Says something of a metric, if nothing has been said of it yet.
    fn tell(&mut self, name: &str, say: impl FnOnce()) {
        if self.told.len() < MOST_TOLD && self.told.insert(name.to_owned()) {
            say();
        }
    }

    fn has_no_room(&mut self, model: &str, name: &str) -> bool {
        let is_full = self.series.len() >= MOST_SERIES;
        if is_full && !self.is_full {
            self.is_full = true;
            warn!(
                "model {model}: its handlers have filled {MOST_SERIES} series of metrics, which is the most; further \
                 ones, of {name} first, are left out"
            );
        }
        is_full
    }
}

fn record(family: &Family, labels: &[String], sample: &Sample<'_>) {
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    if let Some(series) = family.series(&labels) {
        series.record_for(sample.value, sample.requests);
    }
}

/// A metric as its first line has it.
fn detect(inner: &Inner, sample: &Sample<'_>) -> Result<Family, String> {
    let kind = sample.kind.ok_or("its lines name no type")?;
    let mut own = inner.own.iter().map(|family| &family.definition().name);
    if inner.ts.contains_key(sample.name) || own.any(|name| name == sample.name) {
        return Err("the server has one of this name".into());
    }
    let dimensions = sample.dimensions.iter().map(|(name, _)| name.clone());
    let definition = Definition {
        name: sample.name.to_owned(),
        unit: sample.unit.to_owned(),
        kind,
        dimensions: dimensions.chain(["Hostname".to_owned()]).collect(),
    };
    let log = (inner.mode != Mode::Prometheus).then_some(LogTarget::Model);
    Family::new(definition, log).map_err(|error| error.to_string())
}

/// The dimensions that a handler gives values for: all but the last, which is the host's name.
fn expected(definition: &Definition) -> &[String] {
    let dimensions = definition.dimensions.as_slice();
    dimensions.split_last().map_or(dimensions, |(_, all)| all)
}

/// The label values in the metric's order; `None` where the sample has other dimensions than the metric.
fn labels(definition: &Definition, sample: &Sample<'_>, host: &str) -> Option<Vec<String>> {
    let expected = expected(definition);
    if sample.dimensions.len() != expected.len() {
        return None;
    }
    let value = |name: &String| {
        let mut pairs = sample.dimensions.iter();
        pairs.find(|(known, _)| known == name)
    };
    let mut labels: Vec<String> = expected
        .iter()
        .map(|name| value(name).map(|(_, value)| value.clone()))
        .collect::<Option<_>>()?;
    labels.push(host.to_owned());
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{definition, logged, samples};
    use super::super::{Definitions, Metrics, MetricsConfig};
    use super::*;

    fn metrics(mode: Mode, auto_detect: bool) -> Metrics {
        let of_model = ["ModelName", "Level"];
        let config = MetricsConfig {
            mode,
            definitions: Definitions {
                ts: vec![definition(
                    Kind::Gauge,
                    "QueueTime",
                    "ms",
                    &["Level", "Hostname"],
                )],
                model: vec![
                    definition(Kind::Counter, "Cats", "Count", &of_model),
                    definition(Kind::Histogram, "Sizes", "B", &["Level"]),
                ],
            },
            auto_detect,
            host: "vm".to_owned(),
        };
        Metrics::new(config, Registry::new()).expect("a sound list")
    }

    /// `name value dimension:value,…`, of unit `kB` and, where it is not listed, a gauge.
    fn emit(metrics: &Metrics, model: &str, line: &str) {
        let fields: Vec<&str> = line.split(' ').collect();
        let pairs = fields[2].split(',').filter_map(|pair| pair.split_once(':'));
        let dimensions: Vec<(String, String)> = pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let sample = Sample {
            name: fields[0],
            unit: "kB",
            kind: Some(Kind::Gauge),
            value: fields[1].parse().expect("a number"),
            dimensions: &dimensions,
            requests: Some("r1"),
        };
        metrics.of_handler(model, sample);
    }

    #[test]
    fn what_is_listed_is_taken_up_as_the_list_has_it() {
        let metrics = metrics(Mode::Prometheus, false);
        let _model = metrics.for_model("m", "1.0");
        emit(&metrics, "m", "Cats 2 ModelName:m,Level:Model");
        emit(&metrics, "m", "Cats 3 Level:Model,ModelName:m");
        emit(&metrics, "m", "Cats 5 Level:Model");
        emit(&metrics, "m", "Cats 5 ModelName:m,Colour:black");
        emit(&metrics, "m", "Dogs 7 Level:Model");
        emit(&metrics, "m", "Sizes 7 Level:Model");
        emit(
            &metrics,
            "stranger",
            "Cats 9 ModelName:stranger,Level:Model",
        );
        assert_eq!(
            samples(&metrics, &["Cats", "Dogs", "Sizes_sum"])
                .lines()
                .filter(|line| !line.contains("_bucket"))
                .collect::<Vec<_>>(),
            [
                "Cats{ModelName=\"m\",Level=\"Model\",Hostname=\"vm\",} 5.0",
                "Sizes_count{Level=\"Model\",Hostname=\"vm\",} 1.0",
                "Sizes_sum{Level=\"Model\",Hostname=\"vm\",} 7.0",
            ]
        );
    }

    #[test]
    fn what_is_not_listed_is_taken_up_where_that_is_wanted() {
        let metrics = metrics(Mode::Prometheus, true);
        let _model = metrics.for_model("m", "1.0");
        emit(&metrics, "m", "Dogs 7 Colour:black");
        emit(&metrics, "m", "Dogs 8 Colour:white");
        emit(&metrics, "m", "Dogs 9 Breed:poodle");
        emit(&metrics, "m", "QueueTime 9 Level:Model");
        emit(&metrics, "m", "torchrelay_queue_seconds 9 Level:Model");
        emit(&metrics, "m", "two-words 9 Level:Model");
        let text = metrics.exposition(&["Dogs".into(), "QueueTime".into(), "two-words".into()]);
        assert_eq!(
            text,
            "# HELP Dogs Torchserve prometheus gauge metric with unit: kB\n\
             # TYPE Dogs gauge\n\
             Dogs{Colour=\"black\",Hostname=\"vm\",} 7.0\n\
             Dogs{Colour=\"white\",Hostname=\"vm\",} 8.0\n"
        );
    }

    #[test]
    fn a_model_cannot_fill_more_than_its_share() {
        let metrics = metrics(Mode::Prometheus, true);
        let _greedy = metrics.for_model("greedy", "1.0");
        let _modest = metrics.for_model("modest", "1.0");
        for index in 0..MOST_SERIES + 10 {
            let line = format!("Cats 1 ModelName:m{index},Level:Model");
            emit(&metrics, "greedy", &line);
            emit(&metrics, "greedy", &format!("N{index} 1 Level:Model"));
        }
        emit(&metrics, "modest", "Cats 1 ModelName:modest,Level:Model");
        let text = samples(&metrics, &[]);
        // Each metric that was found costs a place as well.
        let found = text.lines().filter(|line| line.starts_with("N")).count();
        let listed = text.lines().filter(|line| line.starts_with("Cats")).count();
        assert_eq!((listed - 1) + 2 * found, MOST_SERIES);
        assert!(text.contains("ModelName=\"modest\""));
    }

    #[test]
    fn what_a_model_has_filled_goes_with_its_last_version() {
        let metrics = metrics(Mode::Prometheus, true);
        let first = metrics.for_model("m", "1.0");
        let second = metrics.for_model("m", "2.0");
        let other = metrics.for_model("other", "1.0");
        emit(&metrics, "m", "Cats 1 ModelName:m,Level:Model");
        emit(&metrics, "m", "Sizes 1 Level:Model");
        emit(&metrics, "m", "Dogs 1 Level:Model");
        emit(&metrics, "other", "Sizes 1 Level:Model");
        let count = |name: &str| samples(&metrics, &[name]).lines().count();
        drop(first);
        assert_eq!((count("Cats"), count("Dogs")), (1, 1));
        drop(second);
        assert_eq!((count("Cats"), count("Dogs")), (0, 0));
        assert!(count("Sizes") > 0);
        // The name is free for another kind of metric.
        emit(&metrics, "other", "Dogs 1 Colour:black");
        assert_eq!(count("Dogs"), 1);
        drop(other);
        emit(&metrics, "m", "Cats 1 ModelName:m,Level:Model");
        assert_eq!((count("Cats"), count("Sizes"), count("Dogs")), (0, 0, 0));
    }

    #[test]
    fn lines_name_unit_and_requests() {
        let metrics = metrics(Mode::Log, true);
        let _model = metrics.for_model("m", "1.0");
        let lines = logged(|| {
            emit(&metrics, "m", "Cats 2 ModelName:m,Level:Model");
            emit(&metrics, "m", "Dogs 7 Colour:black");
        });
        assert_eq!(
            lines,
            [
                "model_metrics Cats.Count:2.0|#ModelName:m,Level:Model|#hostname:vm,requestID:r1,",
                "model_metrics Dogs.kB:7.0|#Colour:black|#hostname:vm,requestID:r1,",
            ]
        );
    }

    #[test]
    fn a_handler_that_tells_its_times_is_believed() {
        let mut definitions = Definitions::default();
        for name in ["PredictionTime", "HandlerTime"] {
            let dimensions = ["ModelName", "Level"];
            let of_model = definition(Kind::Gauge, name, "ms", &dimensions);
            definitions.model.push(of_model);
        }
        let metrics = super::super::tests::metrics(Mode::Prometheus, definitions);
        let model = metrics.for_model("m", "1.0").told_times(true);
        emit(&metrics, "m", "PredictionTime 3 ModelName:m,Level:Model");
        model.predicted(std::time::Duration::from_millis(9));
        assert_eq!(
            samples(&metrics, &["PredictionTime", "HandlerTime"]),
            "PredictionTime{ModelName=\"m\",Level=\"Model\",Hostname=\"vm\",} 3.0\n"
        );
    }
}
