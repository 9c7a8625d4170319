//! Carrying out a plan, whatever it packs: warnings on stderr, a bar for somebody who watches, a line at the end.

use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use archive::{Plan, pack, source_date};
use indicatif::{ProgressBar, ProgressStyle};

use crate::text;

/// Packing less than this is over before a progress bar is read.
const WORTH_A_BAR: u64 = 64 << 20;

/// What the environment wants for the manifest's date.
pub(crate) fn created_at() -> anyhow::Result<Option<u64>> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => source_date(&text).map(Some).map_err(anyhow::Error::msg),
        Err(_) => Ok(None),
    }
}

pub(crate) fn run(
    plan: &Plan,
    warnings: impl IntoIterator<Item = String>,
) -> anyhow::Result<String> {
    for warning in warnings
        .into_iter()
        .chain(date_warning(plan).map(str::to_owned))
    {
        // With stderr gone, nobody is left to be warned.
        let _ = writeln!(io::stderr(), "warning: {warning}");
    }
    let bar = progress_bar(plan.size());
    let path = pack(plan, &mut |bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    let shown = path.display();
    let size = std::fs::metadata(&path).with_context(|| shown.to_string())?;
    if size.is_dir() {
        return Ok(format!("packed into {shown}/\n"));
    }
    let size = text::size(size.len());
    Ok(format!("packed into {shown} ({size})\n"))
}

fn date_warning(plan: &Plan) -> Option<&'static str> {
    (!plan.is_dated()).then_some(
        "no file is packed that could date the archive, so its createdOn is in 1970; \
         SOURCE_DATE_EPOCH sets it",
    )
}

/// A bar on stderr for somebody who watches, nothing otherwise.
fn progress_bar(size: u64) -> ProgressBar {
    if size < WORTH_A_BAR || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "packing {wide_bar} {binary_bytes}/{binary_total_bytes}, {eta} left",
    );
    ProgressBar::new(size).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
