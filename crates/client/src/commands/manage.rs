//! The commands that change something: `register`, `scale`, `unregister`, `set-default`, `renew-key`. What they print is
//! the server's own sentence.

use std::time::Duration;

use hyper::Method;

use crate::args::{KeyName, Register, Scale};
use crate::endpoint::Api;
use crate::error::Error;
use crate::http::{Call, path};
use crate::session::{LONG, QUICK, Session};
use crate::text::Line;

pub(super) async fn register(session: Session<'_>, args: &Register) -> Result<(), Error> {
    let mut query = Query::new();
    query.put("url", Some(&args.url));
    query.put("model_name", args.name.as_ref());
    query.put("handler", args.handler.as_ref());
    query.put("batch_size", args.batch_size);
    query.put("max_batch_delay", args.max_batch_delay);
    query.put("initial_workers", args.initial_workers);
    query.put("response_timeout", args.response_timeout);
    query.put("startup_timeout", args.startup_timeout);
    query.put("synchronous", args.asynchronous.then_some(false));
    let patience = LONG + Duration::from_secs(args.startup_timeout.unwrap_or(0));
    change(session, Method::POST, query.after("/models"), patience).await
}

pub(super) async fn scale(session: Session<'_>, args: &Scale) -> Result<(), Error> {
    if let Some(max) = args.max
        && max < args.min
    {
        let min = args.min;
        return Err(Error::Usage(format!(
            "--max {max} is less than --min {min}"
        )));
    }
    let mut query = Query::new();
    query.put("min_worker", Some(args.min));
    query.put("max_worker", args.max);
    query.put("synchronous", args.wait.then_some(true));
    let path = model_path(&args.model, args.version.as_deref());
    change(session, Method::PUT, query.after(&path), LONG).await
}

pub(super) async fn unregister(
    session: Session<'_>,
    model: &str,
    version: Option<&str>,
) -> Result<(), Error> {
    let path = model_path(model, version);
    change(session, Method::DELETE, path, LONG).await
}

pub(super) async fn set_default(
    session: Session<'_>,
    model: &str,
    version: &str,
) -> Result<(), Error> {
    let path = path(&["models", model, version, "set-default"]);
    change(session, Method::PUT, path, QUICK).await
}

pub(super) async fn renew_key(mut session: Session<'_>, key: KeyName) -> Result<(), Error> {
    let name = match key {
        KeyName::Management => "management",
        KeyName::Inference => "inference",
    };
    let mut server = session.server(Api::Management, QUICK)?;
    let path = format!("/token?type={name}");
    let call = Call::new(Api::Management, Method::GET, path).key(Some("API"));
    session.ask(&mut server, &call).await?;
    let text = format!("The server has written a new {name} key to its key file.");
    session.show(&[Line::new(text)])
}

async fn change(
    session: Session<'_>,
    method: Method,
    path: String,
    patience: Duration,
) -> Result<(), Error> {
    send(session, Call::new(Api::Management, method, path), patience).await
}

/// Sends a call and prints the server's sentence.
pub(super) async fn send(
    mut session: Session<'_>,
    call: Call,
    patience: Duration,
) -> Result<(), Error> {
    let mut server = session.server(Api::Management, patience)?;
    let answer = session.ask(&mut server, &call).await?;
    let document: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let done = document["status"].as_str().unwrap_or("Done.");
    session.show(&[Line::new(done)])
}

fn model_path(model: &str, version: Option<&str>) -> String {
    let mut segments = vec!["models", model];
    segments.extend(version);
    path(&segments)
}

/// Parameters that were given.
pub(super) struct Query(form_urlencoded::Serializer<'static, String>);

impl Query {
    pub(super) fn new() -> Self {
        Query(form_urlencoded::Serializer::new(String::new()))
    }

    pub(super) fn put(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.0.append_pair(name, &value.to_string());
        }
    }

    pub(super) fn after(mut self, path: &str) -> String {
        format!("{path}?{}", self.0.finish())
    }
}
