//! The soak: full load, right and wrong requests and clients that leave, while models come, scale, change their default
//! version and go; every answer is compared with its question, and memory is watched.
//!
//! `clients.rs` asks, `operator.rs` manages, `growth.rs` judges the memory. Anything lost, wrong or growing is a
//! violation.

mod clients;
mod growth;
mod operator;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use demo::samples;

use crate::daemon::{Daemon, Start};
use crate::process;
use crate::store::{self, Packed};
use clients::Tally;
use growth::Growth;

/// Connections that ask all the time.
const CLIENTS: usize = 16;

/// Between two looks at the memory.
const SAMPLING: Duration = Duration::from_millis(500);

/// How many violations are told in full.
const TOLD: usize = 10;

/// What a soak found.
pub struct Outcome {
    seconds: f64,
    clients: Tally,
    operator: Tally,
    growth: Growth,
}

/// Keeps a daemon under load for `time`. `progress` is told once in a while how it goes.
pub fn run(folder: &Path, time: Duration, progress: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let store = folder.join("store");
    fs::create_dir_all(&store).with_context(|| format!("cannot create {}", store.display()))?;
    pack(&store)?;
    let mut daemon = Daemon::start(&Start {
        program: None,
        folder: &store,
        models: "double=double.mar,keyed=keyed.mar,substrate=substrate.mar",
        config: "enable_model_api=true\n",
        // A line for every request would fill the disk.
        log: Some("info,access_log=off,ts_metrics=off,serving=warn"),
    })?;
    daemon.wait_until_ready()?;
    let pictures = clients::pictures()?;

    let stop = AtomicBool::new(false);
    let (address, management, id) = (daemon.address, daemon.management, daemon.id());
    let start = Instant::now();
    let mut samples = Vec::new();
    let (clients, operator) = thread::scope(|scope| -> Result<(Tally, Tally)> {
        let (stop, pictures) = (&stop, &pictures);
        let asking: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(move || clients::ask(address, client, pictures, stop)))
            .collect();
        let managing = scope.spawn(move || operator::manage(management, stop));
        let mut watch = || -> Result<()> {
            let mut told = 0;
            while start.elapsed() < time {
                thread::sleep(SAMPLING.min(time.saturating_sub(start.elapsed())));
                daemon.check_alive()?;
                let resident = process::memory(id)?.resident;
                samples.push((start.elapsed().as_secs_f64(), resident));
                let minute = start.elapsed().as_secs() / 60;
                if minute > told {
                    told = minute;
                    progress(&format!(
                        "{minute} min: {} MB resident",
                        resident / 1_000_000
                    ));
                }
            }
            Ok(())
        };
        let watched = watch();
        stop.store(true, Ordering::Relaxed);
        let mut tally = Tally::default();
        for client in asking {
            tally.add(client.join().map_err(|_| anyhow!("a client panicked"))?);
        }
        let operator = managing
            .join()
            .map_err(|_| anyhow!("the operator panicked"))?;
        watched.map(|()| (tally, operator))
    })?;
    let seconds = start.elapsed().as_secs_f64();
    // Whatever happened, it must still serve.
    daemon.first_right("/predictions/double", b"[1.5]", |body| {
        body == b"[\n  3.0\n]" || body == b"[3.0]"
    })?;
    Ok(Outcome {
        seconds,
        clients,
        operator,
        growth: Growth::of(&samples, time.as_secs_f64()),
    })
}

fn pack(store: &Path) -> Result<()> {
    let fixtures = samples::default_folder();
    let double = fixtures.join("double.pt");
    let classifier = fixtures.join("substrate_classifier.pt");
    let batching = "minWorkers: 1\nmaxWorkers: 2\nbatchSize: 8\nmaxBatchDelay: 5\n";
    let keyed = format!("{batching}handler:\n  answer_key: twice\n");
    let second = format!("{batching}handler:\n  answer_key: second\n");
    let squeezed = format!("{batching}handler:\n  input_size: [64, 64]\n  crop: none\n  topk: 1\n");
    let archive = |file: &str, name, version, handler, weights: &Path, config: &str| {
        let packed = Packed {
            name,
            version,
            handler,
            weights,
            config,
        };
        let path = store::pack(store, &packed)?;
        let target = store.join(file);
        fs::rename(&path, &target).with_context(|| format!("cannot write {}", target.display()))
    };
    let base = "base_handler";
    // The guests first: each takes the name of the other before it has its own.
    archive("guest-1.mar", "guest", "1.0", base, &double, batching)?;
    archive("guest-2.mar", "guest", "2.0", base, &double, &second)?;
    archive("double.mar", "double", "1.0", base, &double, batching)?;
    archive("keyed.mar", "keyed", "1.0", base, &double, &keyed)?;
    archive(
        "substrate.mar",
        "substrate",
        "1.0",
        "image_classifier",
        &classifier,
        &squeezed,
    )
}

impl Outcome {
    pub fn is_good(&self) -> bool {
        self.clients.violations() + self.operator.violations() == 0 && !self.growth.grows()
    }

    /// The table that a person reads.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{:.0} s, {CLIENTS} connections, {:.0} requests per second\n\n{:<34} {:>10} {:>10} {:>10}\n",
            self.seconds,
            self.clients.sent() as f64 / self.seconds,
            "",
            "sent",
            "as due",
            "violations"
        );
        for line in self.clients.lines().chain(self.operator.lines()) {
            text.push_str(&line);
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.growth.text());
        text.push('\n');
        let told = self.clients.told().chain(self.operator.told());
        for violation in told.take(TOLD) {
            text.push_str(&format!("violation: {violation}\n"));
        }
        text.push_str(if self.is_good() {
            "good: nothing lost, nothing crossed, nothing grows"
        } else {
            "NOT GOOD"
        });
        text
    }
}
