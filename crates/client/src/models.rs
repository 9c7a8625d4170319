//! What the management API says of models, read as leniently as it may change: what is missing is empty.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::endpoint::Api;
use crate::error::Error;
use crate::http::{Answer, Call, Server, path};

/// A page of `GET /models`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Page {
    next_page_token: Option<String>,
    models: Vec<Listed>,
}

/// A model of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Listed {
    pub(crate) model_name: String,
    pub(crate) model_url: String,
}

/// One version of a model.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Description {
    pub(crate) model_name: String,
    pub(crate) model_version: String,
    pub(crate) model_url: String,
    pub(crate) runtime: String,
    pub(crate) min_workers: u64,
    pub(crate) max_workers: u64,
    pub(crate) batch_size: u64,
    /// Milliseconds.
    pub(crate) max_batch_delay: u64,
    /// Seconds.
    pub(crate) response_timeout: u64,
    /// Seconds.
    pub(crate) startup_timeout: Option<u64>,
    pub(crate) device_type: Option<String>,
    pub(crate) loaded_at_startup: bool,
    pub(crate) workers: Vec<Worker>,
    pub(crate) job_queue_status: Option<Queue>,
    pub(crate) customized_metadata: Option<Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Worker {
    pub(crate) id: String,
    pub(crate) start_time: String,
    pub(crate) status: String,
    /// Bytes.
    pub(crate) memory_usage: u64,
    pub(crate) pid: u64,
    pub(crate) gpu: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Queue {
    pub(crate) remaining_capacity: u64,
    pub(crate) pending_requests: u64,
}

/// A version and whether it is the one that answers where a request names none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Version {
    pub(crate) description: Description,
    pub(crate) is_default: bool,
}

impl Description {
    pub(crate) fn ready(&self) -> usize {
        let ready = |worker: &&Worker| worker.status == "READY";
        self.workers.iter().filter(ready).count()
    }

    /// Ready workers of those that are wanted, `1/2`.
    pub(crate) fn workers_text(&self) -> String {
        format!("{}/{}", self.ready(), self.min_workers)
    }

    pub(crate) fn is_short_of_workers(&self) -> bool {
        (self.ready() as u64) < self.min_workers
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.job_queue_status.unwrap_or_default().pending_requests
    }
}

/// A call of the management API.
pub(crate) fn get(path: String) -> Call {
    Call::new(Api::Management, hyper::Method::GET, path)
}

/// The most models that are listed.
const MOST: usize = 100_000;

/// Every model, page by page.
pub(crate) async fn list(server: &mut Server) -> Result<Vec<Listed>, Error> {
    let mut found: Vec<Listed> = Vec::new();
    let mut next = String::new();
    loop {
        let query = match next.as_str() {
            "" => String::new(),
            token => format!("?next_page_token={token}"),
        };
        let answer = server.ask(&get(format!("/models{query}"))).await?;
        let page: Page = read(server, &answer)?;
        let empty = page.models.is_empty();
        found.extend(page.models);
        match page.next_page_token {
            // A server that never ends its list must not keep us.
            Some(token)
                if !empty
                    && found.len() < MOST
                    && token.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                next = token
            }
            _ => return Ok(found),
        }
    }
}

/// The list as the server would write it without pages.
pub(crate) fn list_document(models: &[Listed]) -> Value {
    let models = models
        .iter()
        .map(|model| json!({ "modelName": model.model_name, "modelUrl": model.model_url }));
    json!({ "models": models.collect::<Vec<_>>() })
}

/// All versions of a model, as the server orders them.
pub(crate) async fn versions(server: &mut Server, model: &str) -> Result<Vec<Version>, Error> {
    let answer = server.ask(&get(path(&["models", model, "all"]))).await?;
    let all: Vec<Description> = read(server, &answer)?;
    let default = match all.as_slice() {
        [only] => only.model_version.clone(),
        _ => default_version(server, model).await?,
    };
    let versions = all.into_iter().map(|description| Version {
        is_default: description.model_version == default,
        description,
    });
    Ok(versions.collect())
}

async fn default_version(server: &mut Server, model: &str) -> Result<String, Error> {
    let answer = server.ask(&get(path(&["models", model]))).await?;
    let default: Vec<Description> = read(server, &answer)?;
    let version = default.into_iter().next();
    Ok(version.unwrap_or_default().model_version)
}

/// All versions of all models. One that is unregistered meanwhile is left out.
pub(crate) async fn all_versions(server: &mut Server) -> Result<Vec<Version>, Error> {
    let mut found = Vec::new();
    for model in list(server).await? {
        match versions(server, &model.model_name).await {
            Ok(versions) => found.extend(versions),
            Err(Error::Refused { message, .. }) if message.starts_with("Model not found") => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

pub(crate) fn read<T: DeserializeOwned>(server: &Server, answer: &Answer) -> Result<T, Error> {
    serde_json::from_slice(&answer.body).map_err(|error| Error::Answer {
        address: server.address(),
        what: error.to_string(),
    })
}
