//! `predict`: a file, a form or standard input to a model, and its answer to standard output or a file.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hyper::Method;

use crate::args::Predict;
use crate::endpoint::Api;
use crate::error::Error;
use crate::http::{Answer, Call, path};
use crate::session::{LONG, Session};
use crate::text::printable;
use crate::units;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Stdin,
    Form,
}

pub(super) async fn run(mut session: Session<'_>, args: &Predict) -> Result<(), Error> {
    let is_file = |name: &str| Path::new(name).is_file();
    let (version, source) = target(&args.rest, !args.form.is_empty(), is_file)?;
    let (content_type, body) = body(args, &source)?;
    let mut segments = vec!["predictions", args.model.as_str()];
    segments.extend(version);
    let mut server = session.server(Api::Inference, LONG)?;
    let call = Call::new(Api::Inference, Method::POST, path(&segments));
    let call = call.body(content_type, body);
    let answer = server.ask(&call).await?;
    match &args.output {
        Some(file) => std::fs::write(file, &answer.body).map_err(|source| Error::File {
            path: file.clone(),
            source,
        }),
        None => print(&mut session, &answer),
    }
}

/// As it is, but no bytes to a terminal that mean something else there.
fn print(session: &mut Session<'_>, answer: &Answer) -> Result<(), Error> {
    if !session.output.is_terminal {
        return session.output.bytes(&answer.body);
    }
    let Ok(text) = std::str::from_utf8(&answer.body) else {
        let size = units::bytes(answer.body.len() as u64);
        let what = answer.content_type.as_deref().unwrap_or("bytes");
        return Err(Error::Usage(format!(
            "the answer is {size} of {what}, which no terminal can show; -o FILE keeps it"
        )));
    };
    let lines: Vec<String> = text
        .lines()
        .map(|line| printable(&line.replace('\t', " ")))
        .collect();
    session
        .output
        .bytes(format!("{}\n", lines.join("\n")).as_bytes())
}

/// Version and source, from the arguments behind the model's name.
fn target(
    rest: &[String],
    form: bool,
    is_file: impl Fn(&str) -> bool,
) -> Result<(Option<&str>, Source), Error> {
    let source = |name: &str| match name {
        "-" => Source::Stdin,
        name => Source::File(PathBuf::from(name)),
    };
    let (version, source) = match rest {
        [] => (None, None),
        [only] if form || is_version(only) && !is_file(only) => (Some(only.as_str()), None),
        [only] => (None, Some(source(only))),
        [version, file, ..] => (Some(version.as_str()), Some(source(file))),
    };
    match (source, form) {
        (None, true) => Ok((version, Source::Form)),
        (None, false) => Ok((version, Source::Stdin)),
        (Some(_), true) => Err(Error::Usage(
            "a form is sent in place of a file: leave out either FILE or --form".to_owned(),
        )),
        (Some(source), false) => Ok((version, source)),
    }
}

fn is_version(text: &str) -> bool {
    let digits = text.strip_prefix('v').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit()) && !text.contains('/')
}

