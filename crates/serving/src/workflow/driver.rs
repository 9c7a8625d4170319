//! One request through a workflow: calls what can be called, and tells the run what came of it.
//!
//! Everything happens in the request's own task: dropping the future drops whatever is on its way, and with it the jobs
//! that still wait in queues.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dag::{Fault, Graph, Kind, Node, NodeId, Run, Source};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use servable::{Input, JobError, Value};
use tracing::info;

use crate::Serving;
use crate::error::Error;
use crate::workflow::call::{CallError, Called, call, is_light};
use crate::workflow::failure::NodeFailure;
use crate::workflow::timeline::{Happening, Timeline};
use crate::workflow::{
    NodeResult, RunOptions, Saved, Workflow, WorkflowReply, model_name, present, provenance,
    request,
};

/// The longest that a request takes whose nodes have no time limits.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// After so many calls that take microseconds a request lets others have its thread.
const TURN: usize = 64;

/// What a call may see of the request that it belongs to.
pub(crate) struct Drive<'s> {
    pub(crate) serving: &'s Serving,
    pub(crate) workflow: &'s Arc<Workflow>,
    pub(crate) input: &'s Input,
    pub(crate) options: &'s RunOptions,
    start: Instant,
    deadline: Instant,
}

type Calling<'d> = Pin<Box<dyn Future<Output = Vec<Called>> + Send + 'd>>;

impl Serving {
    /// Answers one request through a workflow, within the time limits of its nodes and the client's own. Dropping the
    /// future cancels whatever of it still waits.
    pub async fn run_workflow(
        &self,
        name: &str,
        version: Option<&str>,
        input: Input,
        options: RunOptions,
    ) -> Result<WorkflowReply, Error> {
        let _permit = self.admission.admit()?;
        let workflow = self.workflows.resolve(name, version)?;
        let start = Instant::now();
        let limit = options.patience.unwrap_or(LONGEST).min(LONGEST);
        let drive = Drive {
            serving: self,
            workflow: &workflow,
            input: &input,
            options: &options,
            start,
            deadline: start + limit,
        };
        let mut leaving = Leaving(Some((&workflow, start)));
        let reply = drive.run().await;
        leaving.0 = None;
        match &reply {
            Ok(_) => workflow.statistics.answered(start.elapsed()),
            Err(_) => workflow.statistics.failed(start.elapsed()),
        }
        let outcome = match &reply {
            Ok(reply) if reply.degraded.is_empty() => "answered",
            Ok(_) => "degraded",
            Err(_) => "failed",
        };
        workflow.metrics.request(outcome, start.elapsed());
        reply
    }
}

/// A client that goes before there is an answer is counted.
struct Leaving<'w>(Option<(&'w Workflow, Instant)>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some((workflow, start)) = self.0 {
            workflow.statistics.cancelled(start.elapsed());
        }
    }
}

