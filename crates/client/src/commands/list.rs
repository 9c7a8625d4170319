//! `list`: every version of every model, a row each.

use crate::endpoint::Api;
use crate::error::Error;
use crate::models::{Version, all_versions, list, list_document};
use crate::session::{QUICK, Session};
use crate::table::{Align, Cell, Table};
use crate::text::{Line, Tone};

pub(super) async fn run(mut session: Session<'_>) -> Result<(), Error> {
    let mut server = session.server(Api::Management, QUICK)?;
    if session.options.json {
        let models = list(&mut server).await?;
        return session.output.json(&list_document(&models));
    }
    let versions = all_versions(&mut server).await?;
    session.show(&lines(&versions))
}

fn lines(versions: &[Version]) -> Vec<Line> {
    if versions.is_empty() {
        return vec![Line::new("No model is registered.")];
    }
    let mut table = Table::new(&[
        ("MODEL", Align::Left),
        ("VERSION", Align::Left),
        ("DEFAULT", Align::Left),
        ("WORKERS", Align::Right),
        ("QUEUE", Align::Right),
        ("BATCH", Align::Right),
        ("ARCHIVE", Align::Left),
    ]);
    for version in versions {
        let model = &version.description;
        table.row([
            (&model.model_name).into(),
            (&model.model_version).into(),
            if version.is_default { "yes" } else { "" }.into(),
            workers(version),
            model.waiting().to_string().into(),
            model.batch_size.to_string().into(),
            (&model.model_url).into(),
        ]);
    }
    table.lines(None)
}

/// Ready workers of the wanted ones; fewer than wanted catch the eye.
pub(crate) fn workers(version: &Version) -> Cell {
    let tone = match version.description.is_short_of_workers() {
        true => Tone::Warn,
        false => Tone::Plain,
    };
    Cell::toned(version.description.workers_text(), tone)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_stand_below_each_other() {
        let version = |name: &str, version: &str, is_default: bool, ready: usize| {
            Version {
            description: serde_json::from_value(json!({
                "modelName": name, "modelVersion": version, "modelUrl": format!("{name}.mar"), "minWorkers": 2,
                "batchSize": 8, "workers": vec![json!({ "status": "READY" }); ready],
                "jobQueueStatus": { "pendingRequests": 12 },
            }))
            .unwrap(),
            is_default,
        }
        };
        let versions = [
            version("mobilenet_v2", "1.0", false, 2),
            version("mobilenet_v2", "2.0", true, 1),
            version("quadrat", "1.0", true, 0),
        ];
        let lines: Vec<String> = lines(&versions)
            .iter()
            .map(|line| line.paint(false))
            .collect();
        let expected = "\
MODEL         VERSION  DEFAULT  WORKERS  QUEUE  BATCH  ARCHIVE
mobilenet_v2  1.0                   2/2     12      8  mobilenet_v2.mar
mobilenet_v2  2.0      yes          1/2     12      8  mobilenet_v2.mar
quadrat       1.0      yes          0/2     12      8  quadrat.mar";
        assert_eq!(lines.join("\n"), expected);
        assert_eq!(super::lines(&[])[0].paint(false), "No model is registered.");
    }
}
