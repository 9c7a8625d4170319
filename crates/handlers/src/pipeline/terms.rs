//! How a request wants the network to run: on how many threads, with how many others, and where.
//!
//! `asked` in the handler's settings says which of the graph's inputs mean that. A bound is kept by whoever shares a pass; a
//! device cannot be chosen, as the network is where it is, so that another than its own is refused.

use std::num::NonZeroUsize;

use dag::{Entry, Graph, Request};
use servable::{Device, Fit, JobError, LoadError, Type, Value};

use crate::parameters::Parameters;

/// What one request asks for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Terms {
    /// The most threads of a pass that it is in.
    pub(super) threads: Option<NonZeroUsize>,
    /// The most calls in a pass that it is in, itself included.
    pub(super) batch_size: Option<NonZeroUsize>,
}

/// The inputs that say so.
#[derive(Debug, Default)]
pub(super) struct Asking {
    threads: Option<String>,
    batch_size: Option<String>,
    device: Option<String>,
}

impl Asking {
    /// Reads `asked`.
    ///
    /// # Errors
    ///
    /// An input that the graph does not declare, or not as a number or a text.
    pub(super) fn read(parameters: &Parameters<'_>, graph: &Graph) -> Result<Self, LoadError> {
        let Some(section) = parameters.section("asked")? else {
            return Ok(Asking::default());
        };
        let input = |key: &'static str, of: &Type| -> Result<Option<String>, LoadError> {
            let Some(name) = section.text(key)? else {
                return Ok(None);
            };
            let is_it = |entry: &&Entry| entry.name == name;
            match graph.inputs.iter().find(is_it) {
                Some(entry) if entry.of.fits(of) != Fit::No => Ok(Some(name.to_owned())),
                Some(entry) => {
                    let why = format!("input `{name}` is {}, expected {of}", entry.of);
                    Err(section.refuse(key, why))
                }
                None => Err(section.refuse(key, format!("the graph has no input `{name}`"))),
            }
        };
        let asking = Asking {
            threads: input("threads", &Type::Int)?,
            batch_size: input("batch_size", &Type::Int)?,
            device: input("device", &Type::Text)?,
        };
        section.finish()?;
        Ok(asking)
    }

    /// What a request asks for, of a network that computes there.
    ///
    /// # Errors
    ///
    /// A bound below 1, or another device.
    pub(super) fn terms(&self, request: &Request, device: Device) -> Result<Terms, JobError> {
        let bound = |input| {
            let Some((name, value)) = part(request, input) else {
                return Ok(None);
            };
            let number = if let Value::Int(number) = value {
                usize::try_from(*number).ok()
            } else {
                None
            };
            // 0 is what a graph may have as its default: no bound.
            number.map(NonZeroUsize::new).ok_or_else(|| {
                let found = String::from_utf8_lossy(&value.to_json()).into_owned();
                refuse(name, "a whole number from 1 on", &found)
            })
        };
        if let Some((name, Value::Text(wanted))) = part(request, &self.device)
            && !is_there(wanted, device)
        {
            let expected = format!("{}, where the model is", kind(device));
            return Err(refuse(name, &expected, &format!("`{wanted}`")));
        }
        Ok(Terms {
            threads: bound(&self.threads)?,
            batch_size: bound(&self.batch_size)?,
        })
    }
}

/// What a request brings as the input that stands for something, if one does.
fn part<'r>(request: &'r Request, input: &Option<String>) -> Option<(&'r str, &'r Value)> {
    let input = input.as_deref()?;
    let part = request.parts.iter().find(|(name, _)| name == input)?;
    Some((&part.0, &part.1))
}

/// Whether a device is the one that somebody calls so; `any` is everyone.
fn is_there(wanted: &str, device: Device) -> bool {
    let wanted = wanted.to_ascii_lowercase();
    match (wanted.as_str(), device) {
        ("" | "any", _) | ("cpu", Device::Cpu) | ("gpu" | "cuda", Device::Cuda(_)) => true,
        (name, device) => name == device.to_string(),
    }
}

fn kind(device: Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "gpu",
    }
}

fn refuse(input: &str, expected: &str, found: &str) -> JobError {
    JobError::bad_input(format!(
        "input `{input}`: expected {expected}, found {found}"
    ))
}
