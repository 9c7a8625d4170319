//! A workflow's run whose nodes are told as they end.
//!
//! It goes on in a task of its own, so that its time limits hold although nobody reads. Dropping it cancels the run.

use servable::Input;
use serving::workflow::{NodeResult, RunOptions, Told, Workflow, WorkflowReply};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::app::App;
use crate::error::Failure;
use crate::memory::Claim;

/// The most results of nodes that wait for their client.
const ROOM: usize = 16;

/// What happened to a run.
pub(crate) enum News {
    Node(NodeResult),
    Over(Result<WorkflowReply, Failure>),
}

pub(crate) struct Running {
    nodes: Receiver<NodeResult>,
    run: JoinSet<Result<WorkflowReply, serving::Error>>,
    /// What was already looked at.
    next: Option<News>,
}

impl Running {
    /// Starts it. `nodes` are those of interest, all where it is empty; `claim` is what the input holds of the memory for
    /// bodies, if anybody counts.
    ///
    /// # Errors
    ///
    /// A run that fails before the first of the nodes ends.
    pub(crate) async fn start(
        app: &App,
        (name, version): (&str, Option<&str>),
        input: Input,
        mut options: RunOptions,
        nodes: Vec<String>,
        claim: Option<Claim>,
    ) -> Result<Self, Failure> {
        let (told, nodes) = Told::new(nodes, ROOM, app.settings.body.stall);
        options.told = Some(told);
        let mut run = JoinSet::new();
        let (serving, name) = (app.serving.clone(), name.to_owned());
        let version = version.map(str::to_owned);
        let work = async move {
            let _claim = claim;
            serving
                .run_workflow(&name, version.as_deref(), input, options)
                .await
        };
        run.spawn(work.in_current_span());
        let mut running = Running {
            nodes,
            run,
            next: None,
        };
        running.next = match running.news().await {
            Some(News::Over(Err(failure))) => return Err(failure),
            news => news,
        };
        Ok(running)
    }

    /// What happened next: results of nodes, then the end, then nothing.
    pub(crate) async fn news(&mut self) -> Option<News> {
        if let Some(news) = self.next.take() {
            return Some(news);
        }
        // What nodes gave was sent before the run was over, and the channel ends with the run.
        if let Some(node) = self.nodes.recv().await {
            return Some(News::Node(node));
        }
        let reply = self.run.join_next().await?;
        let reply = reply.unwrap_or(Err(serving::Error::Stopping));
        Some(News::Over(reply.map_err(Failure::from)))
    }
}

/// The nodes of these names.
///
/// # Errors
///
/// Names the node that there is not.
pub(crate) fn check_nodes(workflow: &Workflow, names: &[String]) -> Result<(), Failure> {
    let unknown = |name: &&String| workflow.graph.find(name).is_none();
    match names.iter().find(unknown) {
        None => Ok(()),
        Some(name) => {
            let workflow = &workflow.name;
            Err(Failure::bad_request(format!(
                "stream: the workflow {workflow} has no node {name:?}"
            )))
        }
    }
}
