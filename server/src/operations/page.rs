//! One page of a list, as TorchServe cuts it.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::parameters::Parameters;
use crate::http::answer::json_response;

/// The page that `limit` and `next_page_token` ask for, as the member `name`.
pub(in crate::http) fn response(
    parameters: &Parameters,
    name: &str,
    items: impl ExactSizeIterator<Item = Value>,
) -> Response {
    const PAGE: usize = 100;
    let limit = parameters
        .number("limit")
        .and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.filter(|&limit| limit <= PAGE).unwrap_or(PAGE);
    let start = parameters
        .number("next_page_token")
        .and_then(|start| usize::try_from(start).ok())
        .unwrap_or(0);
    let count = items.len();
    let page: Vec<Value> = items.skip(start).take(limit).collect();
    let mut document = Map::new();
    let end = start.saturating_add(limit);
    // A full last page still carries a token.
    if end <= count {
        document.insert("nextPageToken".into(), json!(end.to_string()));
    }
    document.insert(name.into(), Value::Array(page));
    json_response(StatusCode::OK, &Value::Object(document))
}
