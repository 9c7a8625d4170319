//! What workers weigh: one model with one, two and four of them, and how soon the first answer comes.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::bare::Bare;
use crate::load::Load;
use crate::process;
use crate::report::Weight;
use crate::subject::Subject;
use crate::versus;

/// Numbers of workers, each in a daemon of its own.
pub const WORKERS: [usize; 3] = [1, 2, 4];

/// Resident memory under load with each number of workers.
pub fn weigh(subject: &Subject, folder: &Path, time: Duration) -> Result<Vec<Weight>> {
    let expected = Bare::start(subject, folder)?.answer()?;
    WORKERS
        .into_iter()
        .map(|workers| {
            let mut daemon = versus::start(subject, folder, workers)?;
            let first_right = daemon.first_right(&subject.path(), &subject.body, |body| {
                subject.is_right(body, &expected)
            })?;
            daemon.wait_until_ready()?;
            let idle = process::memory(daemon.id())?.resident;
            // Enough at once that every worker has had its batches.
            let mut load = Load::open(daemon.address, 8 * workers, &subject.path(), &subject.body)?;
            load.run(time, || Ok(0.0))?;
            Ok(Weight {
                workers,
                first_right,
                idle,
                loaded: process::memory(daemon.id())?.resident,
            })
        })
        .collect()
}