impl Drive<'_> {
    async fn run(&self) -> Result<WorkflowReply, Error> {
        let (first, plan) = if self.options.every {
            (0, &self.workflow.whole)
        } else {
            let answer = self.workflow.choose(&self.options.accept);
            (answer, &self.workflow.plans[answer])
        };
        let known = |parts: &[(String, Value)]| provenance::of(self.serving, self.workflow, parts);
        let spread = request::spread(self.graph(), self.input);
        let input = spread.as_ref().unwrap_or(self.input);
        let request = request::request(self.graph(), input, known)?;
        let mut ignored = request::ignored(self.graph(), input);
        ignored.extend(self.serving.ignored_by_models(self.workflow, input));
        for (_, why) in &ignored {
            info!(workflow = self.workflow.name, "part of a request: {why}");
        }
        let mut run: Run<CallError> = Run::new(Arc::clone(plan), request);
        let mut calling: FuturesUnordered<Calling<'_>> = FuturesUnordered::new();
        let mut windows = Windows::new(self);
        let mut record = Record::default();
        let mut at_once = 0;
        while !run.is_over() {
            while let Some(calls) = run.next(|node| windows.has_room(node)) {
                let node = calls[0].id.node;
                if is_light(self.graph(), &calls[0]) {
                    // Not worth going through the list of what is on its way.
                    for called in call(self, calls).await {
                        self.tell(&called).await?;
                        self.came_back(&mut run, &mut record, called);
                    }
                    at_once += 1;
                    if at_once % TURN == 0 {
                        // There may be a hundred thousand of them, and others want the thread too.
                        tokio::task::yield_now().await;
                        if self.is_late() {
                            return Err(self.timeout(&self.workflow.name));
                        }
                    }
                    continue;
                }
                windows.enter(node, calls.len());
                calling.push(Box::pin(call(self, calls)));
            }
            if run.is_over() {
                break;
            }
            let come = tokio::time::timeout_at(self.deadline.into(), calling.next()).await;
            match come {
                Ok(Some(all)) => {
                    for called in all {
                        windows.leave(called.id.node);
                        self.tell(&called).await?;
                        self.came_back(&mut run, &mut record, called);
                    }
                }
                // Nothing is on its way and nothing can be called: a run that is not over has something of either.
                Ok(None) => {
                    return Err(Error::Job(JobError::failed(
                        "the workflow came to a standstill",
                    )));
                }
                Err(_) => return Err(self.timeout(&self.workflow.name)),
            }
        }
        drop(calling);
        let outcome = run
            .into_outcome()
            .map_err(|failure| self.failure(failure))?;
        let catalogue = &self.workflow.functions.catalogue;
        let output = |answer, value| present::output(self.graph(), answer, value, catalogue);
        let others = outcome.others.into_iter().enumerate();
        let others = others.map(|(index, value)| output(first + 1 + index, value));
        let others = others.collect::<Result<_, _>>()?;
        let output = output(first, outcome.value)?;
        let name = |node: NodeId| self.graph().node(node).name.clone();
        Ok(WorkflowReply {
            output,
            others,
            ignored: ignored.iter().map(|(name, _)| name.clone()).collect(),
            degraded: outcome.degraded.into_iter().map(name).collect(),
            timeline: self.options.explain.then(|| Timeline {
                total: self.start.elapsed(),
                warnings: ignored.into_iter().map(|(_, why)| why).collect(),
                happenings: record.happenings,
            }),
            saved: record.saved,
        })
    }

    /// Tells the client, if it wants to hear of it, what came of a call.
    async fn tell(&self, called: &Called) -> Result<(), Error> {
        let Some(told) = &self.options.told else {
            return Ok(());
        };
        let node = &self.graph().node(called.id.node).name;
        if !told.wants(node) {
            return Ok(());
        }
        let result = NodeResult {
            node: node.clone(),
            item: called.item.clone(),
            took: called.end - called.start,
            result: called
                .result
                .clone()
                .map_err(|error| error.cause.to_string()),
        };
        let tell = told.tell(&self.workflow.name, result);
        match tokio::time::timeout_at(self.deadline.into(), tell).await {
            Ok(told) => told,
            Err(_) => Err(self.timeout(&self.workflow.name)),
        }
    }

    /// Tells the run what came of a call, and whoever else wants to know.
    fn came_back(&self, run: &mut Run<CallError>, record: &mut Record, called: Called) {
        let (node, took) = (called.id.node, called.end - called.start);
        let failed = called.result.is_err();
        let live = &self.workflow.live;
        live.called(node, took, called.travel.batch_size, failed);
        self.workflow.metrics.node(node.0, took);
        if self.options.explain {
            record.happenings.push(self.happening(&called));
        }
        if self.saves(node) {
            record.saved.push(Saved {
                node: self.graph().node(node).name.clone(),
                item: called.item,
                inputs: called.inputs,
                output: called.result.as_ref().ok().cloned(),
            });
        }
        run.complete(called.id, called.result);
    }

    fn happening(&self, called: &Called) -> Happening {
        let node = self.graph().node(called.id.node);
        let (result, travel) = (&called.result, &called.travel);
        Happening {
            node: node.name.clone(),
            kind: match node.kind {
                Kind::Model { function: None, .. } => "model",
                Kind::Model { .. }
                | Kind::Function { .. }
                | Kind::Foreach { .. }
                | Kind::Gather(_) => "function",
            },
            item: called.item.clone(),
            start: called.start - self.start,
            took: called.end - called.start,
            queue: travel.queued,
            batch_wait: travel.batch_wait,
            compute: travel.compute,
            batch_size: travel.batch_size,
            attempts: called.attempts,
            bytes_in: called.bytes_in,
            bytes_out: result.as_ref().map_or(0, Value::bytes),
            error: result.as_ref().err().map(|error| error.cause.to_string()),
        }
    }

    fn failure(&self, failure: dag::Failure<CallError>) -> Error {
        let node = self.graph().node(failure.node);
        // What the request itself brought is the client's fault; what another node gave is not, and would be the same again.
        let job = |fault: String, mine: bool| match mine {
            true => Error::Job(JobError::bad_input(fault)),
            false => Error::Misfit(fault),
        };
        let text = failure.fault.to_string();
        let (cause, model, attempt) = match failure.fault {
            Fault::Call(error) => (error.cause, error.model, error.attempts),
            Fault::NoPart { .. } | Fault::TooMany { .. } => (job(text, true), None, 0),
            Fault::Input { field, .. } => (job(text, is_of_request(node, &field)), None, 0),
            Fault::NoMember { .. } | Fault::Condition(_) | Fault::NoItems(_) => {
                (job(text, false), None, 0)
            }
        };
        let model = model.or_else(|| match node.kind {
            Kind::Model { model, .. } => {
                let name = &self.graph().models[model].name;
                Some((
                    model_name(&self.workflow.name, name),
                    self.workflow.version.clone(),
                ))
            }
            Kind::Function { .. } | Kind::Foreach { .. } | Kind::Gather(_) => None,
        });
        Error::Node(Box::new(NodeFailure {
            workflow: self.workflow.name.clone(),
            node: node.name.clone(),
            model,
            attempt,
            item: failure.item,
            cause,
        }))
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.workflow.graph
    }

    pub(crate) fn saves(&self, node: NodeId) -> bool {
        let saved = &self.options.save;
        !saved.is_empty() && saved.contains(&self.graph().node(node).name)
    }

    /// Until when an attempt that begins now may take.
    pub(crate) fn deadline_of(&self, node: &Node) -> Instant {
        let own = node
            .timeout
            .map(|timeout| Instant::now() + timeout.min(LONGEST));
        own.map_or(self.deadline, |own| own.min(self.deadline))
    }

    /// Whether the whole request is out of time.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline <= Instant::now()
    }

    pub(crate) fn timeout(&self, who: &str) -> Error {
        Error::Timeout {
            model: who.to_owned(),
            after: self.start.elapsed(),
        }
    }
}

