//! From a handler's name to a file in the archive, or to a default handler; what can be said of it without running it.

use std::path::{Path, PathBuf};

use servable::LoadError;

use crate::package::Program;

/// A handler that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handler {
    /// As the worker is told.
    pub(crate) spoken: String,
    /// The folder of its file, where that is not the model's own.
    pub(crate) folder: Option<PathBuf>,
}

/// Checks `file.py`, `file.py:function`, `module:function`, `file.py:one,another` or the name of a default handler of the worker's.
pub(crate) fn find(handler: &str, dir: &Path, worker: &Program) -> Result<Handler, LoadError> {
    let (file, function) = handler.split_once(':').unwrap_or((handler, ""));
    if file.is_empty() {
        return Err(invalid(handler, "the archive names no handler"));
    }
    let is_identifier = |name: &str| {
        let mut letters = name.chars();
        letters
            .next()
            .is_some_and(|c| c.is_alphabetic() || c == '_')
            && letters.all(|c| c.is_alphanumeric() || c == '_')
    };
    if handler.contains(':') && !function.split(',').all(is_identifier) {
        return Err(invalid(
            handler,
            "expected a function's name after the colon",
        ));
    }
    if function.contains(',') && !worker.runs_several() {
        return Err(invalid(
            handler,
            "TorchServe's worker (python_worker=torchserve) runs one function, and these are several",
        ));
    }
    let relative = Path::new(file);
    let stays = relative.components().all(|part| {
        matches!(
            part,
            std::path::Component::Normal(_) | std::path::Component::CurDir
        )
    });
    if !stays {
        return Err(invalid(handler, "its file must lie in the archive"));
    }
    let path = if file.ends_with(".py") {
        dir.join(relative)
    } else {
        dir.join(format!("{file}.py"))
    };
    let module = path
        .file_stem()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if !is_identifier(module) {
        return Err(invalid(
            handler,
            "its file has no name that Python can import",
        ));
    }
    let is_package = !file.ends_with(".py") && dir.join(relative).join("__init__.py").is_file();
    if path.is_file() || is_package {
        let parent = path.parent().filter(|&parent| parent != dir && !is_package);
        return Ok(Handler {
            spoken: handler.to_owned(),
            folder: parent.map(Path::to_owned),
        });
    }
    if worker.has_handler(file.trim_end_matches(".py")) {
        return Ok(Handler {
            spoken: handler.to_owned(),
            folder: None,
        });
    }
    Err(invalid(
        handler,
        &format!(
            "the archive has no file {}, and there is no default handler of that name",
            {
                let name = path.strip_prefix(dir).unwrap_or(&path);
                name.display()
            }
        ),
    ))
}

fn invalid(handler: &str, why: &str) -> LoadError {
    if handler.is_empty() {
        return LoadError::Invalid(why.to_owned());
    }
    LoadError::Invalid(format!("handler {handler}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Package;

    #[test]
    fn handlers_are_found_or_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let package = Package::write(&folder.path().join("run")).expect("written");
        let dir = folder.path().join("model");
        std::fs::create_dir_all(dir.join("code")).expect("a folder");
        for file in ["h.py", "code/deep.py", "no-module.py"] {
            std::fs::write(dir.join(file), "").expect("written");
        }
        let check = |handler: &str, expected: Result<Option<&str>, &str>| {
            let found = find(handler, &dir, &package.worker).map(|found| found.folder);
            let expected = expected
                .map(|folder| folder.map(|folder| dir.join(folder)))
                .map_err(|why| LoadError::Invalid(why.to_owned()));
            assert_eq!(found, expected, "{handler}");
        };
        check("h.py", Ok(None));
        check("h", Ok(None));
        check("h.py:entry", Ok(None));
        check("h:entry", Ok(None));
        check("h.py:one,another", Ok(None));
        let theirs = Program::within(&folder.path().join("theirs/ts"));
        let refused = find("h.py:one,another", &dir, &theirs).expect_err("two functions");
        assert_eq!(
            refused.to_string(),
            "handler h.py:one,another: TorchServe's worker (python_worker=torchserve) runs one function, and these are several"
        );
        check("code/deep.py:entry", Ok(Some("code")));
        check("image_classifier", Ok(None));
        check("", Err("the archive names no handler"));
        check(
            "h.py:",
            Err("handler h.py:: expected a function's name after the colon"),
        );
        check(
            "h.py:one,",
            Err("handler h.py:one,: expected a function's name after the colon"),
        );
        check(
            "h.py:1",
            Err("handler h.py:1: expected a function's name after the colon"),
        );
        check(
            "../h.py",
            Err("handler ../h.py: its file must lie in the archive"),
        );
        check(
            "/h.py",
            Err("handler /h.py: its file must lie in the archive"),
        );
        check(
            "no-module.py",
            Err("handler no-module.py: its file has no name that Python can import"),
        );
        check(
            "pipeline",
            Err(
                "handler pipeline: the archive has no file pipeline.py, and there is no default handler of that name",
            ),
        );
    }
}
