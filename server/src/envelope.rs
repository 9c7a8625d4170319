//! `service_envelope`: how requests and answers of a model are wrapped on the routes that are TorchServe's own.

use servable::Task;
use serving::Model;

use crate::app::App;
pub use archive::Envelope;

/// That of the model's own settings, or else the server's. `None`: requests are bare.
pub(crate) fn of(app: &App, model: &Model) -> Option<Envelope> {
    let config = model.files.config();
    let own = config.and_then(|config| config.service_envelope);
    let envelope = own.or(app.settings.protocols.envelope);
    envelope.filter(|envelope| *envelope != Envelope::Body)
}

/// Headers that speak of the message around inputs: a handler that finds them must not take them for its own.
const OF_THE_MESSAGE: [&str; 7] = [
    "accept",
    "content-encoding",
    "content-length",
    "content-type",
    "inference-header-content-length",
    "x-tensor-dtype",
    "x-tensor-shape",
];

/// The headers that a handler sees of a message in which its inputs were wrapped.
pub(crate) fn inner_headers(headers: Vec<(String, String)>, task: Task) -> Vec<(String, String)> {
    let is_outer = |name: &str| {
        let mut outer = OF_THE_MESSAGE.iter();
        outer.any(|known| name.eq_ignore_ascii_case(known))
    };
    let explain = match task {
        Task::Predict => "False",
        Task::Explain => "True",
    };
    let mut headers = headers;
    headers.retain(|(name, _)| !is_outer(name) && !name.eq_ignore_ascii_case("explain"));
    headers.push(("explain".into(), explain.into()));
    headers
}
