//! What is said of one thing: a line of the configuration, an archive, a workflow.

use serde_json::{Map, Value};
use workbench::Tone;

/// The worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// A model or workflow that does not run: something is missing.
    Missing,
    /// A setting that is none.
    Wrong,
    /// A setting of nobody.
    Unknown,
    /// It runs, in a process of Python.
    Python,
    /// A setting that is accepted and does nothing here.
    WithoutEffect,
    /// It runs in the daemon.
    Native,
    /// A setting that counts.
    Honoured,
}

impl Verdict {
    /// For people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Verdict::Missing => "missing",
            Verdict::Wrong => "wrong",
            Verdict::Unknown => "unknown",
            Verdict::Python => "runs with a Python worker",
            Verdict::WithoutEffect => "without effect",
            Verdict::Native => "runs natively",
            Verdict::Honoured => "honoured",
        }
    }

    /// For scripts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Verdict::Missing => "missing",
            Verdict::Wrong => "wrong",
            Verdict::Unknown => "unknown",
            Verdict::Python => "python",
            Verdict::WithoutEffect => "without_effect",
            Verdict::Native => "native",
            Verdict::Honoured => "honoured",
        }
    }

    pub(super) fn tone(self) -> Tone {
        match self {
            Verdict::Missing | Verdict::Wrong => Tone::Bad,
            Verdict::Unknown => Tone::Warn,
            Verdict::Python | Verdict::Native => Tone::Good,
            Verdict::WithoutEffect | Verdict::Honoured => Tone::Dim,
        }
    }

    /// Whether something has to be done before everything runs.
    pub(super) fn is_bad(self) -> bool {
        matches!(self, Verdict::Missing | Verdict::Wrong)
    }
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Model,
    Workflow,
    Setting,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) subject: Subject,
    /// A key, or the name of a file in a store.
    pub(super) name: String,
    /// Why, in a line; may be empty.
    pub(super) says: String,
    /// What to do about it.
    pub(super) todo: Option<String>,
    /// What else is worth knowing.
    pub(super) notes: Vec<String>,
    /// Members for scripts.
    pub(super) more: Map<String, Value>,
}

impl Finding {
    pub(super) fn new(
        verdict: Verdict,
        subject: Subject,
        name: impl Into<String>,
        says: impl Into<String>,
    ) -> Self {
        Finding {
            verdict,
            subject,
            name: name.into(),
            says: says.into(),
            todo: None,
            notes: Vec::new(),
            more: Map::new(),
        }
    }

    pub(super) fn todo(mut self, todo: impl Into<String>) -> Self {
        self.todo = Some(todo.into());
        self
    }

    pub(super) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.more.insert(member.to_owned(), value.into());
        self
    }

    /// `{name, verdict, says, todo, notes}` and whatever belongs to its subject.
    pub(super) fn document(&self) -> Value {
        let mut document = Map::new();
        let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
        put("name", self.name.as_str().into());
        put("verdict", self.verdict.name().into());
        put("says", self.says.as_str().into());
        put("todo", self.todo.as_deref().into());
        put("notes", self.notes.as_slice().into());
        document.extend(self.more.clone());
        Value::Object(document)
    }
}
