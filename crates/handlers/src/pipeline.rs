//! A handler that is written down: a graph of native functions around the network.
//!
//! The graph is in the typed language of workflows, with one model, `network`. Each request has a run of its own; the runs
//! go on until all they wait for is the network, which then computes for all of them at once. Whatever fails in a run is
//! its request's alone.
//!
//! No models, queues or time limits: those belong to workflows, which `serving` runs. `spec.rs` reads and checks the graph,
//! `request.rs` says what a request gives it, `round.rs` has the network run.

mod request;
mod round;
mod spec;

use std::num::NonZeroUsize;
use std::sync::Arc;

use dag::{Bound, Call, Fault, FunctionError, Graph, Kind, Node, OnError, Plan, Run, Source};
use servable::{
    BatchError, Field, Input, JobError, LoadError, Output, Ports, Reason, Signature, Type, Value,
};

use crate::batch::refuse_explanation;
use crate::parameters::Parameters;
use crate::{Bucketing, Handler, ModelContext, Network};
use round::{Asked, Wish};

pub(crate) struct Pipeline {
    plan: Arc<Plan>,
    /// Whether what the network is called with has a first dimension of its own, along which requests are joined; else each
    /// call is one row.
    batched: bool,
}

impl Pipeline {
    pub(crate) fn load(context: &ModelContext<'_>) -> Result<Self, LoadError> {
        let parameters = Parameters::read(context)?;
        let graph = spec::read(context, &parameters)?;
        let batched = parameters.flag("batched")?.unwrap_or(true);
        parameters.finish()?;
        Ok(Pipeline {
            plan: Arc::new(Plan::new(Arc::new(graph), 0)),
            batched,
        })
    }

    fn graph(&self) -> &Graph {
        self.plan.graph()
    }

    fn begin(&self, input: &Input) -> Result<Run<JobError>, JobError> {
        refuse_explanation(input)?;
        let request = request::request(self.graph(), input)?;
        Ok(Run::new(Arc::clone(&self.plan), request))
    }

    /// Takes a run as far as it goes without the network; what it wants of that is added to `asked`.
    fn advance(&self, run: &mut Run<JobError>, index: usize, asked: &mut Vec<Asked>) {
        while let Some(calls) = run.next(|_| true) {
            for call in calls {
                let node = self.graph().node(call.id.node);
                match &node.kind {
                    Kind::Function { bound, .. } => {
                        let id = call.id;
                        run.complete(id, function(bound.as_ref(), call));
                    }
                    Kind::Model { .. } => match round::wish(&call, node, self.batched) {
                        Ok(Wish::Rows(arguments)) => asked.push(Asked {
                            run: index,
                            call: call.id,
                            arguments,
                        }),
                        Ok(Wish::Nothing(empty)) => run.complete(call.id, Ok(empty)),
                        Err(error) => run.complete(call.id, Err(error)),
                    },
                    // A run handles these itself.
                    Kind::Foreach { .. } | Kind::Gather(_) => {}
                }
            }
        }
    }

    fn finish(&self, run: Run<JobError>) -> Result<Output, JobError> {
        let outcome = run
            .into_outcome()
            .map_err(|failure| failed(self.graph(), failure))?;
        let output = Output::new(outcome.value);
        Ok(match &self.graph().answers[0].content_type {
            Some(content_type) => output.with_content_type(content_type),
            None => output,
        })
    }
}

impl Handler for Pipeline {
    fn predict(
        &mut self,
        network: &mut dyn Network,
        inputs: &[Input],
        threads: NonZeroUsize,
    ) -> Result<Vec<Result<Output, JobError>>, BatchError> {
        let mut runs: Vec<_> = inputs.iter().map(|input| self.begin(input)).collect();
        loop {
            let mut asked = Vec::new();
            for (index, run) in runs.iter_mut().enumerate() {
                if let Ok(run) = run {
                    self.advance(run, index, &mut asked);
                }
            }
            if asked.is_empty() {
                break;
            }
            let calls: Vec<_> = asked.iter().map(|asked| (asked.run, asked.call)).collect();
            let answered = match round::forward(network, asked, self.batched, threads) {
                Ok(answered) => answered,
                // The graph may have something to put in place of it. Where there is company, each is asked again alone.
                Err(error) if inputs.len() == 1 && self.bears(&calls) => {
                    let failed = |&(run, call)| (run, call, Err(error.clone().into()));
                    calls.iter().map(failed).collect()
                }
                Err(error) => return Err(error),
            };
            for (index, call, result) in answered {
                if let Ok(run) = &mut runs[index] {
                    run.complete(call, result);
                }
            }
        }
        let finish = |run: Result<Run<JobError>, JobError>| run.and_then(|run| self.finish(run));
        Ok(runs.into_iter().map(finish).collect())
    }

    fn bucketing(&self) -> Bucketing {
        match &self.graph().inputs[..] {
            [only] if matches!(only.of, Type::Tensor(_) | Type::Boxes) => Bucketing::ByTensor {
                batched: self.batched,
            },
            _ => Bucketing::Together,
        }
    }

    fn signature(&self) -> Signature {
        let graph = self.graph();
        let field = |entry: &dag::Entry| Field {
            name: entry.name.clone(),
            of: entry.of.clone(),
        };
        Signature {
            inputs: graph.inputs.iter().map(field).collect(),
            output: graph.answers[0].pick.output(graph),
            ports: Ports::default(),
        }
    }

    fn example(&self) -> Option<Input> {
        request::example(self.graph())
    }
}

impl Pipeline {
    /// Whether the graph says for all these calls what is done when they fail.
    fn bears(&self, calls: &[(usize, dag::CallId)]) -> bool {
        let on_error = |(_, call): &(usize, dag::CallId)| &self.graph().node(call.node).on_error;
        calls
            .iter()
            .all(|call| !matches!(on_error(call), OnError::Fail))
    }
}

fn function(bound: &dyn Bound, call: Call) -> Result<Value, JobError> {
    bound.call(call.inputs).map_err(|error| match error {
        FunctionError::BadInput(why) => JobError::bad_input(why),
        FunctionError::Failed(why) => JobError::failed(why),
    })
}

/// The failure of a run as its client reads it.
fn failed(graph: &Graph, failure: dag::Failure<JobError>) -> JobError {
    let node = graph.node(failure.node);
    let reason = match &failure.fault {
        // What the network gave is not the client's fault.
        Fault::Call(error) if error.reason == Reason::BadInput && takes_network(graph, node) => {
            Reason::Failed
        }
        Fault::Call(error) => error.reason,
        Fault::NoPart { .. } | Fault::TooMany { .. } => Reason::BadInput,
        Fault::Input { field, .. } if is_of_request(node, field) => Reason::BadInput,
        Fault::Input { .. } | Fault::NoMember { .. } | Fault::Condition(_) | Fault::NoItems(_) => {
            Reason::Failed
        }
    };
    let item: String = failure
        .item
        .iter()
        .map(|item| format!("[{item}]"))
        .collect();
    JobError {
        reason,
        message: format!("node `{}`{item}: {}", node.name, failure.fault),
    }
}

fn takes_network(graph: &Graph, node: &Node) -> bool {
    let is_network = |id| matches!(graph.node(id).kind, Kind::Model { .. });
    let mut sources = node.inputs.iter().filter_map(|bind| bind.from.node());
    sources.any(is_network)
}

fn is_of_request(node: &Node, field: &str) -> bool {
    let bind = node.inputs.iter().find(|bind| bind.name == field);
    bind.is_some_and(|bind| matches!(bind.from, Source::Request | Source::Part(_)))
}

#[cfg(test)]
mod tests;
