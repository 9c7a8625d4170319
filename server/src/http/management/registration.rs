//! What a registration asks for, from the parameters of a call.

use serving::{Registration, Wishes};

use super::ManagementSettings;
use super::parameters::Parameters;
use crate::error::Failure;
use crate::http::App;

/// The registration that these parameters describe. Without a `url` its url is empty.
///
/// # Errors
///
/// Parameters that no model can be registered with.
pub(super) fn of(
    settings: &ManagementSettings,
    parameters: &Parameters,
) -> Result<Registration, Failure> {
    if let Some(runtime) = parameters
        .text("runtime")
        .filter(|runtime| !["python", "python3", "LSP"].contains(runtime))
    {
        return Err(Failure::bad_request(format!(
            "Invalid RuntimeType value: {runtime}"
        )));
    }
    let workers = parameters
        .number("initial_workers")
        .map_or(settings.initial_workers, |workers| {
            usize::try_from(workers).unwrap_or(0)
        });
    if workers > serving::MOST_WORKERS {
        let most = serving::MOST_WORKERS;
        let message = format!("initial_workers cannot be more than {most}.");
        return Err(Failure::bad_request(message));
    }
    let response_timeout = parameters.seconds("response_timeout");
    if response_timeout.is_some_and(|limit| limit.is_zero()) {
        // Every request would have timed out before it was looked at.
        return Err(Failure::bad_request("response_timeout cannot be 0."));
    }
    Ok(Registration {
        url: parameters.text("url").unwrap_or_default().to_owned(),
        place: None,
        name: parameters.text("model_name").map(str::to_owned),
        version: None,
        handler: parameters.text("handler").map(str::to_owned),
        runtime: parameters.text("runtime").map(str::to_owned),
        wishes: Wishes {
            workers: Some(workers),
            batch_size: parameters.count("batch_size"),
            max_batch_delay: parameters.millis("max_batch_delay"),
            response_timeout,
            startup_timeout: parameters.seconds("startup_timeout"),
            ..Wishes::default()
        },
        s3_sse_kms: parameters.flag("s3_sse_kms").unwrap_or(false),
        part: false,
        at_startup: false,
    })
}

/// The same from the text of a JSON object.
///
/// # Errors
///
/// Text that is no JSON object, and parameters that no model can be registered with.
pub(crate) fn of_json(app: &App, text: &str) -> Result<Registration, Failure> {
    let parameters = Parameters::from_json(text.as_bytes())
        .map_err(|error| Failure::bad_request(format!("config: {}", error.message)))?;
    of(&app.settings.management, &parameters)
}
