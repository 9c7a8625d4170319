//! `workflows`: what there is, what it consists of, and registering and unregistering it.

use hyper::Method;
use serde::Deserialize;

use super::manage::{Query, send};
use crate::args::{RegisterWorkflow, WorkflowCommand};
use crate::endpoint::Api;
use crate::error::Error;
use crate::http::{Call, path};
use crate::models::{get, read};
use crate::session::{LONG, QUICK, Session};
use crate::table::{Align, Table};
use crate::text::Line;

/// A page of `GET /workflows`, or what is said of one workflow.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Page {
    next_page_token: Option<String>,
    workflows: Vec<Workflow>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Workflow {
    workflow_name: String,
    workflow_version: String,
    workflow_url: String,
    description: Option<String>,
    warnings: Vec<String>,
    nodes: Vec<Node>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Node {
    name: String,
    kind: String,
    model: Option<String>,
    function: Option<String>,
    calls: u64,
    failures: u64,
    mean_ms: f64,
    mean_batch: f64,
}

pub(super) async fn run(session: Session<'_>, command: &WorkflowCommand) -> Result<(), Error> {
    match command {
        WorkflowCommand::List { .. } => list(session).await,
        WorkflowCommand::Describe {
            workflow, version, ..
        } => describe(session, workflow, version.as_deref()).await,
        WorkflowCommand::Register(args) => register(session, args).await,
        WorkflowCommand::Unregister {
            workflow, version, ..
        } => {
            let path = place(workflow, version.as_deref());
            let call = Call::new(Api::Management, Method::DELETE, path);
            send(session, call, LONG).await
        }
    }
}

async fn list(mut session: Session<'_>) -> Result<(), Error> {
    let mut server = session.server(Api::Management, QUICK)?;
    let mut table = Table::new(&[("WORKFLOW", Align::Left), ("ARCHIVE", Align::Left)]);
    let mut next = String::new();
    let mut count = 0;
    loop {
        let answer = session
            .ask(&mut server, &get(format!("/workflows{next}")))
            .await?;
        let page: Page = read(&server, &answer)?;
        for workflow in &page.workflows {
            let url = match workflow.workflow_url.as_str() {
                "" => "(posted)",
                url => url,
            };
            table.row([(&workflow.workflow_name).into(), url.to_owned().into()]);
        }
        count += page.workflows.len();
        match page.next_page_token {
            // A server that never ends its list must not keep us.
            Some(token)
                if !page.workflows.is_empty() && token.bytes().all(|it| it.is_ascii_digit()) =>
            {
                next = format!("?next_page_token={token}");
            }
            _ => break,
        }
    }
    let none = [Line::new("No workflow is registered.")];
    match count {
        0 => session.show(&none),
        _ => session.show(&table.lines(None)),
    }
}

async fn describe(
    mut session: Session<'_>,
    workflow: &str,
    version: Option<&str>,
) -> Result<(), Error> {
    let mut server = session.server(Api::Management, QUICK)?;
    let answer = session
        .ask(&mut server, &get(place(workflow, version)))
        .await?;
    let described: Vec<Workflow> = read(&server, &answer)?;
    let lines: Vec<Line> = described.iter().flat_map(lines).collect();
    session.show(&lines)
}

fn lines(workflow: &Workflow) -> Vec<Line> {
    let (name, version) = (&workflow.workflow_name, &workflow.workflow_version);
    let mut title = format!("{name} {version}");
    if !workflow.workflow_url.is_empty() {
        title.push_str(&format!(", {}", workflow.workflow_url));
    }
    let mut lines = vec![Line::new(title)];
    lines.extend(workflow.description.iter().map(Line::new));
    let mut table = Table::new(&[
        ("NODE", Align::Left),
        ("KIND", Align::Left),
        ("WHAT", Align::Left),
        ("CALLS", Align::Right),
        ("FAILED", Align::Right),
        ("MS", Align::Right),
        ("BATCH", Align::Right),
    ]);
    for node in &workflow.nodes {
        let what = node.model.as_ref().or(node.function.as_ref());
        table.row([
            (&node.name).into(),
            (&node.kind).into(),
            what.cloned().unwrap_or_default().into(),
            node.calls.to_string().into(),
            node.failures.to_string().into(),
            format!("{:.1}", node.mean_ms).into(),
            format!("{:.1}", node.mean_batch).into(),
        ]);
    }
    lines.extend(table.lines(None));
    let warnings = workflow.warnings.iter();
    lines.extend(warnings.map(|warning| Line::new(format!("warning: {warning}"))));
    lines
}

async fn register(session: Session<'_>, args: &RegisterWorkflow) -> Result<(), Error> {
    let mut name = args.name.clone();
    let mut body = None;
    if let Some(file) = &args.spec {
        let spec = std::fs::read(file).map_err(|source| Error::File {
            path: file.clone(),
            source,
        })?;
        if name.is_none() && !names_itself(&spec) {
            // As a spec in the store is called like its file.
            name = file
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned());
        }
        body = Some(spec);
    }
    let mut query = Query::new();
    query.put("url", args.url.as_ref());
    query.put("workflow_name", name.as_ref());
    query.put("version", args.version.as_ref());
    let path = query.after("/workflows");
    let mut call = Call::new(Api::Management, Method::POST, path);
    if let Some(spec) = body {
        call = call.body(Some("application/yaml".to_owned()), spec.into());
    }
    send(session, call, LONG).await
}

/// Whether a spec says at its top what it is called.
fn names_itself(spec: &[u8]) -> bool {
    spec.split(|&byte| byte == b'\n')
        .any(|line| line.starts_with(b"name:"))
}

fn place(workflow: &str, version: Option<&str>) -> String {
    let mut segments = vec!["workflows", workflow];
    segments.extend(version);
    path(&segments)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_workflow_is_shown_node_by_node() {
        let workflow: Workflow = serde_json::from_value(json!({
            "workflowName": "plates", "workflowVersion": "1.0", "workflowUrl": "plates.war",
            "warnings": ["5:3: warning: node `x`: nobody uses it"],
            "nodes": [
                { "name": "boxes", "kind": "model", "model": "plates__yolo", "calls": 12, "meanMs": 31.25, "meanBatch": 2.5 },
                { "name": "answer", "kind": "function", "function": "merge", "calls": 12, "failures": 1, "meanBatch": 1 },
            ],
        }))
        .unwrap();
        let lines = lines(&workflow);
        let shown: Vec<String> = lines.iter().map(|line| line.paint(false)).collect();
        let expected = "\
plates 1.0, plates.war
NODE    KIND      WHAT          CALLS  FAILED    MS  BATCH
boxes   model     plates__yolo     12       0  31.2    2.5
answer  function  merge            12       1   0.0    1.0
warning: 5:3: warning: node `x`: nobody uses it";
        assert_eq!(shown.join("\n"), expected);
    }
}
