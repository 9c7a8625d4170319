//! Signals: the first one asks for a stop, the second one ends the process at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The exit status of a process that a second signal ended.
const IMPATIENT: i32 = 130;

/// A token that SIGTERM or SIGINT cancels. Must be called within a tokio runtime. `at_once` is called before a second
/// signal ends the process, and must not take long.
pub fn on_signal(at_once: impl FnOnce() + Send + 'static) -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let name = next().await;
        info!("{name}: stopping; a second signal ends at once");
        token.cancel();
        let name = next().await;
        warn!("{name} again: ending at once");
        at_once();
        std::process::exit(IMPATIENT);
    });
    Ok(stop)
}
