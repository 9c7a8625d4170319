//! Who runs a model: the daemon itself, or a worker process in Python. Decided here alone, from the handler's name, the files
//! of the unpacked archive and the kind of its weights; nothing is made and nothing is loaded.
//!
//! Called by whoever chooses an engine for an archive, by [`by_name`](crate::by_name) for what it says of a name that is none
//! of its own, and by `torchrelay doctor`, so that a check beforehand says what the daemon will do.

use std::path::{Component, Path, PathBuf};

use servable::LoadError;

use crate::handler::{NAMES, unknown};
use crate::weights::{self, Format};

/// What there is to decide about. All paths lie below `dir`.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The folder of the unpacked archive.
    pub dir: &'a Path,
    /// The handler: the registration's, the manifest's or the configuration's; empty where nobody names one.
    pub handler: &'a str,
    /// The manifest's `serializedFile`.
    pub weights: Option<&'a Path>,
    /// The manifest's `modelFile`: the source of an eager model.
    pub model_file: Option<&'a Path>,
}

/// Ours alone: no worker has it.
const PIPELINE: &str = "pipeline";

/// Who runs a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runner {
    /// The daemon: a native handler around a network that it loads itself.
    Native,
    /// A worker process, and why it takes one.
    Python(Cause),
}

/// Why a model takes Python.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Its handler is this file of the archive.
    Handler(PathBuf),
    /// This default handler, asked for as a file or a function in Python.
    Default(String),
    /// A default handler, around an eager model whose source is this file of the archive.
    Eager(PathBuf),
    /// A default handler, around weights of a kind that only Python loads.
    Weights(Format),
}

/// Decides who runs a model. A name of [`NAMES`] is the native handler, unless the model is eager or its weights are of a kind
/// that takes Python.
///
/// # Errors
///
/// One line: a handler that is nowhere, or weights that neither of the two can load.
pub fn runner(candidate: &Candidate<'_>) -> Result<Runner, LoadError> {
    let Candidate { dir, handler, .. } = *candidate;
    if handler.is_empty() || NAMES.contains(&handler) {
        return of_default_handler(candidate);
    }
    if let Some(file) = python_file(dir, handler) {
        return Ok(Runner::Python(Cause::Handler(file)));
    }
    let stem = module(handler).trim_end_matches(".py");
    let is_python = names_python(handler) || handler.contains(':');
    if is_python && stem != PIPELINE && NAMES.contains(&stem) {
        return Ok(Runner::Python(Cause::Default(stem.to_owned())));
    }
    if is_python {
        return Err(LoadError::Invalid(format!(
            "handler `{handler}`: there is no such file in the archive"
        )));
    }
    Err(unknown(handler))
}

/// The file of the archive that a handler is: `file.py`, `module`, and either of them with `:function` behind; relative to
/// `dir`. `None` where it is no file in there.
pub fn python_file(dir: &Path, handler: &str) -> Option<PathBuf> {
    let module = module(handler);
    let stays = |path: &Path| {
        let mut parts = path.components();
        parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    };
    let file = match module.ends_with(".py") {
        true => PathBuf::from(module),
        false => PathBuf::from(format!("{module}.py")),
    };
    let package = Path::new(module).join("__init__.py");
    [file, package]
        .into_iter()
        .find(|path| !module.is_empty() && stays(path) && dir.join(path).is_file())
}

/// Whether the name itself says that it is a file in Python.
pub(crate) fn names_python(handler: &str) -> bool {
    module(handler).ends_with(".py")
}

fn module(handler: &str) -> &str {
    handler.split(':').next().unwrap_or(handler)
}

