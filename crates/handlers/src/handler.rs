use std::num::NonZeroUsize;

use servable::{BatchError, Input, JobError, LoadError, Output, Signature, Takes};

use crate::base_handler::BaseHandler;
use crate::image_classifier::ImageClassifier;
use crate::image_segmenter::ImageSegmenter;
use crate::object_detector::ObjectDetector;
use crate::parameters::nearest;
use crate::pipeline::Pipeline;
use crate::runner::{names_python, python_file};
use crate::text_classifier::TextClassifier;
use crate::{Bucketing, ModelContext, Network};

/// What surrounds a network. Made once per worker, when its model is loaded.
pub trait Handler: Send {
    /// Answers `inputs`, one result per input and in their order. A bad input fails alone; `Err` fails the batch.
    ///
    /// A batch gives what its inputs give alone, as far as the network itself does so.
    fn predict(
        &mut self,
        network: &mut dyn Network,
        inputs: &[Input],
        threads: NonZeroUsize,
    ) -> Result<Vec<Result<Output, JobError>>, BatchError>;

    /// How its requests are told apart before they are queued.
    fn bucketing(&self) -> Bucketing {
        Bucketing::Together
    }

    /// What it takes and gives, as far as its settings say; those of the model may say more.
    fn signature(&self) -> Signature {
        Signature::default()
    }

    /// Its inputs, where its settings say all of them; `None` where a request may bring anything.
    fn takes(&self) -> Option<Takes> {
        None
    }

    /// The names of the classes, by their numbers; empty where there are none.
    fn labels(&self) -> Vec<String> {
        Vec::new()
    }

    /// A request that this handler would take, for trying out a network when it is loaded. `None` where only clients
    /// know what the network takes.
    fn example(&self) -> Option<Input> {
        None
    }

    /// Where the first may be refused by what a client can choose: one that chooses the other way.
    fn example_by_choice(&self) -> Option<Input> {
        None
    }

    /// Another one, larger wherever requests may differ in size. `None` where all are of one size.
    fn other_example(&self) -> Option<Input> {
        None
    }
}

/// The names that [`by_name`] knows.
pub const NAMES: [&str; 6] = [
    "base_handler",
    "image_classifier",
    "image_segmenter",
    "object_detector",
    "pipeline",
    "text_classifier",
];

/// Makes the handler that a manifest names; without a name, the one that passes tensors on (`base_handler`).
///
/// Reads the model's settings and files at once, so that whatever is wrong with them is said when the model is loaded.
pub fn by_name(name: &str, context: &ModelContext<'_>) -> Result<Box<dyn Handler>, LoadError> {
    Ok(match name {
        "" | "base_handler" => Box::new(BaseHandler::load(context)?),
        "image_classifier" => Box::new(ImageClassifier::load(context)?),
        "image_segmenter" => Box::new(ImageSegmenter::load(context)?),
        "object_detector" => Box::new(ObjectDetector::load(context)?),
        "pipeline" => Box::new(Pipeline::load(context)?),
        "text_classifier" => Box::new(TextClassifier::load(context)?),
        _ if names_python(name) || python_file(context.dir, name).is_some() => {
            return Err(LoadError::Unsupported(format!(
                "handler `{name}` is a Python file, which takes a Python worker; native handlers are {}",
                NAMES.join(", ")
            )));
        }
        _ => return Err(unknown(name)),
    })
}

/// What to say of a name that stands for no handler at all.
pub(crate) fn unknown(name: &str) -> LoadError {
    let module = name.split(':').next().unwrap_or(name);
    let hint = nearest(module, NAMES)
        .map(|known| format!(", did you mean `{known}`?"))
        .unwrap_or_default();
    LoadError::Invalid(format!(
        "unknown handler `{name}`{hint} (native handlers are {})",
        NAMES.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_refused(name: &str, expected: &str) {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("mine.py"), "").expect("a file");
        let error = by_name(name, &ModelContext::new(dir.path()))
            .err()
            .expect("no handler of that name");
        assert!(error.to_string().starts_with(expected), "{error}");
        assert_eq!(
            matches!(error, LoadError::Unsupported(_)),
            expected.contains("Python")
        );
    }

    #[test]
    fn what_is_not_native_is_refused_with_a_hint() {
        let python = "is a Python file, which takes a Python worker";
        check_refused("x.py", &format!("handler `x.py` {python}"));
        check_refused("x.py:handle", &format!("handler `x.py:handle` {python}"));
        check_refused("mine", &format!("handler `mine` {python}"));
        check_refused(
            "image_clasifier",
            "unknown handler `image_clasifier`, did you mean `image_classifier`? (native handlers are base_handler,",
        );
        check_refused("zzz", "unknown handler `zzz` (native handlers are");
    }

    #[test]
    fn a_model_without_a_handler_gets_the_base_handler() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in [
            "",
            "base_handler",
            "image_classifier",
            "image_segmenter",
            "object_detector",
        ] {
            assert!(
                by_name(name, &ModelContext::new(dir.path())).is_ok(),
                "{name}"
            );
        }
    }
}
