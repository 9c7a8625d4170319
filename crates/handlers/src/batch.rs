//! From requests to batches and back: the driver of most handlers.
//!
//! Each request is preprocessed alone, so one that fails takes no other with it. Rows of equal type and shape are
//! written side by side into one buffer, the network runs once per such bucket, and its result is split along the first
//! dimension into as many rows again, each of which is postprocessed alone.

mod items;

use std::num::NonZeroUsize;
use std::sync::Arc;

use servable::{
    BatchError, DType, Input, JobError, Output, Parts, Reason, Storage, Task, Tensor, Value,
};

use crate::Network;
use crate::tensors::{rows, slice};

/// What a handler says about one request; the driver does the rest.
pub(crate) trait Stages {
    /// What preprocessing makes of a request, before it is written into a batch.
    type Row;

    fn preprocess(&self, input: &Input) -> Result<Self::Row, JobError>;

    fn layout(&self, row: &Self::Row) -> Layout;

    /// Writes the row's elements. `into` is as long as the layout demands and aligned for any element.
    fn write(&self, row: &Self::Row, into: &mut [u8]);

    /// The row as a tensor of whole items, where it is one: alone in its batch it need not be written anywhere.
    fn as_batch(&self, _row: &Self::Row) -> Option<Tensor> {
        None
    }

    /// Makes the answer of the row's part of the network's result.
    fn postprocess(&self, input: &Input, row: Self::Row, result: Value)
    -> Result<Output, JobError>;

    /// How many items of a request go through the network at a time where the client takes their answers one by one.
    fn items_at_a_time(&self) -> NonZeroUsize {
        NonZeroUsize::MIN
    }

    /// Makes the answer of one item of a request that brings several.
    fn postprocess_item(&self, _input: &Input, _result: Value) -> Result<Output, JobError> {
        Err(JobError::unsupported(
            "answers to single items are not supported by this handler",
        ))
    }

    /// The network's failure on rows of that layout, with whatever the handler knows about it.
    fn explain(&self, _layout: &Layout, error: BatchError) -> BatchError {
        error
    }
}

/// The place that a row takes in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) dtype: DType,
    /// Shape of one item, without the batch dimension.
    pub(crate) item: Vec<usize>,
    /// How many items the request brings: none when it is one item itself, whose result then has no batch dimension.
    pub(crate) items: Option<usize>,
}

impl Layout {
    fn count(&self) -> usize {
        self.items.unwrap_or(1)
    }

    fn bytes(&self) -> usize {
        self.count() * self.item.iter().product::<usize>() * self.dtype.size()
    }

    fn stacks_on(&self, other: &Layout) -> bool {
        self.dtype == other.dtype && self.item == other.item
    }
}

struct Placed<R> {
    /// Which input the row came from.
    index: usize,
    layout: Layout,
    row: R,
}

pub(crate) fn run<S: Stages>(
    stages: &S,
    network: &mut dyn Network,
    inputs: &[Input],
    threads: NonZeroUsize,
) -> Result<Vec<Result<Output, JobError>>, BatchError> {
    let mut answers: Vec<_> = inputs.iter().map(|_| None).collect();
    let mut buckets: Vec<Vec<Placed<S::Row>>> = Vec::new();
    let mut apart = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        let prepared = refuse_explanation(input).and_then(|()| stages.preprocess(input));
        let row = match prepared {
            Ok(row) => row,
            Err(error) => {
                answers[index] = Some(Err(error));
                continue;
            }
        };
        let placed = Placed {
            index,
            layout: stages.layout(&row),
            row,
        };
        if placed.layout.items == Some(0) {
            // Nothing to compute: no items are answered by no items.
            answers[index] = Some(stages.postprocess(input, placed.row, Value::list([])));
            continue;
        }
        if let Some((parts, items)) = item_by_item(stages, input, &placed) {
            apart.push((index, parts, items, placed.layout));
            continue;
        }
        let bucket = buckets
            .iter_mut()
            .find(|bucket| bucket[0].layout.stacks_on(&placed.layout));
        match bucket {
            Some(bucket) => bucket.push(placed),
            None => buckets.push(vec![placed]),
        }
    }
    for bucket in buckets {
        let total = bucket.iter().map(|placed| placed.layout.count()).sum();
        let batch = stack(stages, network, &bucket, total)?;
        let result = network
            .forward(&[batch.into()], threads)
            .map_err(|error| stages.explain(&bucket[0].layout, error))?;
        check_rows(&result, total)?;
        let mut start = 0;
        for placed in bucket {
            let count = placed.layout.count();
            let part = match placed.layout.items {
                None => rows(&result, start),
                Some(_) => slice(&result, start, count),
            };
            start += count;
            let part = part.ok_or_else(|| mismatched(&result, total))?;
            let answer = stages.postprocess(&inputs[placed.index], placed.row, part);
            answers[placed.index] = Some(answer);
        }
    }
    // The others wait for no client.
    for (index, parts, items, layout) in apart {
        let input = &inputs[index];
        let answer = items::answer(stages, network, input, parts, &items, &layout, threads);
        answers[index] = Some(answer);
    }
    Ok(answers
        .into_iter()
        .map(|answer| answer.expect("every input was refused, answered or put into a bucket"))
        .collect())
}