/// Whether an input of a node comes from the request itself.
fn is_of_request(node: &Node, field: &str) -> bool {
    let bind = node.inputs.iter().find(|bind| bind.name == field);
    bind.is_some_and(|bind| matches!(bind.from, Source::Request | Source::Part(_)))
}

/// What is written down for the client.
#[derive(Default)]
struct Record {
    happenings: Vec<Happening>,
    saved: Vec<Saved>,
}

/// How many calls of each node are on their way at once: enough to fill its batches, and not so many that the items of
/// one request fill its queue.
struct Windows(Vec<Window>);

struct Window {
    inside: usize,
    most: usize,
}

impl Windows {
    fn new(drive: &Drive<'_>) -> Self {
        let graph = drive.graph();
        let most = |node: &Node| match node.kind {
            Kind::Model { model, .. } => {
                let model = &graph.models[model];
                let batches = model
                    .max_workers
                    .saturating_mul(model.batch_size)
                    .saturating_mul(2);
                batches.clamp(16, 80)
            }
            // They take turns anyway.
            Kind::Function { .. } | Kind::Foreach { .. } | Kind::Gather(_) => 16,
        };
        let window = |node| Window {
            inside: 0,
            most: most(node),
        };
        Windows(graph.nodes.iter().map(window).collect())
    }

    fn has_room(&self, node: NodeId) -> bool {
        self.0[node.0].inside < self.0[node.0].most
    }

    fn enter(&mut self, node: NodeId, calls: usize) {
        self.0[node.0].inside += calls;
    }

    fn leave(&mut self, node: NodeId) {
        self.0[node.0].inside -= 1;
    }
}
