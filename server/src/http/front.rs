//! Fronts over HTTP: the routes of a [`Front`], each answered in the words of the API that it stands for.
//!
//! A prediction takes the path that every prediction takes: [`read_fields`] receives it and the serving core answers it. What
//! is of the front's own is which part of the form counts, and what answers and failures look like.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use servable::{Output, Part, Value};
use serving::workflow::RunOptions;
use serving::{Code, Error};

use super::answer::{json_response, output_response};
use super::body::Field;
use super::inference::{Received, read_fields};
use super::{App, RequestId, finish};
use crate::app::WireSettings;
use crate::auth::Purpose;
use crate::error::Failure;
use crate::front::template::shaped;
use crate::front::{Does, Front, Predict, Route, Target, TargetKind};

/// The service behind the listener of a front.
pub fn front_router(app: &App, front: &Front) -> Router {
    let mut app = app.clone();
    if front.cors {
        let every = (
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
        app.settings = Arc::new(WireSettings {
            cors: vec![every],
            ..(*app.settings).clone()
        });
    }
    let front = Arc::new(front.clone());
    let routes = Router::new().fallback(
        move |State(app): State<App>, id: Extension<RequestId>, request: Request| async move {
            let answer = answer(&front, &app, &id, request).await;
            answer.unwrap_or_else(|failure| in_words_of(&front, failure))
        },
    );
    finish(routes, app)
}

/// The models and workflows that the front asks and that are not there.
pub fn absent_targets<'a>(app: &App, front: &'a Front) -> Vec<&'a Target> {
    let mut targets = front.targets();
    targets.retain(|target| {
        let version = target.version.as_deref();
        match target.kind {
            TargetKind::Model => app.serving.registry.resolve(&target.name, version).is_err(),
            TargetKind::Workflow => app.serving.workflow(&target.name, version).is_err(),
        }
    });
    targets
}

/// A failure with the body that the front has for it.
fn in_words_of(front: &Front, mut failure: Failure) -> Response {
    if failure.status == StatusCode::PAYLOAD_TOO_LARGE {
        failure.message = "The request is larger than the server takes.".into();
    }
    let words = Value::map([
        ("status", Value::Int(failure.status.as_u16().into())),
        ("message", failure.message.as_str().into()),
    ]);
    let body = shaped(&front.errors, &words).unwrap_or(words);
    let mut response = json_answer(failure.status, body);
    // Wherever the daemon would say it.
    let plain = failure.into_response();
    if let Some(after) = plain.headers().get(header::RETRY_AFTER) {
        let after = after.clone();
        response.headers_mut().insert(header::RETRY_AFTER, after);
    }
    response
}

async fn answer(
    front: &Front,
    app: &App,
    id: &RequestId,
    request: Request,
) -> Result<Response, Failure> {
    let path = request.uri().path();
    let here: Vec<&Route> = front
        .routes
        .iter()
        .filter(|route| route.path == path)
        .collect();
    if here.is_empty() {
        return Err(Failure::no_such_route());
    }
    if request.method() == Method::OPTIONS {
        return Ok(options(front, &here, request.headers()));
    }
    if front.tokens {
        app.auth
            .check(Purpose::Inference, request.headers(), SystemTime::now())?;
    }
    let method = match *request.method() {
        Method::HEAD => Method::GET,
        ref method => method.clone(),
    };
    let Some(route) = here.iter().find(|route| route.method == method) else {
        let mut response = in_words_of(front, Failure::method_not_allowed());
        response.headers_mut().insert(header::ALLOW, allowed(&here));
        return Ok(response);
    };
    match &route.does {
        Does::Predict(predict) => prediction(predict, app, id, request).await,
        Does::Labels(target) => labels(app, target),
        Does::Json(document) => Ok(json_response(StatusCode::OK, document)),
        Does::File {
            content_type,
            content,
        } => {
            let content_type = HeaderValue::from_static(content_type);
            Ok(([(header::CONTENT_TYPE, content_type)], content.clone()).into_response())
        }
    }
}

/// What a path knows; to a browser that asks before it sends a script's request, as well that it may.
fn options(front: &Front, here: &[&Route], headers: &HeaderMap) -> Response {
    let allow = allowed(here);
    let mut answer = vec![(header::ALLOW, allow.clone())];
    if front.cors && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        answer.push((header::ACCESS_CONTROL_ALLOW_METHODS, allow));
        if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.push((header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone()));
        }
        let day = HeaderValue::from_static("86400");
        answer.push((header::ACCESS_CONTROL_MAX_AGE, day));
    }
    let mut response = StatusCode::OK.into_response();
    response.headers_mut().extend(answer);
    response
}