/// Where the answers to a request's items go one by one, and the items, where it brings several and its client takes them so.
fn item_by_item<'i, S: Stages>(
    stages: &S,
    input: &'i Input,
    placed: &Placed<S::Row>,
) -> Option<(&'i Parts, Tensor)> {
    let parts = input.parts_to.as_ref()?;
    placed.layout.items.filter(|&items| items > 1)?;
    Some((parts, stages.as_batch(&placed.row)?))
}

/// Explanations need gradients of the network, which handlers here do not have.
pub(crate) fn refuse_explanation(input: &Input) -> Result<(), JobError> {
    match input.task {
        Task::Predict => Ok(()),
        Task::Explain => Err(JobError::unsupported(
            "explanations are not supported by native handlers",
        )),
    }
}

fn stack<S: Stages>(
    stages: &S,
    network: &dyn Network,
    bucket: &[Placed<S::Row>],
    total: usize,
) -> Result<Tensor, BatchError> {
    let layout = &bucket[0].layout;
    let mut shape = vec![total];
    shape.extend_from_slice(&layout.item);
    if let [alone] = bucket
        && let Some(row) = stages.as_batch(&alone.row)
        && let Some(batch) = in_place(network, &row, &shape)
    {
        return Ok(batch);
    }
    let rows = bucket.iter().map(|placed| {
        let write = |into: &mut [u8]| stages.write(&placed.row, into);
        (placed.layout.bytes(), write)
    });
    side_by_side(layout.dtype, shape, rows)
}

/// A tensor under the shape of its batch, where the network can be given its own memory.
pub(crate) fn in_place(network: &dyn Network, row: &Tensor, shape: &[usize]) -> Option<Tensor> {
    if network.writes_arguments() || !row.is_ready() {
        return None;
    }
    row.reshape(shape.to_vec()).ok()
}

/// One tensor of rows that are written one after the other; each says how many bytes it takes, and together they fill the
/// shape.
pub(crate) fn side_by_side<W: FnOnce(&mut [u8])>(
    dtype: DType,
    shape: Vec<usize>,
    rows: impl Iterator<Item = (usize, W)>,
) -> Result<Tensor, BatchError> {
    let mut buffer = shape
        .iter()
        .try_fold(dtype.size(), |product, side| product.checked_mul(*side))
        .and_then(Buffer::new)
        .ok_or_else(|| {
            BatchError::new(
                Reason::OutOfMemory,
                format!("a batch of shape {shape:?} does not fit into memory"),
            )
        })?;
    let mut rest = buffer.bytes_mut();
    for (bytes, write) in rows {
        let (into, after) = rest.split_at_mut(bytes);
        write(into);
        rest = after;
    }
    Tensor::from_storage(dtype, shape, Arc::new(buffer))
        .map_err(|error| BatchError::new(Reason::Failed, error.to_string()))
}

/// Zeroed memory, aligned for every element type. Rows keep that alignment, since each is a whole number of elements.
struct Buffer {
    words: Vec<u64>,
    len: usize,
}

impl Buffer {
    fn new(len: usize) -> Option<Self> {
        (len <= isize::MAX as usize - 8).then(|| Buffer {
            words: vec![0; len.div_ceil(8)],
            len,
        })
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.len]
    }
}

impl Storage for Buffer {
    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }
}

/// Every tensor of the result must have one row per item.
pub(crate) fn check_rows(result: &Value, total: usize) -> Result<(), BatchError> {
    let fits = match result {
        Value::Tensor(tensor) => tensor.shape().first() == Some(&total),
        Value::List(items) => return items.iter().try_for_each(|item| check_rows(item, total)),
        Value::Map(items) => {
            return items
                .iter()
                .try_for_each(|(_, item)| check_rows(item, total));
        }
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_) => false,
    };
    if fits {
        Ok(())
    } else {
        Err(mismatched(result, total))
    }
}

/// TorchServe's words for an answer that is not one per request.
pub(crate) fn mismatched(result: &Value, total: usize) -> BatchError {
    let found = match result {
        Value::Tensor(tensor) => format!("a tensor of shape {:?}", tensor.shape()),
        Value::List(items) => format!("a list of {}", items.len()),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_)
        | Value::Map(_) => format!("{} where a tensor was expected", result.kind()),
    };
    BatchError::new(Reason::Failed, "number of batch response mismatched").with_detail(format!(
        "the network was given {total} rows and returned {found}"
    ))
}

#[cfg(test)]
mod tests;
