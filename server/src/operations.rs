//! What can be asked of the server, whichever wire brings it: one function for each operation.
//!
//! The wires (`http/`, `grpc/`) read what a client sent into the types here, call one function, and write what it returns in
//! their own form; so that an operation goes the same way and ends the same way on all of them. Below stands the `serving`
//! crate, which knows no documents. Predictions need no room here: they are [`serving::Serving::predict`] itself.

pub(crate) mod health;
pub(crate) mod models;
mod page;
mod parameters;
pub(crate) mod running;
pub(crate) mod workflows;

use axum::http::StatusCode;
use serde_json::{Value, json};

pub(crate) use page::Page;
pub(crate) use parameters::Parameters;

use crate::error::Failure;

/// How an operation went that is answered with a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Done {
    pub(crate) status: StatusCode,
    pub(crate) document: Value,
}

impl Done {
    fn with(document: Value) -> Self {
        Done {
            status: StatusCode::OK,
            document,
        }
    }

    /// The short form `{"status": "…"}`.
    fn says(text: impl Into<String>) -> Self {
        Done::with(json!({ "status": text.into() }))
    }

    /// The document as text; of the short form what it says.
    pub(crate) fn into_text(self) -> String {
        match self.document.as_object() {
            Some(members) if members.len() == 1 && members.contains_key("status") => {
                let text = self.document["status"].as_str();
                text.unwrap_or_default().to_owned()
            }
            _ => format!("{:#}\n", self.document),
        }
    }

    /// It goes on in the background.
    fn accepted() -> Self {
        Done {
            status: StatusCode::ACCEPTED,
            ..Done::says("Processing worker updates...")
        }
    }
}

type Outcome = Result<Done, Failure>;