fn allowed(here: &[&Route]) -> HeaderValue {
    let mut methods: Vec<&str> = here.iter().map(|route| route.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    HeaderValue::try_from(methods.join(", ")).expect("names of methods are letters")
}

fn labels(app: &App, target: &Target) -> Result<Response, Failure> {
    let version = target.version.as_deref();
    let model = app
        .serving
        .registry
        .resolve(&target.name, version)
        .map_err(not_ready)?;
    if model.labels.is_empty() {
        return Err(Failure::unavailable(format!("The {target} has no labels.")));
    }
    let labels = model.labels.iter().enumerate();
    let labels = labels
        .map(|(id, name)| json!({ "id": id, "name": name }))
        .collect();
    Ok(json_response(StatusCode::OK, &labels))
}

async fn prediction(
    predict: &Predict,
    app: &App,
    id: &RequestId,
    request: Request,
) -> Result<Response, Failure> {
    let received = read_fields(app, id, request, |fields| parts(predict, fields)).await?;
    if received.input.part(&predict.part).is_none() {
        let message = format!("The form has no file `{}`.", predict.field);
        return bad_request(predict.missing.as_ref(), message);
    }
    let output = match ask(app, &predict.target, received).await {
        Ok(output) => output,
        Err(error) if error.code() == Code::BadInput => {
            return bad_request(predict.bad_input.as_ref(), error.to_string());
        }
        Err(error) => return Err(not_ready(error)),
    };
    let value = match &predict.answer {
        Some(template) => shaped(template, &output.value).map_err(|path| {
            Failure::internal(format!(
                "The answer of the {} has no {path}.",
                predict.target
            ))
        })?,
        None => output.value,
    };
    let output = Output {
        value,
        status: output.status.or(Some((200, "OK".into()))),
        ..output
    };
    output_response(output, true, app.settings.max_response_size)
}

/// Of the form, the file alone; and what the front has to say to the handler.
fn parts(predict: &Predict, fields: Vec<Field>) -> Vec<Part> {
    let is_it = |field: &Field| {
        let has_file = field
            .file_name
            .as_ref()
            .is_some_and(|name| !name.is_empty());
        has_file && field.part.name == predict.field
    };
    let Some(file) = fields.into_iter().find(is_it) else {
        return Vec::new();
    };
    let file = Part {
        name: predict.part.clone(),
        content_type: predict
            .content_type
            .clone()
            .unwrap_or(file.part.content_type),
        value: file.part.value,
    };
    let with = predict.with.iter().map(|(name, text)| Part {
        name: name.clone(),
        content_type: String::new(),
        value: text.as_str().into(),
    });
    std::iter::once(file).chain(with).collect()
}

async fn ask(app: &App, target: &Target, received: Received) -> Result<Output, Error> {
    let Received {
        input,
        patience,
        _claim,
    } = received;
    let (name, version) = (&target.name, target.version.as_deref());
    match target.kind {
        TargetKind::Model => app.serving.predict(name, version, input, patience).await,
        TargetKind::Workflow => {
            let options = RunOptions {
                patience,
                accept: vec!["application/json".into()],
                ..RunOptions::default()
            };
            let reply = app
                .serving
                .run_workflow(name, version, input, options)
                .await?;
            Ok(reply.output)
        }
    }
}

/// The address exists whether or not the model behind it does: that it is missing is for the operator to mend.
fn not_ready(error: Error) -> Failure {
    let absent = [
        Code::ModelNotFound,
        Code::VersionNotFound,
        Code::WorkflowNotFound,
    ];
    if absent.contains(&error.code()) {
        Failure::unavailable(error.to_string())
    } else {
        error.into()
    }
}

/// Status 400 with that body, or in the words of every other failure.
fn bad_request(body: Option<&serde_json::Value>, message: String) -> Result<Response, Failure> {
    let Some(template) = body else {
        return Err(Failure::bad_request(message));
    };
    let words = Value::map([
        ("status", Value::Int(400)),
        ("message", message.as_str().into()),
    ]);
    let body = shaped(template, &words).unwrap_or(words);
    Ok(json_answer(StatusCode::BAD_REQUEST, body))
}

fn json_answer(status: StatusCode, body: Value) -> Response {
    let json: [(HeaderName, HeaderValue); 1] = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )];
    (status, json, body.to_json()).into_response()
}

#[cfg(test)]
mod tests;
