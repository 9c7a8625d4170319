//! One service in two forms: three models that do a whole step each, and networks with every step between them a node. The
//! files are those of the guide to number plates; the weights are no part of this repository.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::micros;
use crate::daemon::{Daemon, Start};
use crate::load::Load;
use crate::plan::Plan;
use crate::report::Forms;
use crate::stats::{Ratio, median};
use crate::store::{self, Packed};

/// The networks' names in the guide and their files.
const NETWORKS: [(&str, &str); 3] = [
    ("yolo", "plate_yolo.pt"),
    ("stn", "stn.pt"),
    ("lprnet", "lprnet_ru.pt"),
];
const STEPS: &str = "plate_recognition";
const TYPED: &str = "plate_recognition_typed";

/// Measures both in turn, one connection each; `None` where the weights are absent.
pub(super) fn measure(folder: &Path, plan: Plan) -> Result<Option<Forms>> {
    let data = beside_the_checkout();
    if !data.is_dir() {
        return Ok(None);
    }
    let store = folder.join("forms");
    fs::create_dir_all(&store).with_context(|| format!("cannot create {}", store.display()))?;
    fill(&store, &data.join("models"))?;
    let mut daemon = Daemon::start(&Start {
        program: None,
        folder: &store,
        models: "yolo=yolo.mar",
        config: "load_workflows=all\n",
        log: None,
    })?;
    daemon.wait_until_ready()?;
    let picture = data.join("images/car.jpg");
    let picture =
        fs::read(&picture).with_context(|| format!("cannot read {}", picture.display()))?;
    let open = |name: &str| {
        let path = format!("/wfpredict/{name}");
        Load::open(daemon.address, 1, &path, &picture)
    };
    let (mut steps, mut typed) = (open(STEPS)?, open(TYPED)?);
    let mut pairs = Vec::with_capacity(plan.pairs);
    for _ in 0..plan.pairs {
        let steps = micros(&mut steps.run(plan.slice, || Ok(0.0))?);
        let typed = micros(&mut typed.run(plan.slice, || Ok(0.0))?);
        pairs.push((typed / 1e3, steps / 1e3));
    }
    daemon.check_alive()?;
    let of = |figure: fn(&(f64, f64)) -> f64| median(&pairs.iter().map(figure).collect::<Vec<_>>());
    Ok(Some(Forms {
        typed_ms: of(|(typed, _)| *typed),
        steps_ms: of(|(_, steps)| *steps),
        ratio: Ratio::of_pairs(pairs.iter().copied()),
    }))
}

fn beside_the_checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/plates")
}

fn fill(store: &Path, weights: &Path) -> Result<()> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/plates");
    let read = |name: &str| {
        let path = guide.join(format!("{name}.yaml"));
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    for (name, file) in NETWORKS {
        let alone = format!("{name}_network");
        for (name, handler) in [(name, "pipeline"), (alone.as_str(), "base_handler")] {
            store::pack(
                store,
                &Packed {
                    name,
                    version: "1.0",
                    handler,
                    weights: &weights.join(file),
                    config: &read(name)?,
                },
            )?;
        }
    }
    for name in [STEPS, TYPED] {
        let path = store.join(format!("{name}.yaml"));
        fs::write(&path, read(name)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
