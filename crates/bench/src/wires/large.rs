//! A tensor of 12 MB over each wire: how long it takes, and how often its bytes are copied between the socket and the
//! network, one request at a time and several in a batch.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::ask::{self, Tensor, WIRES};
use super::{Loop, rows, turns};
use crate::daemon::{Daemon, Start};
use crate::plan::Plan;
use crate::report::{Large, LargeRow};
use crate::scrape::{self, Batches};
use crate::store::{self, Packed};

/// Floats of a request.
const NUMBERS: usize = 3_000_000;
/// What the network gives of them.
const ANSWER: usize = 4;
const NAME: &str = "first";

/// One at a time, and twice as many as a batch holds: while one batch is copied, the next one comes.
const AT_ONCE: [usize; 2] = [1, 8];
/// One worker, so that what waits for it goes into one batch.
const CONFIG: &str = "minWorkers: 1\nmaxWorkers: 1\nbatchSize: 4\nmaxBatchDelay: 50\n";

pub(super) fn measure(folder: &Path, plan: Plan, progress: &mut dyn FnMut(&str)) -> Result<Large> {
    let mut daemon = start(folder)?;
    daemon.wait_until_ready()?;
    let numbers: Vec<f32> = (0..NUMBERS).map(|at| (at % 1021) as f32 / 64.0).collect();
    let shape = [NUMBERS];
    let tensor = Tensor::new(NAME, &shape, &numbers, ask::npy(&shape, &numbers)?);
    ask::check(&daemon, &tensor, &numbers[..ANSWER])?;
    let bytes = tensor.bytes.len();
    let slice = plan.slice.max(Duration::from_secs(1));
    let mut found = Vec::new();
    for at_once in AT_ONCE {
        progress(&format!(
            "{} MB: {at_once} at once, every wire",
            bytes / 1_000_000
        ));
        let rows = rows(
            at_once,
            turns(&daemon, &tensor, at_once, plan.pairs, slice)?,
        );
        for (wire, row) in WIRES.into_iter().zip(rows) {
            let mut asking = Loop::open(&daemon, wire, at_once, &tensor)?;
            let mut batches = Batches::of(&daemon, NAME);
            // From before the first request to after the last one: what is under way at an end would be counted by half.
            let before = scrape::bytes_copied(&daemon)?;
            let slice = asking.run(slice, || batches.meter())?;
            let copied = scrape::bytes_copied(&daemon)? - before;
            found.push(LargeRow {
                row,
                copied: wire
                    .is_v2()
                    .then(|| copied / slice.all as f64 / bytes as f64),
                batch: batches.mean(),
            });
        }
    }
    daemon.check_alive()?;
    Ok(Large { bytes, rows: found })
}

fn start(folder: &Path) -> Result<Daemon> {
    let store = folder.join("wires");
    fs::create_dir_all(&store).with_context(|| format!("cannot create {}", store.display()))?;
    store::pack(
        &store,
        &Packed {
            name: NAME,
            version: "1.0",
            handler: "base_handler",
            weights: &folder.join("first.pt"),
            config: CONFIG,
        },
    )?;
    Daemon::start(&Start {
        program: None,
        folder: &store,
        models: &format!("{NAME}={NAME}.mar"),
        config: "max_request_size=16000000\n",
        log: None,
    })
}
