//! One call of one node: its attempts, its time limits, what came of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dag::{Bound, Call, CallId, Form, FunctionError, Graph, Kind, Node};
use servable::{Input, JobError, Part, Task, Value};
use tokio::task::JoinHandle;
use tracing::{Instrument, trace_span};

use crate::error::{Code, Error};
use crate::job::{TimedReply, Travel};
use crate::pool::Request;
use crate::registry::Model;
use crate::workflow::driver::Drive;
use crate::workflow::model_name;

/// What came of one call.
pub(crate) struct Called {
    pub(crate) id: CallId,
    pub(crate) item: Vec<usize>,
    pub(crate) result: Result<Value, CallError>,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    pub(crate) travel: Travel,
    pub(crate) attempts: u32,
    pub(crate) bytes_in: usize,
    /// Kept only where the client wished for it.
    pub(crate) inputs: Vec<(String, Value)>,
}

/// Why a call gave nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{cause}")]
pub(crate) struct CallError {
    pub(crate) cause: Error,
    pub(crate) model: Option<(String, String)>,
    pub(crate) attempts: u32,
}

/// Calls a node, for one item or for several that belong together.
pub(crate) async fn call(drive: &Drive<'_>, calls: Vec<Call>) -> Vec<Called> {
    let node = drive.graph().node(calls[0].id.node);
    let span = trace_span!("node", node = node.name);
    async {
        match &node.kind {
            Kind::Model {
                model, together, ..
            } => {
                let name = &drive.graph().models[*model].name;
                let name = model_name(&drive.workflow.name, name);
                if *together && !calls.is_empty() && !calls[0].item.is_empty() {
                    together_calls(drive, node, &name, calls).await
                } else {
                    let mut called = Vec::with_capacity(calls.len());
                    for call in calls {
                        called.push(model_call(drive, node, &name, call).await);
                    }
                    called
                }
            }
            Kind::Function { bound, .. } => {
                let mut called = Vec::with_capacity(calls.len());
                for call in calls {
                    called.push(function_call(drive, node, bound, call).await);
                }
                called
            }
            // A run handles these itself.
            Kind::Foreach { .. } | Kind::Gather(_) => Vec::new(),
        }
    }
    .instrument(span)
    .await
}

/// Whether another attempt could come to something else.
fn is_worth_another(error: &Error) -> bool {
    match error.code() {
        Code::BadInput
        | Code::ModelNotFound
        | Code::VersionNotFound
        | Code::Unsupported
        | Code::Conflict
        | Code::Forbidden
        | Code::InvalidModel
        | Code::WorkflowNotFound
        | Code::InvalidWorkflow
        | Code::InvalidGraph
        | Code::WorkflowFailed
        | Code::DownloadFailed => false,
        // Of a status that the handler chose, as of any other.
        Code::Chosen(status) => status >= 500,
        Code::Overloaded
        | Code::Timeout
        | Code::Unavailable
        | Code::PredictionFailed
        | Code::WorkerDied
        | Code::OutOfMemory
        | Code::Internal => true,
    }
}

async fn model_call(drive: &Drive<'_>, node: &Node, name: &str, call: Call) -> Called {
    let mut called = Called::begin(drive, &call);
    let found = drive
        .serving
        .registry
        .resolve(name, Some(&drive.workflow.version));
    let model = match found {
        Ok(model) => model,
        Err(error) => return called.fail(error, None, 0),
    };
    let input = input(drive, node, &model, &call);
    called.bytes_in = input.bytes();
    for attempt in 1..=node.retry_attempts.saturating_add(1) {
        let reply = attempt_model(drive, node, &model, input.clone(), &call).await;
        called.attempts = attempt;
        match reply {
            Ok((output, travel)) => {
                called.travel = travel;
                return called.succeed(output.value);
            }
            Err(error) => {
                let last =
                    attempt > node.retry_attempts || drive.is_late() || !is_worth_another(&error);
                if last {
                    return called.fail(error, Some(&model), attempt);
                }
            }
        }
    }
    called.fail(drive.timeout(name), Some(&model), node.retry_attempts)
}

async fn attempt_model(
    drive: &Drive<'_>,
    node: &Node,
    model: &Arc<Model>,
    input: Input,
    call: &Call,
) -> TimedReply {
    let metrics = &model.metrics;
    metrics.request_arrived();
    let _inside = metrics.inside();
    let deadline = drive.deadline_of(node);
    // Items wait for room in the queue: their request has been let in, and cannot be sent again in parts.
    let mut pause = Duration::from_millis(2);
    let reply = loop {
        let request = Request {
            input: input.clone(),
            deadline,
            step: None,
            metrics,
        };
        let reply = model.pool.submit_timed(request).await;
        match reply {
            Err(error)
                if !call.item.is_empty()
                    && error.code() == Code::Overloaded
                    && Instant::now() + pause < deadline =>
            {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(50));
            }
            reply => break reply,
        }
    };
    if let Err(error) = &reply {
        metrics.refused(error.code());
    }
    reply
}

