//! Managing models: list, register, scale, describe, unregister, choose the default version. The answers are in TorchServe's
//! words.

mod description;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use serving::{Error, Model, Registration, Scale, Wishes};

use super::{Done, Outcome, Page, Parameters};
use crate::app::App;
use crate::error::Failure;

pub(crate) fn list(app: &App, page: Page) -> Done {
    let models = app.serving.registry.listed();
    let models = models.iter();
    let models = models.map(|model| json!({ "modelName": model.name, "modelUrl": model.url }));
    page.of("models", models)
}

/// What a registration may ask for. What is absent is left to the archive, the configuration and the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegisterModel {
    pub(crate) url: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) handler: Option<String>,
    pub(crate) runtime: Option<String>,
    pub(crate) initial_workers: Option<i64>,
    pub(crate) batch_size: Option<NonZeroUsize>,
    pub(crate) max_batch_delay: Option<Duration>,
    pub(crate) response_timeout: Option<Duration>,
    pub(crate) startup_timeout: Option<Duration>,
    pub(crate) s3_sse_kms: bool,
    /// Whether to wait until the workers are ready.
    pub(crate) synchronous: bool,
}

impl RegisterModel {
    /// What the parameters are called.
    pub(crate) const NAMES: [&str; 11] = [
        "url",
        "model_name",
        "handler",
        "runtime",
        "initial_workers",
        "batch_size",
        "max_batch_delay",
        "response_timeout",
        "startup_timeout",
        "s3_sse_kms",
        "synchronous",
    ];
}

impl From<&Parameters> for RegisterModel {
    fn from(parameters: &Parameters) -> Self {
        let text = |name: &str| parameters.text(name).map(str::to_owned);
        RegisterModel {
            url: text("url"),
            name: text("model_name"),
            handler: text("handler"),
            runtime: text("runtime"),
            initial_workers: parameters.number("initial_workers"),
            batch_size: parameters.count("batch_size"),
            max_batch_delay: parameters.millis("max_batch_delay"),
            response_timeout: parameters.seconds("response_timeout"),
            startup_timeout: parameters.seconds("startup_timeout"),
            s3_sse_kms: parameters.flag("s3_sse_kms").unwrap_or(false),
            synchronous: parameters.flag("synchronous").unwrap_or(true),
        }
    }
}

/// What the core is to be asked for.
///
/// # Errors
///
/// A registration without a url, and numbers that no model can be registered with.
pub(crate) fn registration(app: &App, asked: RegisterModel) -> Result<Registration, Failure> {
    let Some(url) = asked.url else {
        return Err(Failure::bad_request("Parameter url is required."));
    };
    if let Some(runtime) = &asked.runtime
        && !["python", "python3", "LSP"].contains(&runtime.as_str())
    {
        return Err(Failure::bad_request(format!(
            "Invalid RuntimeType value: {runtime}"
        )));
    }
    let workers = asked
        .initial_workers
        .map_or(app.settings.management.initial_workers, |workers| {
            usize::try_from(workers).unwrap_or(0)
        });
    if workers > serving::MOST_WORKERS {
        let most = serving::MOST_WORKERS;
        let message = format!("initial_workers cannot be more than {most}.");
        return Err(Failure::bad_request(message));
    }
    if asked.response_timeout.is_some_and(|limit| limit.is_zero()) {
        // Every request would have timed out before it was looked at.
        return Err(Failure::bad_request("response_timeout cannot be 0."));
    }
    Ok(Registration {
        url,
        place: None,
        name: asked.name,
        version: None,
        handler: asked.handler,
        runtime: asked.runtime,
        wishes: Wishes {
            workers: Some(workers),
            batch_size: asked.batch_size,
            max_batch_delay: asked.max_batch_delay,
            response_timeout: asked.response_timeout,
            startup_timeout: asked.startup_timeout,
            ..Wishes::default()
        },
        s3_sse_kms: asked.s3_sse_kms,
        part: false,
        hidden: false,
        at_startup: false,
    })
}

pub(crate) async fn register(app: &App, asked: RegisterModel) -> Outcome {
    let settings = &app.settings.management;
    if !settings.enable_model_api {
        return Err(Failure::method_not_allowed());
    }
    let synchronous = asked.synchronous;
    let registration = registration(app, asked)?;
    let model = app.serving.register(registration).await?;
    app.left_out.forget(&model.name, Some(&model.version));
    let workers = model.scale().min;
    let registered = format!(
        "Model \"{}\" Version: {} registered with {workers} initial workers",
        model.name, model.version
    );
    if workers == 0 {
        return Ok(Done::says(format!(
            "{registered}. Use scale workers API to add workers for the model."
        )));
    }
    if !synchronous {
        return Ok(Done::accepted());
    }
    if let Err(error) = app.serving.wait_for_workers(&model).await {
        // A model that did not come up does not stay behind: the next attempt finds its name free.
        let version = Some(model.version.as_str());
        if let Err(error) = app
            .serving
            .unregister(&model.name, version, settings.unregister_timeout)
            .await
        {
            tracing::warn!(model = model.name, "{error}");
        }
        return Err(error.into());
    }
    Ok(Done::says(registered))
}

