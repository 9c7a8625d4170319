//! `health`: the three answers about how the server is, and one exit code for all of them.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::endpoint::Api;
use crate::error::Error;
use crate::http::{Answer, Call, Server};
use crate::session::{QUICK, Session};
use crate::text::{Line, Tone};

/// One of the answers.
struct Probe {
    answer: Answer,
    /// What is wrong, if the answer says so.
    refusal: Option<String>,
}

impl Probe {
    /// A TorchServe has `/ping` alone.
    fn is_well(&self) -> bool {
        self.answer.is_success() || self.is_unknown()
    }

    fn is_unknown(&self) -> bool {
        self.answer.status == StatusCode::NOT_FOUND
    }

    fn document(&self) -> Value {
        serde_json::from_slice(&self.answer.body).unwrap_or_default()
    }
}

pub(super) async fn run(session: Session<'_>) -> Result<(), Error> {
    let mut server = session.server(Api::Inference, QUICK)?;
    let live = probe(&mut server, "/live", None).await?;
    let ready = probe(&mut server, "/ready", None).await?;
    let ping = probe(&mut server, "/ping", Some("inference")).await?;
    let all_well = live.is_well() && ready.is_well() && ping.answer.is_success();
    if session.options.json {
        let document = json!({
            "live": live.document(), "ready": ready.document(), "ping": ping.document(),
        });
        session.output.json(&document)?;
    } else {
        let mut lines = vec![Line::new(server.address())];
        lines.extend(yes_or_no("live", &live));
        lines.extend(yes_or_no("ready", &ready));
        lines.extend(ping_lines(&ping));
        session.output.lines(&lines)?;
    }
    if all_well { Ok(()) } else { Err(Error::Told) }
}

async fn probe(server: &mut Server, path: &str, key: Option<&'static str>) -> Result<Probe, Error> {
    let call = Call::new(Api::Inference, Method::GET, path).key(key);
    let answer = server.send(&call).await?;
    let refusal = (!answer.is_success()).then(|| server.refusal(&call, &answer));
    Ok(Probe { answer, refusal })
}

fn yes_or_no(name: &str, probe: &Probe) -> Vec<Line> {
    if probe.is_unknown() {
        return vec![named(name, Tone::Dim, "this server does not say")];
    }
    let document = probe.document();
    if probe.is_well() {
        return vec![named(name, Tone::Good, "yes")];
    }
    let mut lines = vec![named(name, Tone::Bad, "no")];
    let missing = document["waitingFor"].as_array();
    for model in missing.into_iter().flatten() {
        let text = |name: &str| model[name].as_str().unwrap_or_default();
        let how = match (model["readyWorkers"].as_u64(), model["workers"].as_u64()) {
            (Some(ready), Some(wanted)) => {
                format!("{ready} of {wanted} workers, {}", text("state"))
            }
            // It is not registered.
            _ => format!("{}: {}", text("state"), text("failure")),
        };
        lines.push(Line::new(format!(
            "         {} {}: {how}",
            text("modelName"),
            text("modelVersion")
        )));
    }
    lines
}

fn ping_lines(probe: &Probe) -> Vec<Line> {
    let Some(refusal) = &probe.refusal else {
        let document = probe.document();
        let status = document["status"].as_str().unwrap_or("answered");
        let tone = if status == "Healthy" {
            Tone::Good
        } else {
            Tone::Warn
        };
        return vec![named("ping", tone, status)];
    };
    let mut texts = refusal.lines();
    let first = named("ping", Tone::Bad, texts.next().unwrap_or_default());
    let rest = texts.map(|text| Line::new(format!("         {text}")));
    std::iter::once(first).chain(rest).collect()
}

fn named(name: &str, tone: Tone, text: &str) -> Line {
    Line::new(format!("  {name:<7}")).and(tone, text)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn check(lines: fn(&Probe) -> Vec<Line>, status: u16, body: &'static str, expected: &str) {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            content_type: None,
            headers: hyper::HeaderMap::new(),
            cut: false,
            body: Bytes::from_static(body.as_bytes()),
        };
        let refusal = (status != 200).then(|| format!("{}\ndo this", answer.failure().1));
        let lines = lines(&Probe { answer, refusal });
        let lines: Vec<String> = lines.iter().map(|line| line.paint(false)).collect();
        assert_eq!(lines.join("\n"), expected);
    }

    #[test]
    fn what_is_missing_is_named() {
        let ready = |probe: &Probe| yes_or_no("ready", probe);
        check(ready, 200, r#"{"ready": true}"#, "  ready  yes");
        check(ready, 404, "", "  ready  this server does not say");
        let body = r#"{"ready": false, "waitingFor": [{"modelName": "m", "modelVersion": "1.0", "workers": 2,
                       "readyWorkers": 1, "state": "ready"}]}"#;
        check(
            ready,
            503,
            body,
            "  ready  no\n         m 1.0: 1 of 2 workers, ready",
        );
        let body = r#"{"ready": false, "waitingFor": [{"modelName": "m", "modelVersion": "1.0", "state": "left out",
                       "failure": "m.mar: not a model archive"}]}"#;
        check(
            ready,
            503,
            body,
            "  ready  no\n         m 1.0: left out: m.mar: not a model archive",
        );
        check(
            ping_lines,
            200,
            r#"{"status": "Healthy"}"#,
            "  ping   Healthy",
        );
        check(
            ping_lines,
            500,
            r#"{"status": "Unhealthy"}"#,
            "  ping   Unhealthy\n         do this",
        );
    }
}