/// Items that go to the model as one batch, and fail one by one.
async fn together_calls(
    drive: &Drive<'_>,
    node: &Node,
    name: &str,
    calls: Vec<Call>,
) -> Vec<Called> {
    let mut all: Vec<Called> = calls
        .iter()
        .map(|call| Called::begin(drive, call))
        .collect();
    let found = drive
        .serving
        .registry
        .resolve(name, Some(&drive.workflow.version));
    let model = match found {
        Ok(model) => model,
        Err(error) => {
            let fail = |called: Called| called.fail(error.clone(), None, 0);
            return all.into_iter().map(fail).collect();
        }
    };
    let inputs = calls.iter().map(|call| input(drive, node, &model, call));
    let inputs: Vec<Input> = inputs.collect();
    for (called, input) in all.iter_mut().zip(&inputs) {
        called.bytes_in = input.bytes();
    }
    let mut pause = Duration::from_millis(2);
    let mut attempt = 1;
    loop {
        let deadline = drive.deadline_of(node);
        let requests = inputs.iter().map(|input| {
            model.metrics.request_arrived();
            Request {
                input: input.clone(),
                deadline,
                step: None,
                metrics: &model.metrics,
            }
        });
        let replies = match model.pool.submit_all(requests.collect()).await {
            Ok(replies) => replies,
            Err(error) if error.code() == Code::Overloaded && Instant::now() + pause < deadline => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(50));
                continue;
            }
            Err(error) => inputs.iter().map(|_| Err(error.clone())).collect(),
        };
        let again = replies
            .iter()
            .any(|reply| reply.as_ref().is_err_and(is_worth_another));
        if again && attempt <= node.retry_attempts && !drive.is_late() {
            // All of them: the answer of each depends on the others.
            attempt += 1;
            continue;
        }
        let end = |(mut called, reply): (Called, TimedReply)| {
            called.attempts = attempt;
            match reply {
                Ok((output, travel)) => {
                    called.travel = travel;
                    called.succeed(output.value)
                }
                Err(error) => {
                    model.metrics.refused(error.code());
                    called.fail(error, Some(&model), attempt)
                }
            }
        };
        return all.into_iter().zip(replies).map(end).collect();
    }
}

/// What the model is given: the request as it came for the classic form's start node, else a part for each input.
fn input(drive: &Drive<'_>, node: &Node, model: &Model, call: &Call) -> Input {
    let whole = node.inputs.iter().any(|bind| bind.name.is_empty());
    let is_classic = drive.graph().form == Form::Classic;
    let parts = if whole {
        drive.input.parts.clone()
    } else {
        let part = |(name, value): &(String, Value)| Part {
            name: name.clone(),
            content_type: String::new(),
            value: match is_classic && model.takes_bytes {
                true => Value::Bytes(value.clone().into_body()),
                false => value.clone(),
            },
        };
        call.inputs.iter().map(part).collect()
    };
    // Items of one inner scope are one request to a model that merges none.
    let id = match call.item.split_last() {
        Some((_, outer)) if !outer.is_empty() => {
            let outer: Vec<_> = outer.iter().map(usize::to_string).collect();
            format!("{}/{}", drive.input.id, outer.join("/"))
        }
        Some(_) | None => drive.input.id.clone(),
    };
    Input {
        id,
        task: Task::Predict,
        parts,
        headers: drive.input.headers.clone(),
        parts_to: None,
        function: function(drive.graph(), node),
        typed: !is_classic,
    }
}

/// Which function of its model the node calls. Where there is but one, the worker has it for its handler.
fn function(graph: &Graph, node: &Node) -> Option<Arc<str>> {
    match &node.kind {
        Kind::Model {
            model,
            function: Some(function),
            ..
        } if graph.models[*model].functions.len() > 1 => Some(Arc::clone(function)),
        Kind::Model { .. } | Kind::Function { .. } | Kind::Foreach { .. } | Kind::Gather(_) => None,
    }
}

async fn function_call(
    drive: &Drive<'_>,
    node: &Node,
    bound: &Arc<dyn Bound>,
    mut call: Call,
) -> Called {
    let mut called = Called::begin(drive, &call);
    if drive.options.explain {
        called.bytes_in = call.inputs.iter().map(|(_, value)| value.bytes()).sum();
    }
    let mut inputs = std::mem::take(&mut call.inputs);
    for attempt in 1..=node.retry_attempts.saturating_add(1) {
        // The last attempt may have the values for itself.
        let given = if attempt > node.retry_attempts {
            std::mem::take(&mut inputs)
        } else {
            inputs.clone()
        };
        called.attempts = attempt;
        let result = attempt_function(drive, node, bound, given, &mut called.travel).await;
        match result {
            Ok(value) => return called.succeed(value),
            Err(error) => {
                let last =
                    attempt > node.retry_attempts || drive.is_late() || !is_worth_another(&error);
                if last {
                    return called.fail(error, None, attempt);
                }
            }
        }
    }
    called.fail(drive.timeout(&node.name), None, node.retry_attempts)
}