/// How many workers a model is to have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ScaleModel {
    pub(crate) min_worker: Option<i64>,
    pub(crate) max_worker: Option<i64>,
    /// Whether to wait until they are ready.
    pub(crate) synchronous: bool,
}

pub(crate) async fn scale(
    app: &App,
    name: &str,
    version: Option<&str>,
    asked: ScaleModel,
) -> Outcome {
    let min = asked.min_worker.unwrap_or(1);
    let max = asked.max_worker.unwrap_or(min);
    // First, as there: an unknown model is the first thing that is wrong with a request.
    let model = find(app, name, version)?;
    // All functions of a handler file have the same workers.
    let (name, version) = match model.hidden {
        true => (&*model.name, Some(&*model.version)),
        false => (name, version),
    };
    if max < min {
        return Err(Failure::bad_request(
            "max_worker cannot be less than min_worker.",
        ));
    }
    let most = i64::try_from(serving::MOST_WORKERS).unwrap_or(i64::MAX);
    let count = |name: &str, value: i64| match usize::try_from(value) {
        Ok(count) if value <= most => Ok(count),
        Ok(_) => Err(Failure::bad_request(format!(
            "{name} cannot be more than {most}."
        ))),
        Err(_) => Err(Failure::internal(format!(
            "{name} cannot be negative: {value}"
        ))),
    };
    let scale = Scale {
        min: count("min_worker", min)?,
        max: count("max_worker", max)?,
    };
    let model = app.serving.scale(name, version, scale).await?;
    if !asked.synchronous {
        return Ok(Done::accepted());
    }
    app.serving.wait_for_workers(&model).await?;
    let mut text = format!("Workers scaled to {} for model: {}", scale.min, model.name);
    if let Some(version) = version {
        text.push_str(&format!(", version: {version}"));
    }
    Ok(Done::says(text))
}

/// A list of one version, or with `all` of all. `customized` adds what the model says of itself.
pub(crate) async fn describe(
    app: &App,
    name: &str,
    version: Option<&str>,
    customized: bool,
) -> Outcome {
    let registry = &app.serving.registry;
    let all = version == Some("all");
    let models = match registry.versions(name) {
        Ok(models) if all => models,
        Ok(_) => vec![registry.resolve(name, version)?],
        Err(_) => vec![find(app, name, version.filter(|_| !all))?],
    };
    let mut descriptions = Vec::with_capacity(models.len());
    for model in &models {
        let mut description = description::of(model).await;
        if model.hidden {
            // As it was asked for: a function has no model of its own.
            description["modelName"] = json!(name);
        }
        descriptions.push(description);
    }
    if customized
        && !all
        && let (Some(model), Some(Value::Object(description))) =
            (models.first(), descriptions.first_mut())
    {
        if model.pool.status().ready() == 0 {
            return Err(Failure::unavailable(format!(
                "Model \"{}\" has no worker to serve describe request. Please use scale workers API to add workers.",
                model.name
            )));
        }
        let said = description::by_itself(app, model).await?;
        description.insert("customizedMetadata".into(), said);
    }
    Ok(Done::with(Value::Array(descriptions)))
}

/// A model by its name, or by that of a function in Python of a workflow, which TorchServe registers as one each.
fn find(app: &App, name: &str, version: Option<&str>) -> Result<Arc<Model>, Error> {
    let found = app.serving.registry.resolve(name, version);
    found.or_else(|unknown| {
        let model = app.serving.model_of_function(name, version);
        model.ok_or(unknown)
    })
}

pub(crate) async fn unregister(app: &App, name: &str, version: Option<&str>) -> Outcome {
    let settings = &app.settings.management;
    if !settings.enable_model_api {
        return Err(Failure::method_not_allowed());
    }
    let unregistered = app
        .serving
        .unregister(name, version, settings.unregister_timeout)
        .await;
    match unregistered {
        // What a snapshot has and could not be registered is let go of in the same way.
        Err(Error::ModelNotFound(_) | Error::VersionNotFound { .. })
            if app.left_out.forget(name, version) =>
        {
            app.serving.changed().await;
        }
        outcome => outcome?,
    }
    Ok(Done::says(format!("Model \"{name}\" unregistered")))
}

pub(crate) async fn set_default(app: &App, name: &str, version: &str) -> Outcome {
    match app.serving.set_default(name, version).await {
        Ok(()) => Ok(Done::says(format!(
            "Default version successfully updated for model \"{name}\" to \"{version}\""
        ))),
        // One colon less than elsewhere.
        Err(error @ Error::VersionNotFound { .. }) => Err(Failure {
            message: format!("Model version {version} does not exist for model {name}"),
            ..error.into()
        }),
        Err(error) => Err(error.into()),
    }
}
