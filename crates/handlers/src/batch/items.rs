//! A request of many items whose client takes their answers one by one: a few go through the network at a time, so that
//! the first answers are there soon, no more is held than they take, and a client that leaves stops the rest.

use std::num::NonZeroUsize;

use servable::{BatchError, Input, JobError, Output, Parts, Tensor, Value};

use super::{Layout, Stages, check_rows, in_place, mismatched, side_by_side};
use crate::Network;
use crate::tensors::rows;

/// Hands over the answers to all items but the last, which it returns.
pub(super) fn answer<S: Stages>(
    stages: &S,
    network: &mut dyn Network,
    input: &Input,
    parts: &Parts,
    items: &Tensor,
    layout: &Layout,
    threads: NonZeroUsize,
) -> Result<Output, JobError> {
    let total = items.shape().first().copied().unwrap_or(0);
    let most = stages.items_at_a_time().get();
    let mut start = 0;
    while start < total {
        if parts.is_unwanted() {
            return Err(servable::Unwanted.into());
        }
        let end = total.min(start.saturating_add(most));
        let few = items
            .rows(start..end)
            .ok_or_else(|| JobError::failed("an item is missing"))?;
        let result =
            forward(network, &few, threads).map_err(|error| stages.explain(layout, error))?;
        for index in 0..end - start {
            let result = rows(&result, index).ok_or_else(|| mismatched(&result, end - start))?;
            let output = stages.postprocess_item(input, result)?;
            if start + index + 1 == total {
                // It is the answer, as it is where nobody takes parts.
                return Ok(output);
            }
            parts.put(output)?;
        }
        start = end;
    }
    Err(JobError::failed("there are no items"))
}

fn forward(
    network: &mut dyn Network,
    few: &Tensor,
    threads: NonZeroUsize,
) -> Result<Value, BatchError> {
    let shape = few.shape().to_vec();
    let count = shape[0];
    let batch = match in_place(network, few, &shape) {
        Some(batch) => batch,
        None => {
            let write = |into: &mut [u8]| few.copy_to(into);
            side_by_side(few.dtype(), shape, std::iter::once((few.byte_len(), write)))?
        }
    };
    let result = network.forward(&[batch.into()], threads)?;
    check_rows(&result, count)?;
    Ok(result)
}
