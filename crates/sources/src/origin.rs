//! Where the bytes of one attempt come from.

use std::path::Path;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio_util::io::ReaderStream;

use crate::error::Cause;
use crate::web::Web;

#[derive(Debug)]
pub(crate) enum Origin<'a> {
    File(&'a Path),
    Web(Web<'a>),
}

/// An answer, of which the head has come.
pub(crate) struct Content {
    /// The position of its first byte in the whole; either zero, or what was asked for.
    pub(crate) start: u64,
    /// The length of the whole, if it is known.
    pub(crate) total: Option<u64>,
    /// What names it, so that its rest can be asked for later; without one, it cannot.
    pub(crate) validator: Option<String>,
    pub(crate) body: BoxStream<'static, Result<Bytes, Cause>>,
}

impl Origin<'_> {
    /// Begins an attempt. `resume`: from which byte on, if the content is still the one of that name.
    pub(crate) async fn open(&self, resume: Option<(u64, &str)>) -> Result<Content, Cause> {
        match self {
            Origin::File(path) => open_file(path).await,
            Origin::Web(web) => web.open(resume).await,
        }
    }
}

async fn open_file(path: &Path) -> Result<Content, Cause> {
    let shown = path.display().to_string();
    let source = shown.clone();
    let failed = move |error| Cause::Source {
        path: source.clone(),
        error,
    };
    // Asked first: opening a pipe would wait for somebody who writes.
    let metadata = tokio::fs::metadata(path).await.map_err(&failed)?;
    if !metadata.is_file() {
        return Err(Cause::NoFile { path: shown });
    }
    let file = tokio::fs::File::open(path).await.map_err(&failed)?;
    let body = ReaderStream::with_capacity(file, 256 << 10);
    Ok(Content {
        start: 0,
        total: Some(metadata.len()),
        validator: None,
        body: body.map(move |bytes| bytes.map_err(&failed)).boxed(),
    })
}
