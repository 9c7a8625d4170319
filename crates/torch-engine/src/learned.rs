//! What loading a network shows of its tensors: what it calls its arguments, and what came of the handler's examples.

use servable::{Dim, Output, Port, Ports, TensorType, Value};

/// Made by the first servable that is loaded.
#[derive(Debug)]
pub(crate) struct Learned {
    pub(crate) arguments: Vec<String>,
    pub(crate) gives: Vec<Port>,
}

impl Learned {
    /// Fills in what nobody has said.
    pub(crate) fn add_to(&self, ports: &mut Ports) {
        if let ([port], [name]) = (ports.takes.as_mut_slice(), self.arguments.as_slice())
            && port.name == Ports::INPUT
            && !name.starts_with(TRACED)
        {
            port.name.clone_from(name);
        }
        if ports.gives.is_empty() {
            ports.gives.clone_from(&self.gives);
        }
    }
}

/// So libtorch calls the arguments of a network that was traced, and not written.
const TRACED: &str = "argument_";

/// The tensors of an answer to one example, or of answers to two, where sides that differ are of any length. `other` is
/// `None` where there is no other example, and an error where it failed: then no side is certain.
pub(crate) fn gives(first: &Output, other: Option<Result<&Output, ()>>) -> Vec<Port> {
    let ports = |value: &Value| Ports::of(value);
    let first = ports(&first.value);
    match other {
        None => first,
        Some(Ok(other)) => {
            let other = ports(&other.value);
            if first.len() != other.len() {
                return Vec::new();
            }
            let both = first.into_iter().zip(other);
            both.map(|(one, other)| Port::new(one.name, one.of.or(&other.of)))
                .collect()
        }
        Some(Err(())) => {
            let open = |of: TensorType| TensorType {
                shape: of.shape.map(|sides| vec![Dim::Any; sides.len()]),
                ..of
            };
            first
                .into_iter()
                .map(|port| Port::new(port.name, open(port.of)))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_has_said_stays_and_names_that_nobody_chose_are_none() {
        let check = |taken: &str, arguments: &[&str], given: &[&str], expected: (&str, &[&str])| {
            let port = |name: &&str| Port::new(*name, TensorType::default());
            let learned = Learned {
                arguments: arguments.iter().map(ToString::to_string).collect(),
                gives: vec![port(&"seen")],
            };
            let mut ports = Ports {
                takes: vec![port(&taken)],
                gives: given.iter().map(port).collect(),
            };
            learned.add_to(&mut ports);
            let gives: Vec<&str> = ports.gives.iter().map(|port| &port.name[..]).collect();
            assert_eq!((&ports.takes[0].name[..], &gives[..]), expected);
        };
        check("input", &["x"], &[], ("x", &["seen"]));
        check("input", &["argument_1"], &[], ("input", &["seen"]));
        check("input", &["x", "y"], &[], ("input", &["seen"]));
        check("mine", &["x"], &["said"], ("mine", &["said"]));
    }
}
