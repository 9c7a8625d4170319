//! What the configuration says of the protocols beside TorchServe's own.

use serving::SequenceHeaders;

use crate::config::Config;
use crate::envelope::Envelope;

/// Which of them are served, and how.
#[derive(Debug, Clone)]
pub struct Protocols {
    /// Whether there is more of the Open Inference Protocol than inference itself, which TorchServe always has.
    pub open_inference: bool,
    /// How requests of models that say nothing themselves are wrapped.
    pub envelope: Option<Envelope>,
    /// The headers in which handlers find the protocol's parameters of sequences.
    pub sequence_headers: SequenceHeaders,
}

impl Protocols {
    pub fn new(config: &Config) -> Self {
        Protocols {
            open_inference: config.open_inference_protocol,
            envelope: config.service_envelope,
            sequence_headers: config.sequence_headers.clone(),
        }
    }
}

impl Default for Protocols {
    fn default() -> Self {
        Protocols {
            open_inference: true,
            envelope: None,
            sequence_headers: SequenceHeaders::default(),
        }
    }
}
