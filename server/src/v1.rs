//! KServe's protocol v1, without a wire: a list of instances, each of which is a request of its own, and a list of answers.
//!
//! An instance is what `/predictions` would take as its JSON body. `{"b64": "…"}` stands for bytes, and an object whose
//! members are the model's inputs, or `data` or `body`, is a form with these fields.

mod instances;

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use servable::{Input, Part, Task, Value};
use serving::Code;

use crate::app::App;
use crate::envelope::inner_headers;
use crate::error::Failure;

/// A whole request.
pub(crate) struct Asked<'r> {
    pub(crate) model: &'r str,
    pub(crate) version: Option<&'r str>,
    pub(crate) task: Task,
    /// The server's own name for it.
    pub(crate) id: String,
    pub(crate) headers: Vec<(String, String)>,
    /// How long the client waits for all of it.
    pub(crate) patience: Option<Duration>,
}

/// The answers to the instances of `body`, in their order: `{"predictions": […]}`, or `{"explanations": […]}`. Instances are
/// asked at the same time, so that they share batches.
///
/// # Errors
///
/// That of the first instance that fails, which fails all of them.
pub(crate) async fn answer(app: &App, asked: Asked<'_>, body: &[u8]) -> Result<Value, Failure> {
    let model = app.serving.registry.resolve(asked.model, asked.version)?;
    let inputs: Vec<&str> = model
        .signature
        .inputs
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    let instances = instances::read(body, &inputs).map_err(Failure::bad_request)?;
    // Enough to fill every worker's next batch while it is at one, and no more than may wait.
    let (batch, workers) = (model.settings.batch_size.get(), model.scale().max.max(1));
    let together = (2 * batch * workers).min(model.settings.queue_size).max(1);
    let headers = inner_headers(asked.headers, asked.task);
    let ask = async |index: usize, parts: Vec<Part>| {
        let input = Input {
            id: asked.id.clone(),
            task: asked.task,
            parts,
            headers: headers.clone(),
            ..Input::default()
        };
        let (name, version) = (asked.model, asked.version);
        let answer = app.serving.predict(name, version, input, asked.patience);
        answer.await.map(|output| output.value).map_err(|error| {
            let is_its_own = error.code() == Code::BadInput;
            let failure = Failure::from(error);
            if !is_its_own {
                return failure;
            }
            Failure {
                message: format!("instances[{index}]: {}", failure.message),
                ..failure
            }
        })
    };
    let asking = instances.into_iter().enumerate();
    let asking = asking.map(|(index, parts)| ask(index, parts));
    let answers: Vec<Value> = stream::iter(asking)
        .buffered(together)
        .try_collect()
        .await?;
    let name = match asked.task {
        Task::Predict => "predictions",
        Task::Explain => "explanations",
    };
    Ok(Value::map([(name, Value::list(answers))]))
}
