//! What becomes of each line of the configuration.

use super::finding::{Finding, Subject, Verdict};
use super::installation::Installation;
use crate::config::{Fate, LoadModels, Origin, Reviewed, Trouble};
use serving::{ModelStore, has_scheme};

pub(super) fn look(installation: &Installation) -> Vec<Finding> {
    let review = &installation.review;
    let mut found: Vec<Finding> = review.troubles.iter().map(trouble).collect();
    found.extend(review.settings.iter().map(setting));
    found.extend(absent_models(installation));
    found
}

fn setting(line: &Reviewed) -> Finding {
    let of = |verdict, says: String| {
        let finding = Finding::new(verdict, Subject::Setting, &line.key, says);
        finding.with("line", line.line)
    };
    let place = format!("line {}", line.line);
    match &line.fate {
        Fate::Honoured => of(Verdict::Honoured, place),
        Fate::WithoutEffect(why) => of(Verdict::WithoutEffect, format!("{place}: {why}")),
        Fate::Unknown(Some(near)) => of(Verdict::Unknown, format!("{place}: it is ignored"))
            .todo(format!("was {near} meant?")),
        Fate::Unknown(None) => of(Verdict::Unknown, format!("{place}: it is ignored"))
            .todo("remove it, unless a handler reads it"),
        Fate::Wrong(trouble) => {
            let finding = of(Verdict::Wrong, format!("{place}: {}", said(trouble)));
            match advice(&line.key) {
                Some(advice) => finding.todo(advice),
                None => finding,
            }
        }
    }
}

/// What stands in no line.
fn trouble(trouble: &Trouble) -> Finding {
    let name = match (&trouble.key, &trouble.origin) {
        (Some(key), _) => key.clone(),
        (None, Origin::Command) => "model_store".to_owned(),
        (None, origin) => origin.to_string(),
    };
    let says = match &trouble.origin {
        Origin::Command => "neither the configuration nor the folder says where it is".to_owned(),
        Origin::File { .. } => said(trouble),
        origin @ (Origin::Default | Origin::Flag(_) | Origin::Env(_)) => {
            format!("{origin}: {}", said(trouble))
        }
    };
    let advice = advice(&name);
    let finding = Finding::new(Verdict::Wrong, Subject::Setting, name, says);
    match advice {
        Some(advice) => finding.todo(advice),
        None => finding,
    }
}

fn said(trouble: &Trouble) -> String {
    match &trouble.instead {
        Some(instead) => format!("{}; {instead}", trouble.message),
        None => format!("{}; the server would not start", trouble.message),
    }
}

/// What to do about a folder that is elsewhere than where the configuration was written.
fn advice(key: &str) -> Option<&'static str> {
    match key {
        "model_store" => Some("--model-store DIR says where it is"),
        "workflow_store" => Some("--workflow-store DIR says where it is"),
        _ => None,
    }
}

/// Models that `load_models` names and the store has not.
fn absent_models(installation: &Installation) -> Vec<Finding> {
    let config = &installation.review.config;
    let (LoadModels::List(sources), Some(folder)) =
        (&config.load_models, &installation.model_store)
    else {
        return Vec::new();
    };
    let limits = archive::Limits::default();
    let Ok(store) = ModelStore::open(folder, folder, limits) else {
        return Vec::new();
    };
    let absent = sources
        .iter()
        .filter(|source| !has_scheme(&source.url) && !store.contains(&source.url));
    absent
        .map(|source| {
            let says = "load_models names it, and it is not in the model store";
            Finding::new(Verdict::Missing, Subject::Model, &source.url, says)
                .todo("put the archive into the model store, or take it out of load_models")
        })
        .collect()
}
