//! One round of the network: what the runs of a batch ask of it, computed together where shapes allow.

use std::num::NonZeroUsize;

use bytes::Bytes;
use dag::{Call, CallId, Node};
use image_ops::DecodeLimits;
use servable::{BatchError, DType, Dim, JobError, Tensor, TensorType, Type, Value};

use crate::Network;
use crate::base_handler::from_value;
use crate::batch::{check_rows, in_place, mismatched, side_by_side};
use crate::tensors::{rows, slice};

use super::terms::Terms;

/// What a node wants of the network.
pub(super) enum Wish {
    /// There is nothing to compute, and this is what comes of it.
    Nothing(Value),
    Rows(Vec<Tensor>),
}

/// A call that waits for the network.
pub(super) struct Asked {
    /// Which of the batch's runs.
    pub(super) run: usize,
    pub(super) call: CallId,
    /// At least one; `batched` ones have a first dimension of one length.
    pub(super) arguments: Vec<Tensor>,
    /// What its request asks of the pass.
    pub(super) terms: Terms,
}

/// What the inputs of a node are to the network.
pub(super) fn wish(
    call: &Call,
    node: &Node,
    batched: bool,
    limits: &DecodeLimits,
) -> Result<Wish, JobError> {
    let mut arguments = Vec::with_capacity(call.inputs.len());
    for (name, value) in &call.inputs {
        let tensor = from_value(name, value, None, limits);
        arguments.push(tensor.map_err(|why| JobError::bad_input(format!("input {why}")))?);
    }
    let Some(first) = arguments.first() else {
        return Err(JobError::failed("the network is given nothing"));
    };
    if batched {
        let count = first.shape().first().copied();
        if count.is_none()
            || arguments
                .iter()
                .any(|one| one.shape().first().copied() != count)
        {
            let shapes: Vec<_> = arguments.iter().map(|one| format!("{one:?}")).collect();
            return Err(JobError::bad_input(format!(
                "expected tensors of as many rows each, found {}",
                shapes.join(", ")
            )));
        }
        if count == Some(0) {
            return Ok(Wish::Nothing(empty(&node.output)));
        }
    }
    Ok(Wish::Rows(arguments))
}

/// No rows of what the network gives, as far as the graph says what that is.
fn empty(of: &Type) -> Value {
    match of {
        Type::Tensor(TensorType {
            dtype,
            shape: Some(shape),
        }) => {
            let inner = shape.iter().skip(1).map(|side| match side {
                Dim::Fixed(side) => *side,
                Dim::Symbol(_) | Dim::Any => 0,
            });
            let shape = std::iter::once(0).chain(inner).collect();
            let dtype = dtype.unwrap_or(DType::F32);
            let tensor = Tensor::from_storage(dtype, shape, std::sync::Arc::new(Bytes::new()));
            tensor.map_or_else(|_| Value::list([]), Value::Tensor)
        }
        Type::Record(fields) => {
            let fields = fields
                .iter()
                .map(|field| (field.name.as_str(), empty(&field.of)));
            Value::map(fields)
        }
        Type::Any
        | Type::Bool
        | Type::Int
        | Type::Float
        | Type::Text
        | Type::Bytes
        | Type::Json
        | Type::Image
        | Type::Boxes
        | Type::Tensor(_)
        | Type::List(_) => Value::list([]),
    }
}

/// What came of a call, and whose it was.
pub(super) type Answered = (usize, CallId, Result<Value, JobError>);

/// Runs the network, once for each kind of shape, and gives everybody his part.
pub(super) fn forward(
    network: &mut dyn Network,
    asked: Vec<Asked>,
    batched: bool,
    threads: NonZeroUsize,
) -> Result<Vec<Answered>, BatchError> {
    let mut buckets: Vec<Vec<Asked>> = Vec::new();
    for one in asked {
        match buckets
            .iter_mut()
            .find(|bucket| go_together(&bucket[0], &one, batched) && has_room(bucket, &one))
        {
            Some(bucket) => bucket.push(one),
            None => buckets.push(vec![one]),
        }
    }
    let mut answered = Vec::new();
    for bucket in buckets {
        let total = bucket.iter().map(|asked| asked.rows(batched)).sum();
        let arguments = (0..bucket[0].arguments.len())
            .map(|place| joined(network, &bucket, place, total, batched).map(Value::Tensor))
            .collect::<Result<Vec<_>, _>>()?;
        let most = bucket.iter().filter_map(|asked| asked.terms.threads).min();
        let threads = most.map_or(threads, |most| most.min(threads));
        let result = network.forward(&arguments, threads)?;
        check_rows(&result, total)?;
        let mut start = 0;
        for asked in bucket {
            let count = asked.rows(batched);
            let part = if batched {
                slice(&result, start, count)
            } else {
                rows(&result, start)
            };
            start += count;
            let part = part.ok_or_else(|| mismatched(&result, total))?;
            answered.push((asked.run, asked.call, Ok(part)));
        }
    }
    Ok(answered)
}

impl Asked {
    fn rows(&self, batched: bool) -> usize {
        if batched {
            self.arguments[0].shape()[0]
        } else {
            1
        }
    }
}

/// The shape of one row.
fn item(argument: &Tensor, batched: bool) -> &[usize] {
    &argument.shape()[usize::from(batched)..]
}

fn go_together(one: &Asked, other: &Asked, batched: bool) -> bool {
    one.arguments.len() == other.arguments.len()
        && one
            .arguments
            .iter()
            .zip(&other.arguments)
            .all(|(one, other)| {
                one.dtype() == other.dtype() && item(one, batched) == item(other, batched)
            })
}

/// Whether one more may go with them, by what each says of its company.
fn has_room(bucket: &[Asked], other: &Asked) -> bool {
    let sizes = bucket.iter().chain([other]);
    let most = sizes.filter_map(|asked| asked.terms.batch_size).min();
    most.is_none_or(|most| bucket.len() < most.get())
}

/// The argument at one place of all calls in a bucket.
fn joined(
    network: &dyn Network,
    bucket: &[Asked],
    place: usize,
    total: usize,
    batched: bool,
) -> Result<Tensor, BatchError> {
    let first = &bucket[0].arguments[place];
    let shape = [&[total], item(first, batched)].concat();
    if bucket.len() == 1
        && let Some(batch) = in_place(network, first, &shape)
    {
        return Ok(batch);
    }
    let rows = bucket.iter().map(|asked| {
        let argument = &asked.arguments[place];
        (argument.byte_len(), |into: &mut [u8]| {
            argument.copy_to(into)
        })
    });
    side_by_side(first.dtype(), shape, rows)
}
