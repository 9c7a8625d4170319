use crate::Value;

/// One answer: what a handler returned for one request.
#[derive(Debug, Clone)]
pub struct Output {
    pub value: Value,
    /// The answer's MIME type; without one, the wire sends none, as TorchServe does.
    pub content_type: Option<String>,
    /// Status and reason phrase that a handler chose in place of 200 and the empty phrase.
    pub status: Option<(u16, String)>,
    /// Further response headers.
    pub headers: Vec<(String, String)>,
}

impl Output {
    pub fn new(value: impl Into<Value>) -> Self {
        Output {
            value: value.into(),
            content_type: None,
            status: None,
            headers: Vec::new(),
        }
    }

    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }
}