/// Content type and content.
fn body(args: &Predict, source: &Source) -> Result<(Option<String>, Bytes), Error> {
    let given = args.content_type.clone();
    match source {
        Source::File(file) => {
            let by_name = || content_type(file).map(str::to_owned);
            Ok((given.or_else(by_name), read(file)?.into()))
        }
        Source::Stdin => Ok((given, read_stdin(&args.rest)?.into())),
        Source::Form => {
            if given.is_some() {
                let text = "a form has its own content type: leave out --content-type";
                return Err(Error::Usage(text.to_owned()));
            }
            let fields: Result<Vec<Field>, Error> =
                args.form.iter().map(|text| Field::read(text)).collect();
            let (content_type, body) = multipart(&fields?);
            Ok((Some(content_type), body.into()))
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

/// Nobody is left waiting at a terminal that did not ask for it.
fn read_stdin(rest: &[String]) -> Result<Vec<u8>, Error> {
    let stdin = std::io::stdin();
    let asked = rest.last().is_some_and(|last| last == "-");
    if stdin.is_terminal() && !asked {
        let text = "what to send? Name a FILE, or - for what you type until Ctrl-D";
        return Err(Error::Usage(text.to_owned()));
    }
    let mut content = Vec::new();
    stdin
        .lock()
        .read_to_end(&mut content)
        .map_err(|source| Error::File {
            path: "standard input".into(),
            source,
        })?;
    Ok(content)
}

/// What files of that name are; `None` leaves it to the model, as clients of TorchServe do.
pub(crate) fn content_type(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "json" => "application/json",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "bmp" => "image/bmp",
        "webp" => "image/webp",
        "txt" => "text/plain",
        _ => return None,
    })
}

/// A field of a form.
#[derive(Debug, PartialEq, Eq)]
struct Field {
    name: String,
    /// Of a file: its name and what it is.
    file: Option<(String, &'static str)>,
    content: Vec<u8>,
}

impl Field {
    /// `name=value` or `name=@file`.
    fn read(text: &str) -> Result<Self, Error> {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            let text = format!("--form {text}: expected NAME=VALUE or NAME=@FILE");
            return Err(Error::Usage(text));
        };
        let name = name.to_owned();
        let Some(file) = value.strip_prefix('@') else {
            return Ok(Field {
                name,
                file: None,
                content: value.as_bytes().to_vec(),
            });
        };
        let path = Path::new(file);
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let kind = content_type(path).unwrap_or("application/octet-stream");
        Ok(Field {
            name,
            file: Some((file_name.into_owned(), kind)),
            content: read(path)?,
        })
    }
}

/// The form's content type and body.
fn multipart(fields: &[Field]) -> (String, Vec<u8>) {
    let occurs = |boundary: &str| {
        let contains = |content: &[u8]| {
            content
                .windows(boundary.len())
                .any(|at| at == boundary.as_bytes())
        };
        fields.iter().any(|field| contains(&field.content))
    };
    let boundary = (0_u64..)
        .map(|number| format!("torchrelay-{number}"))
        .find(|boundary| !occurs(boundary))
        .unwrap_or_default();
    let quoted = |text: &str| {
        let text = text.replace('"', "%22").replace('\r', "%0D");
        text.replace('\n', "%0A")
    };
    let mut body = Vec::new();
    for field in fields {
        let name = quoted(&field.name);
        body.extend(
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"").bytes(),
        );
        if let Some((file, kind)) = &field.file {
            let file = quoted(file);
            body.extend(format!("; filename=\"{file}\"\r\nContent-Type: {kind}").bytes());
        }
        body.extend(b"\r\n\r\n");
        body.extend(&field.content);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_files_are_told_apart() {
        let check = |rest: &str, form: bool, expected: &str| {
            let rest: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
            let found = match target(&rest, form, |name| ["x.json", "7"].contains(&name)) {
                Ok((version, source)) => format!("{version:?} {source:?}"),
                Err(error) => format!("error: {error}"),
            };
            assert_eq!(found, expected, "{rest:?}");
        };
        check("", false, "None Stdin");
        check("-", false, "None Stdin");
        check("x.json", false, "None File(\"x.json\")");
        check("7", false, "None File(\"7\")");
        check("1.0", false, "Some(\"1.0\") Stdin");
        check("v2", false, "Some(\"v2\") Stdin");
        check("1/a.png", false, "None File(\"1/a.png\")");
        check("absent.jpg", false, "None File(\"absent.jpg\")");
        check("beta -", false, "Some(\"beta\") Stdin");
        check("1.0 x.json", false, "Some(\"1.0\") File(\"x.json\")");
        check("", true, "None Form");
        check("beta", true, "Some(\"beta\") Form");
        check(
            "1.0 x.json",
            true,
            "error: a form is sent in place of a file: leave out either FILE or --form",
        );
    }

    #[test]
    fn a_form_is_written() {
        let fields = [
            Field::read("text=torchrelay-0 = two").unwrap(),
            Field {
                name: "data".into(),
                file: Some(("a\"b.png".into(), "image/png")),
                content: b"\x89PNG".to_vec(),
            },
        ];
        let (content_type, body) = multipart(&fields);
        assert_eq!(content_type, "multipart/form-data; boundary=torchrelay-1");
        let expected = b"--torchrelay-1\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\ntorchrelay-0 = two\r\n\
            --torchrelay-1\r\nContent-Disposition: form-data; name=\"data\"; filename=\"a%22b.png\"\r\n\
            Content-Type: image/png\r\n\r\n\x89PNG\r\n--torchrelay-1--\r\n";
        assert_eq!(
            String::from_utf8_lossy(&body),
            String::from_utf8_lossy(expected)
        );
        for text in ["plain", "=x"] {
            let error = Field::read(text).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("--form {text}: expected NAME=VALUE or NAME=@FILE")
            );
        }
    }
}