async fn attempt_function(
    drive: &Drive<'_>,
    node: &Node,
    bound: &Arc<dyn Bound>,
    inputs: Vec<(String, Value)>,
    travel: &mut Travel,
) -> Result<Value, Error> {
    let arrival = Instant::now();
    if bound.is_light() {
        let result = guarded(bound.as_ref(), inputs).map_err(|error| told(node, error));
        travel.compute = arrival.elapsed();
        return result;
    }
    let deadline = drive.deadline_of(node);
    let turn = Arc::clone(&drive.workflow.functions.turns).acquire_owned();
    let turn = tokio::time::timeout_at(deadline.into(), turn);
    let Ok(Ok(turn)) = turn.await else {
        return Err(drive.timeout(&node.name));
    };
    travel.queued = arrival.elapsed();
    let bound = Arc::clone(bound);
    let work = tokio::task::spawn_blocking(move || {
        // Held until it is done, even if nobody waits any more: the core is taken.
        let _turn = turn;
        let began = Instant::now();
        let value = guarded(bound.as_ref(), inputs)?;
        Ok((value, began, began.elapsed()))
    });
    let work = AbortOnDrop(work);
    match tokio::time::timeout_at(deadline.into(), work).await {
        Ok(Ok((value, began, compute))) => {
            travel.queued = began - arrival;
            travel.compute = compute;
            Ok(value)
        }
        Ok(Err(None)) => Err(Error::Stopping),
        Ok(Err(Some(error))) => Err(told(node, error)),
        Err(_) => Err(drive.timeout(&node.name)),
    }
}

/// A function that panics fails its call.
fn guarded(bound: &dyn Bound, inputs: Vec<(String, Value)>) -> Result<Value, FunctionError> {
    let call = std::panic::AssertUnwindSafe(|| bound.call(inputs));
    std::panic::catch_unwind(call).unwrap_or_else(|_| {
        // Its own words went to the log through the panic hook.
        Err(FunctionError::Failed("the function panicked".into()))
    })
}

/// A function's error in the words of who sent the request, which knows inputs and no parameters.
fn told(node: &Node, error: FunctionError) -> Error {
    Error::Job(match &error {
        FunctionError::BadInput(why) => JobError::bad_input(why.as_str()),
        FunctionError::Parameter { parameter, message } => match node.asked(parameter) {
            Some(input) => JobError::bad_input(format!("input `{input}`: {message}")),
            None => JobError::bad_input(error.to_string()),
        },
        FunctionError::Failed(why) => JobError::failed(why.as_str()),
    })
}

/// A blocking call that has not begun when nobody waits any more never will.
struct AbortOnDrop(JoinHandle<Timed>);

/// A value, when a thread began to compute it, and how long that took.
type Timed = Result<(Value, Instant, Duration), FunctionError>;

/// The same, or no error at all where the runtime ends.
type Computed = Result<(Value, Instant, Duration), Option<FunctionError>>;

impl Future for AbortOnDrop {
    type Output = Computed;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        let joined = std::pin::Pin::new(&mut self.0).poll(context);
        joined.map(|joined| match joined {
            Ok(timed) => timed.map_err(Some),
            Err(_) => Err(None),
        })
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Called {
    fn begin(drive: &Drive<'_>, call: &Call) -> Self {
        let now = Instant::now();
        Called {
            id: call.id,
            item: call.item.clone(),
            result: Ok(Value::Null),
            start: now,
            end: now,
            travel: Travel {
                batch_size: 1,
                ..Travel::default()
            },
            attempts: 0,
            bytes_in: 0,
            inputs: if drive.saves(call.id.node) {
                call.inputs.clone()
            } else {
                Vec::new()
            },
        }
    }

    fn succeed(mut self, value: Value) -> Self {
        self.end = Instant::now();
        self.result = Ok(value);
        self
    }

    fn fail(mut self, cause: Error, model: Option<&Arc<Model>>, attempts: u32) -> Self {
        self.end = Instant::now();
        let model = model.map(|model| (model.name.clone(), model.version.clone()));
        self.result = Err(CallError {
            cause,
            model,
            attempts,
        });
        self
    }
}

/// Whether a call of the node is over before anybody could wait for it.
pub(crate) fn is_light(graph: &Graph, call: &Call) -> bool {
    match &graph.node(call.id.node).kind {
        Kind::Function { bound, .. } => bound.is_light(),
        Kind::Model { .. } | Kind::Foreach { .. } | Kind::Gather(_) => false,
    }
}
