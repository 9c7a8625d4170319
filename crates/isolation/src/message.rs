//! What daemon and child say to each other beside batches: who begins, what is loaded, what became of that.

use serde::{Deserialize, Serialize};
use servable::{Device, LoadError, Port, Ports, Type};
use worker_process::wire::{self, Decoder, Encoder, Frame};
use worker_process::{Bounds, Broken, Connection};

/// Kinds of frames to the child.
pub(crate) const LOAD: u8 = b'L';
pub(crate) const PREDICT: u8 = b'P';
/// Whether somebody waits for the rest of an answer, which was asked by [`PART`] or [`ASK`].
pub(crate) const WANTED: u8 = b'W';

/// Kinds of frames from it.
pub(crate) const LOADED: u8 = b'R';
pub(crate) const ANSWER: u8 = b'A';
pub(crate) const PART: u8 = b'T';
pub(crate) const ASK: u8 = b'Q';

/// What a child is told first. It is bound before it reads more than this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Load {
    /// The daemon's process.
    pub(crate) daemon: u32,
    pub(crate) memory: Option<u64>,
    pub(crate) cpu: Option<u64>,
    pub(crate) files: Option<u64>,
    /// The index of an accelerator; `None` for the CPU.
    pub(crate) cuda: Option<usize>,
    /// What the loader is made of.
    pub(crate) description: String,
}

impl Load {
    pub(crate) fn device(&self) -> Device {
        self.cuda.map_or(Device::Cpu, Device::Cuda)
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            memory: self.memory,
            cpu: self.cpu,
            files: self.files,
            // The daemon's affair.
            ..Bounds::default()
        }
    }
}

/// What a child says of its load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Loaded {
    /// Ready; what the model takes and gives, by names and types, as loading has shown it.
    Ready {
        takes: Vec<(String, String)>,
        gives: Vec<(String, String)>,
        /// How often it wants to be asked whether it is alive, in milliseconds.
        looked_at_every: Option<u64>,
    },
    Invalid(String),
    Unsupported(String),
    OutOfMemory(String),
}

impl Loaded {
    pub(crate) fn ready(ports: &Ports, looked_at_every: Option<std::time::Duration>) -> Self {
        let told = |ports: &[Port]| {
            let port = |port: &Port| (port.name.clone(), port.of.to_string());
            ports.iter().map(port).collect()
        };
        let millis = |every: std::time::Duration| u64::try_from(every.as_millis()).unwrap_or(1000);
        Loaded::Ready {
            takes: told(&ports.takes),
            gives: told(&ports.gives),
            looked_at_every: looked_at_every.map(millis),
        }
    }

    pub(crate) fn failed(error: LoadError) -> Self {
        match error {
            LoadError::Invalid(why) => Loaded::Invalid(why),
            LoadError::Unsupported(why) => Loaded::Unsupported(why),
            LoadError::OutOfMemory(why) => Loaded::OutOfMemory(why),
        }
    }
}

/// The ports that a child names; one whose type cannot be read is of any type.
pub(crate) fn ports(told: Vec<(String, String)>) -> Vec<Port> {
    let port = |(name, of): (String, String)| match of.parse::<Type>() {
        Ok(Type::Tensor(of)) => Port::new(name, of),
        _ => Port::new(name, servable::TensorType::default()),
    };
    told.into_iter().map(port).collect()
}

/// Sends a record as the only thing in a frame.
pub(crate) fn send(
    connection: &mut Connection,
    kind: u8,
    record: &impl Serialize,
) -> Result<(), Broken> {
    let text = serde_json::to_string(record).map_err(|error| unsendable(&error))?;
    let mut encoder = Encoder::new("a message");
    encoder.text(&text).map_err(Broken::Unsendable)?;
    let encoded = encoder.finish()?;
    wire::send(connection, kind, 0, 0, &encoded)
}

/// Receives such a record.
pub(crate) fn receive<T: for<'d> Deserialize<'d>>(
    connection: &mut Connection,
    kind: u8,
) -> Result<T, Broken> {
    let frame = expect(wire::receive(connection)?, kind)?;
    let read = |frame| {
        let mut decoder = Decoder::new("a message", frame)?;
        let text = decoder.text()?;
        decoder.finish()?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    };
    read(frame).map_err(Broken::Protocol)
}

/// The frame, if it is of that kind.
pub(crate) fn expect(frame: Frame, kind: u8) -> Result<Frame, Broken> {
    if frame.kind == kind {
        return Ok(frame);
    }
    Err(Broken::Protocol(format!(
        "a frame of kind {:?} came, expected {:?}",
        char::from(frame.kind),
        char::from(kind)
    )))
}

fn unsendable(error: &serde_json::Error) -> Broken {
    Broken::Unsendable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_travel_as_names_and_types() {
        let check = |of: &str| {
            let Ok(Type::Tensor(parsed)) = of.parse::<Type>() else {
                panic!("{of}");
            };
            let port = Port::new("x", parsed);
            let told = Loaded::ready(
                &Ports {
                    takes: vec![port.clone()],
                    gives: Vec::new(),
                },
                None,
            );
            let Loaded::Ready { takes, .. } = told else {
                panic!("{told:?}");
            };
            assert_eq!(takes, [("x".to_owned(), of.to_owned())]);
            assert_eq!(ports(takes), [port]);
        };
        check("tensor");
        check("tensor<float32>");
        check("tensor<int64>[?, 3, n]");
        let odd = ports(vec![("y".into(), "no type".into())]);
        assert_eq!(odd, [Port::new("y", servable::TensorType::default())]);
    }
}
