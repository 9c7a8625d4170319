//! The file of a Unix socket: made anew at the start, gone at the end, and nobody else's file or socket in its place.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use tokio::net::{UnixListener, UnixStream};
use tracing::warn;

/// The file of a socket that listens. Dropping it removes the file; drop it before its socket, or the file that is
/// removed may be one that another process put there meanwhile, having found nobody listening.
pub struct SocketFile(PathBuf);

impl SocketFile {
    /// Listens at `path`. A socket that a killed process left there is replaced.
    ///
    /// # Errors
    /// Somebody listens there, the file is no socket, or what the system says.
    pub(super) async fn bind(path: &Path) -> io::Result<(Self, UnixListener)> {
        make_room(path).await?;
        let socket = UnixListener::bind(path)?;
        Ok((SocketFile(path.to_owned()), socket))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != ErrorKind::NotFound
        {
            warn!("{}: cannot be removed: {error}", self.0.display());
        }
    }
}

async fn make_room(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => {}
        Ok(_) => return Err(io::Error::other("there is a file that is no socket")),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        // So many want to be served there that there is no room to wait.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(Errno::ADDRINUSE.into()),
        Err(error) => Err(error),
        Ok(_) => Err(Errno::ADDRINUSE.into()),
    }
}
