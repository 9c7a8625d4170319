//! A handler that is written down: a graph of native functions around the network.
//!
//! The graph is in the typed language of workflows, with one model, `network`. Each request has a run of its own; the runs
//! go on until all they wait for is the network, which then computes for all of them at once. Whatever fails in a run is
//! its request's alone.
//!
//! No models, queues or time limits: those belong to workflows, which `serving` runs. `spec.rs` reads and checks the graph,
//! `request.rs` says what a request gives it, `terms.rs` how it wants the network to run, `round.rs` has that run.

mod request;
mod round;
mod spec;
mod terms;

use std::num::NonZeroUsize;
use std::sync::Arc;

use dag::{Fault, FunctionError, Graph, Kind, Node, OnError, Plan, Run, Source};
use image_ops::DecodeLimits;
use servable::{
    BatchError, Device, Field, Input, JobError, LoadError, Output, Ports, Reason, Signature, Takes,
    Type, Value,
};

use crate::batch::refuse_explanation;
use crate::parameters::Parameters;
use crate::{Bucketing, Handler, ModelContext, Network};
use round::{Asked, Wish};
use terms::{Asking, Terms};

pub(crate) struct Pipeline {
    plan: Arc<Plan>,
    /// Whether what the network is called with has a first dimension of its own, along which requests are joined; else each
    /// call is one row.
    batched: bool,
    /// Which inputs say how the network is to run.
    asking: Asking,
    limits: DecodeLimits,
}

/// A request on its way through the graph.
struct Going {
    run: Run<Mistake>,
    terms: Terms,
}

/// What went wrong in a call, and whether the request has asked for it, whatever the network gave.
#[derive(Debug, Clone)]
struct Mistake {
    error: JobError,
    asked: bool,
}

impl From<JobError> for Mistake {
    fn from(error: JobError) -> Self {
        Mistake {
            error,
            asked: false,
        }
    }
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl Pipeline {
    pub(crate) fn load(context: &ModelContext<'_>) -> Result<Self, LoadError> {
        let parameters = Parameters::read(context)?;
        let graph = spec::read(context, &parameters)?;
        let batched = parameters.flag("batched")?.unwrap_or(true);
        let asking = Asking::read(&parameters, &graph)?;
        parameters.finish()?;
        Ok(Pipeline {
            plan: Arc::new(Plan::new(Arc::new(graph), 0)),
            batched,
            asking,
            limits: context.decode_limits(),
        })
    }

    fn graph(&self) -> &Graph {
        self.plan.graph()
    }

    fn begin(&self, input: &Input, device: Device) -> Result<Going, JobError> {
        refuse_explanation(input)?;
        let request = request::request(self.graph(), input, self.limits)?;
        Ok(Going {
            terms: self.asking.terms(&request, device)?,
            run: Run::new(Arc::clone(&self.plan), request),
        })
    }

    /// Takes a run as far as it goes without the network; what it wants of that is added to `asked`.
    fn advance(&self, going: &mut Going, index: usize, asked: &mut Vec<Asked>) {
        let run = &mut going.run;
        while let Some(calls) = run.next(|_| true) {
            for call in calls {
                let node = self.graph().node(call.id.node);
                match &node.kind {
                    Kind::Function { bound, .. } => {
                        let id = call.id;
                        run.complete(id, function(node, bound.call(call.inputs)));
                    }
                    Kind::Model { .. } => {
                        match round::wish(&call, node, self.batched, &self.limits) {
                            Ok(Wish::Rows(arguments)) => asked.push(Asked {
                                run: index,
                                call: call.id,
                                arguments,
                                terms: going.terms,
                            }),
                            Ok(Wish::Nothing(empty)) => run.complete(call.id, Ok(empty)),
                            Err(error) => run.complete(call.id, Err(error.into())),
                        }
                    }
                    // A run handles these itself.
                    Kind::Foreach { .. } | Kind::Gather(_) => {}
                }
            }
        }
    }

    fn finish(&self, going: Going) -> Result<Output, JobError> {
        let outcome = going
            .run
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
        let device = network.device();
        let begin = |input| self.begin(input, device);
        let mut runs: Vec<_> = inputs.iter().map(begin).collect();
        loop {
            let mut asked = Vec::new();
            for (index, run) in runs.iter_mut().enumerate() {
                if let Ok(going) = run {
                    self.advance(going, index, &mut asked);
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
                if let Ok(going) = &mut runs[index] {
                    going.run.complete(call, result.map_err(Mistake::from));
                }
            }
        }
        let finish = |run: Result<Going, JobError>| run.and_then(|going| self.finish(going));
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

    fn takes(&self) -> Option<Takes> {
        request::takes(self.graph())
    }

    fn example(&self) -> Option<Input> {
        request::example(self.graph())
    }

    fn example_by_choice(&self) -> Option<Input> {
        request::example_by_choice(self.graph())
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

/// What a function gave, or whose mistake it is that it gave nothing.
fn function(node: &Node, given: Result<Value, FunctionError>) -> Result<Value, Mistake> {
    given.map_err(|error| match &error {
        FunctionError::BadInput(why) => JobError::bad_input(why).into(),
        FunctionError::Parameter { parameter, message } => match node.asked(parameter) {
            Some(input) => Mistake {
                error: JobError::bad_input(format!("input `{input}`: {message}")),
                asked: true,
            },
            None => JobError::bad_input(error.to_string()).into(),
        },
        FunctionError::Failed(why) => JobError::failed(why).into(),
    })
}

/// The failure of a run as its client reads it.
fn failed(graph: &Graph, failure: dag::Failure<Mistake>) -> JobError {
    let node = graph.node(failure.node);
    let reason = match &failure.fault {
        // What the network gave is not the client's fault, but what it has asked for is.
        Fault::Call(Mistake { error, asked })
            if error.reason == Reason::BadInput && !asked && takes_network(graph, node) =>
        {
            Reason::Failed
        }
        Fault::Call(mistake) => mistake.error.reason,
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
