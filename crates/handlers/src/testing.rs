//! Scripted networks and requests for the tests of this crate.

use std::io::Write as _;
use std::num::NonZeroUsize;

use bytes::Bytes;
use servable::{BatchError, Element, Input, JobError, Output, Tensor, Value};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::{Handler, ModelContext, Network, by_name};

pub(crate) const ONE: NonZeroUsize = NonZeroUsize::MIN;

/// A tensor of `shape` with `elements`.
pub(crate) fn tensor<T: Element>(shape: &[usize], elements: &[T]) -> Tensor {
    Tensor::new(shape.to_vec(), elements.to_vec()).expect("the test gives as many elements")
}

/// A network that is a function of its only argument, a tensor.
pub(crate) fn on_tensor(
    mut function: impl FnMut(&Tensor) -> Value,
) -> impl FnMut(&[Value], NonZeroUsize) -> Result<Value, BatchError> {
    move |arguments, _| match arguments {
        [Value::Tensor(tensor)] => Ok(function(tensor)),
        other => panic!("expected one tensor, found {other:?}"),
    }
}

/// A handler from its name and YAML settings, over an empty archive.
pub(crate) fn handler(name: &str, settings: &str) -> Box<dyn Handler> {
    let dir = tempfile::tempdir().expect("a folder");
    handler_in(dir.path(), name, settings)
}

pub(crate) fn handler_in(dir: &std::path::Path, name: &str, settings: &str) -> Box<dyn Handler> {
    match try_handler(dir, name, settings) {
        Ok(handler) => handler,
        Err(error) => panic!("{error}"),
    }
}

/// The message with which a handler's settings are refused.
pub(crate) fn refusal(name: &str, settings: &str) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    refusal_in(dir.path(), name, settings)
}

pub(crate) fn refusal_in(dir: &std::path::Path, name: &str, settings: &str) -> String {
    match try_handler(dir, name, settings) {
        Ok(_) => panic!("the settings are expected to be refused"),
        Err(error) => error.to_string(),
    }
}

fn try_handler(
    dir: &std::path::Path,
    name: &str,
    settings: &str,
) -> Result<Box<dyn Handler>, servable::LoadError> {
    let settings = serde_yaml::from_str(settings).expect("the test's settings are YAML");
    let context = ModelContext {
        settings: Some(&settings),
        ..ModelContext::new(dir)
    };
    by_name(name, &context)
}

pub(crate) fn json_input(text: &str) -> Input {
    Input::body("application/json", Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn predict(
    handler: &mut dyn Handler,
    network: &mut dyn Network,
    inputs: &[Input],
) -> Vec<Result<Output, JobError>> {
    handler
        .predict(network, inputs, ONE)
        .expect("the scripted network does not fail")
}

/// An answer as the client reads it, or the error's message.
pub(crate) fn body(answer: Result<Output, JobError>) -> String {
    match answer {
        Ok(output) => String::from_utf8(output.value.into_body().to_vec()).expect("text"),
        Err(error) => error.message,
    }
}

/// Asserts that inputs served in one batch get what they get alone, and gives those answers.
pub(crate) fn batch_as_alone(
    handler: &mut dyn Handler,
    network: &mut dyn Network,
    inputs: &[Input],
) -> Vec<String> {
    let together: Vec<_> = predict(handler, network, inputs)
        .into_iter()
        .map(body)
        .collect();
    for (input, expected) in inputs.iter().zip(&together) {
        let alone = predict(handler, network, std::slice::from_ref(input)).remove(0);
        assert_eq!(&body(alone), expected);
    }
    together
}

/// A zip with entries of these names.
pub(crate) fn zip_of(names: &[&str]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut zip = ZipWriter::new(&mut bytes);
    for name in names {
        zip.start_file(*name, SimpleFileOptions::default())
            .expect("an entry");
        zip.write_all(b"x").expect("written");
    }
    zip.finish().expect("a zip");
    bytes.into_inner()
}
