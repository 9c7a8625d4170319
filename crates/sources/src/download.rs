//! Attempts, until the part is whole: pauses between them, and caps on size, silence and time.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{sleep, timeout};
use tracing::info;

use crate::Settings;
use crate::error::Cause;
use crate::origin::Origin;
use crate::progress::Progress;
use crate::staging::Staging;

/// Fills the part. A first attempt that gets no answer is told at once; a download that has begun is taken up again when
/// it breaks.
pub(crate) async fn run(
    origin: &Origin<'_>,
    staging: &mut Staging,
    settings: &Settings,
    shown: &str,
) -> Result<(), Cause> {
    let attempts = attempts(origin, staging, settings, shown);
    timeout(settings.timeout, attempts)
        .await
        .unwrap_or(Err(Cause::TooSlow(settings.timeout)))
}

async fn attempts(
    origin: &Origin<'_>,
    staging: &mut Staging,
    settings: &Settings,
    shown: &str,
) -> Result<(), Cause> {
    let mut begun = false;
    let mut failures = 0;
    let mut farthest = staging.length();
    loop {
        let cause = match attempt(origin, staging, settings, shown, &mut begun).await {
            Ok(()) => return Ok(()),
            Err(cause) => cause,
        };
        // Only new ground counts, or a server that always breaks in the same place would be asked for ever.
        if staging.length() > farthest {
            farthest = staging.length();
            failures = 0;
        }
        if !begun || !cause.may_pass() || failures >= settings.retries {
            return Err(cause);
        }
        let pause = settings.pause * 2_u32.saturating_pow(failures);
        failures += 1;
        info!(
            "bringing {shown}: {cause}; attempt {failures} of {} to go on after {} bytes follows in {} s",
            settings.retries,
            staging.length(),
            pause.as_secs_f64()
        );
        sleep(pause).await;
    }
}

async fn attempt(
    origin: &Origin<'_>,
    staging: &mut Staging,
    settings: &Settings,
    shown: &str,
    begun: &mut bool,
) -> Result<(), Cause> {
    let limit = settings.max_size;
    let mut content = patient(settings.stall, origin.open(staging.resume())).await?;
    *begun = true;
    if content.total.is_some_and(|total| total > limit) {
        return Err(Cause::TooLarge { limit });
    }
    if content.start == 0 {
        staging.restart(content.validator.take()).await?;
    }
    let mut progress = Progress::new(shown, staging.length(), content.total);
    loop {
        let next = async { content.body.next().await.transpose() };
        let Some(bytes) = patient(settings.stall, next).await? else {
            break;
        };
        if staging.length() + bytes.len() as u64 > limit {
            return Err(Cause::TooLarge { limit });
        }
        staging.write(&bytes).await?;
        progress.at(staging.length());
    }
    match content.total {
        Some(total) if total != staging.length() => Err(Cause::Broken(format!(
            "{} of {total} bytes came",
            staging.length()
        ))),
        _ => {
            progress.end(staging.length());
            Ok(())
        }
    }
}

async fn patient<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Cause>>,
) -> Result<T, Cause> {
    timeout(limit, work)
        .await
        .unwrap_or(Err(Cause::Stalled(limit)))
}