/// What the worker's default handlers, which are TorchServe's own, do in the same case.
fn of_default_handler(candidate: &Candidate<'_>) -> Result<Runner, LoadError> {
    // No worker has the one, and nobody has asked for the other.
    let in_worker = candidate.handler != PIPELINE && !candidate.handler.is_empty();
    if let Some(source) = candidate.model_file.filter(|_| in_worker) {
        let source = source.strip_prefix(candidate.dir).unwrap_or(source);
        return Ok(Runner::Python(Cause::Eager(source.to_owned())));
    }
    let refused = match weights::check(candidate.dir, candidate.weights) {
        Ok(_) => return Ok(Runner::Native),
        Err(error) => error,
    };
    let format = candidate.weights.and_then(|file| Format::of(file).ok());
    let suffix = candidate.weights.and_then(Path::extension);
    let suffix = suffix.and_then(|suffix| suffix.to_str()).unwrap_or("");
    // They go by the file's name.
    match (format, suffix) {
        (Some(format @ Format::Onnx), "onnx") | (Some(format @ Format::AotInductor), "pt2")
            if in_worker =>
        {
            Ok(Runner::Python(Cause::Weights(format)))
        }
        _ => Err(refused),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::zip_of;

    /// Decides about a folder with some handlers and the file of weights `weights`, which is made.
    fn check(handler: &str, weights: &str, model_file: &str, expected: Result<Runner, &str>) {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path();
        fs::create_dir_all(dir.join("code")).expect("a folder");
        fs::create_dir_all(dir.join("whole")).expect("a folder");
        for file in [
            "mine.py",
            "code/deep.py",
            "whole/__init__.py",
            "image_classifier.py",
            "net.py",
        ] {
            fs::write(dir.join(file), "").expect("written");
        }
        let script = zip_of(&["w/data.pkl", "w/code/__torch__.py", "w/constants.pkl"]);
        let content = match weights {
            "eager.pt" => zip_of(&["w/data.pkl", "w/data/0"]),
            "model.pt2" => zip_of(&["w/data/aotinductor/model/x.so"]),
            "model.onnx" | "renamed.bin" => b"\x08\x07\x12\x07pytorch".to_vec(),
            "model.safetensors" => b"\x10\0\0\0\0\0\0\0{\"a\":{}}       ".to_vec(),
            _ => script,
        };
        let path = dir.join(weights);
        if !weights.is_empty() {
            fs::write(&path, content).expect("written");
        }
        let source = dir.join(model_file);
        let found = runner(&Candidate {
            dir,
            handler,
            weights: (!weights.is_empty()).then_some(&*path),
            model_file: (!model_file.is_empty()).then_some(&*source),
        });
        let shown = format!("{handler:?} {weights:?} {model_file:?}");
        match (found, expected) {
            (Err(found), Err(expected)) => {
                assert!(found.to_string().contains(expected), "{shown}: {found}");
            }
            (found, expected) => assert_eq!(
                found,
                expected.map_err(|text| LoadError::Invalid(text.to_owned())),
                "{shown}"
            ),
        }
    }

    fn handler(file: &str) -> Result<Runner, &str> {
        Ok(Runner::Python(Cause::Handler(file.into())))
    }

    #[test]
    fn a_handler_is_native_or_a_file_of_the_archive() {
        check("image_classifier", "script.pt", "", Ok(Runner::Native));
        check("", "script.pt", "", Ok(Runner::Native));
        check("pipeline", "script.pt", "", Ok(Runner::Native));
        check("mine.py", "script.pt", "", handler("mine.py"));
        check("mine", "", "", handler("mine.py"));
        check("mine:entry", "", "", handler("mine.py"));
        check("code/deep.py:entry", "", "", handler("code/deep.py"));
        check("whole", "", "", handler("whole/__init__.py"));
        check(
            "image_classifier.py",
            "script.pt",
            "",
            handler("image_classifier.py"),
        );
    }

    #[test]
    fn weights_decide_about_default_handlers() {
        let eager = Ok(Runner::Python(Cause::Eager("net.py".into())));
        check("image_classifier", "eager.pt", "net.py", eager.clone());
        check("base_handler", "", "net.py", eager.clone());
        // As TorchServe's handlers have it, the source goes before the file.
        check("base_handler", "script.pt", "net.py", eager);
        check("pipeline", "script.pt", "net.py", Ok(Runner::Native));
        let default = Ok(Runner::Python(Cause::Default("text_classifier".into())));
        check("text_classifier.py", "script.pt", "", default);
        let weights = |format| Ok(Runner::Python(Cause::Weights(format)));
        check("base_handler", "model.onnx", "", weights(Format::Onnx));
        check(
            "base_handler",
            "model.pt2",
            "",
            weights(Format::AotInductor),
        );
    }

    #[test]
    fn what_neither_can_run_is_refused_with_the_reason() {
        check(
            "gone.py",
            "",
            "",
            Err("handler `gone.py`: there is no such file in the archive"),
        );
        check("../mine.py", "", "", Err("there is no such file"));
        check("gone:entry", "", "", Err("there is no such file"));
        check("pipeline.py", "", "", Err("there is no such file"));
        check("", "eager.pt", "net.py", Err("which takes Python to load"));
        check("base_handler", "eager.pt", "", Err("which takes Python"));
        check("image_clasifier", "script.pt", "", Err("did you mean"));
        check("vllm_handler", "", "", Err("unknown handler"));
        check("", "eager.pt", "", Err("which takes Python to load"));
        check("pipeline", "eager.pt", "net.py", Err("which takes Python"));
        check("base_handler", "renamed.bin", "", Err("is an ONNX model"));
        check("", "model.safetensors", "", Err("is a safetensors file"));
        check("base_handler", "", "", Err("no MAR-INF/MANIFEST.json"));
    }
}
