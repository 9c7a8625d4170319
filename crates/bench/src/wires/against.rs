//! Two builds of the daemon side by side over every wire: what a change brought to each.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use super::ask::{Loop, WIRES};
use super::{AT_ONCE, tensor};
use crate::against;
use crate::plan::Plan;
use crate::process;
use crate::subject::Subject;

/// This build beside another program, one small model. The table is for a reader.
pub fn table(subject: &Subject, folder: &Path, other: &Path, plan: Plan) -> Result<String> {
    let daemons = against::both(subject, folder, other)?;
    let tensor = tensor(subject)?;
    let mut text = against::head(subject, other, &format!("{:>7}  {:<16}", "at once", "wire"));
    for at_once in AT_ONCE {
        for wire in WIRES {
            let mut loops = Vec::new();
            for daemon in &daemons {
                let asking = Loop::open(daemon, wire, at_once, &tensor)?;
                loops.push((daemon.id(), asking));
            }
            let pairs = against::pairs(plan, |index| {
                let (id, asking) = &mut loops[index];
                asking.run(plan.slice, || process::cpu_seconds(*id))
            })?;
            let first = format!("{at_once:>7}  {:<16}", wire.title());
            let _ = writeln!(text, "{}", against::line(&first, &pairs));
        }
    }
    Ok(text)
}
