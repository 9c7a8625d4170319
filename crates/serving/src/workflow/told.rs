//! Nodes of one request, told as they end: for a client that wants to see how far its request is.

use std::time::Duration;

use servable::Value;
use tokio::sync::mpsc;

use crate::error::Error;

/// What came of one call of a node.
#[derive(Debug, Clone)]
pub struct NodeResult {
    pub node: String,
    /// Which item of which scope, from the outermost scope inwards.
    pub item: Vec<usize>,
    /// Retries included.
    pub took: Duration,
    /// What it gave, or what went wrong. The run may go on after a failure.
    pub result: Result<Value, String>,
}

/// Where results of nodes go while a run goes on. The run waits while nobody takes them, but not for ever.
#[derive(Debug, Clone)]
pub struct Told {
    to: mpsc::Sender<NodeResult>,
    stall: Duration,
    /// The nodes of interest; empty for all.
    nodes: Vec<String>,
}

impl Told {
    /// The results of these nodes, of all of them where none is named. Dropping the receiver ends the run; so does taking
    /// nothing for as long as `stall` while there is no more room.
    pub fn new(
        nodes: Vec<String>,
        room: usize,
        stall: Duration,
    ) -> (Told, mpsc::Receiver<NodeResult>) {
        let (to, results) = mpsc::channel(room.max(1));
        (Told { to, stall, nodes }, results)
    }

    pub(crate) fn wants(&self, node: &str) -> bool {
        self.nodes.is_empty() || self.nodes.iter().any(|wanted| wanted == node)
    }

    /// Hands a result over.
    ///
    /// # Errors
    ///
    /// Where the client took nothing for too long, or is gone.
    pub(crate) async fn tell(&self, workflow: &str, result: NodeResult) -> Result<(), Error> {
        let sent = self.to.send_timeout(result, self.stall).await;
        sent.map_err(|_| Error::Unread {
            model: workflow.to_owned(),
            after: self.stall,
        })
    }
}
