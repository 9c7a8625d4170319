//! Tensor in, tensor out: the handler of a model that names no other.
//!
//! A request is one row of the batch, or with `batched: true` a batch of its own. What tensors look like in a request is
//! `payload.rs`'s business; an answer is JSON unless the client's `Accept` header asks for one of the binary forms.

mod binary;
mod expected;
mod numbers;
mod payload;

use std::num::NonZeroUsize;

use servable::{
    BatchError, DType, Field, Input, JobError, LoadError, Output, Port, Ports, Signature, Tensor,
    Type, Value,
};

use crate::batch::{self, Layout, Stages};
use crate::parameters::Parameters;
use crate::signature::of_payload;
use crate::{Bucketing, Handler, ModelContext, Network};

pub(crate) use binary::{DTYPE_HEADER, SHAPE_HEADER, npy_header};
pub(crate) use expected::Expected;
pub(crate) use numbers::from_value;
pub(crate) use payload::{absent, json_tensor, part, tensor_in};

pub(crate) struct BaseHandler {
    expected: Expected,
    /// Whether a request's first dimension is a batch of its own.
    batched: bool,
    /// How many rows of a batched request go through the network at a time, where its client takes them one by one.
    rows_at_a_time: NonZeroUsize,
    /// The key under which the answer stands, if it is to be an object.
    answer_key: Option<String>,
}

impl BaseHandler {
    pub(crate) fn load(context: &ModelContext<'_>) -> Result<Self, LoadError> {
        let parameters = Parameters::read(context)?;
        let dtype = parameters
            .text("dtype")?
            .map(|name| {
                DType::from_name(name)
                    .ok_or_else(|| parameters.refuse("dtype", format!("unknown type `{name}`")))
            })
            .transpose()?;
        let handler = BaseHandler {
            expected: Expected {
                dtype,
                shape: parameters.shape("shape")?,
                limits: context.decode_limits(),
            },
            batched: parameters.flag("batched")?.unwrap_or(false),
            rows_at_a_time: parameters
                .count("stream_rows")?
                .and_then(NonZeroUsize::new)
                .unwrap_or(STREAM_ROWS),
            answer_key: parameters.text("answer_key")?.map(Into::into),
        };
        parameters.finish()?;
        Ok(handler)
    }
}

impl Handler for BaseHandler {
    fn predict(
        &mut self,
        network: &mut dyn Network,
        inputs: &[Input],
        threads: NonZeroUsize,
    ) -> Result<Vec<Result<Output, JobError>>, BatchError> {
        batch::run(self, network, inputs, threads)
    }

    fn bucketing(&self) -> Bucketing {
        Bucketing::ByTensor {
            batched: self.batched,
        }
    }

    /// Requests come in many forms, and settings speak of what they become; what the network gives, nobody says.
    fn signature(&self) -> Signature {
        let output = match &self.answer_key {
            None => Type::Any,
            Some(key) => Type::Record(vec![Field {
                name: key.clone(),
                of: Type::Any,
            }]),
        };
        let ports = Ports {
            takes: vec![Port::new(Ports::INPUT, self.expected.tensor_type())],
            gives: Vec::new(),
        };
        Signature {
            ports,
            ..of_payload(Type::Any, output)
        }
    }

    fn example(&self) -> Option<Input> {
        self.expected
            .example(1)
            .map(|tensor| Input::body("", tensor))
    }

    fn other_example(&self) -> Option<Input> {
        let other = self.expected.is_open().then(|| self.expected.example(2));
        other.flatten().map(|tensor| Input::body("", tensor))
    }
}

impl Stages for BaseHandler {
    type Row = Tensor;

    fn preprocess(&self, input: &Input) -> Result<Tensor, JobError> {
        let (tensor, part) = payload::tensor(input, &self.expected)?;
        let nothing = self.batched && tensor.shape() == [0];
        if !nothing {
            self.expected.check_shape(part, &tensor)?;
        }
        if self.batched && tensor.shape().is_empty() {
            return Err(JobError::bad_input(format!(
                "request part `{part}`: expected a list of rows, found a single number"
            )));
        }
        if !self.batched && tensor.is_empty() {
            return Err(JobError::bad_input(format!(
                "request part `{part}`: expected numbers, found none (shape {:?})",
                tensor.shape()
            )));
        }
        Ok(tensor)
    }

    fn layout(&self, row: &Tensor) -> Layout {
        let (items, item) = match (self.batched, row.shape().split_first()) {
            (true, Some((&items, item))) => (Some(items), item),
            (true, None) | (false, _) => (None, row.shape()),
        };
        Layout {
            dtype: row.dtype(),
            item: item.to_vec(),
            items,
        }
    }

    fn as_batch(&self, row: &Tensor) -> Option<Tensor> {
        Some(row.clone())
    }

    fn write(&self, row: &Tensor, into: &mut [u8]) {
        row.copy_to(into);
    }

    fn postprocess(&self, input: &Input, _row: Tensor, result: Value) -> Result<Output, JobError> {
        self.postprocess_item(input, result)
    }

    fn items_at_a_time(&self) -> NonZeroUsize {
        self.rows_at_a_time
    }

    fn postprocess_item(&self, input: &Input, result: Value) -> Result<Output, JobError> {
        if let Some(output) = binary::answer(input, &result)? {
            return Ok(output);
        }
        Ok(Output::new(match &self.answer_key {
            Some(key) => Value::map([(key.as_str(), result)]),
            None => result,
        }))
    }

    /// Without a declared type, `[1, 2]` reaches the network as integers, which few networks take.
    fn explain(&self, layout: &Layout, mut error: BatchError) -> BatchError {
        // libtorch's names for int64, and the word it uses for element types.
        let is_about_types = ["Long", "long int", "dtype"]
            .iter()
            .any(|word| error.message.contains(word));
        if self.expected.dtype.is_none() && layout.dtype == DType::I64 && is_about_types {
            error.message.push_str(INTEGERS);
        }
        error
    }
}

/// Enough to keep the cores busy, and few enough that the first of many come soon.
const STREAM_ROWS: NonZeroUsize = NonZeroUsize::new(16).expect("it is not zero");

const INTEGERS: &str =
    " (integers were sent; send 1.0 rather than 1, or set `dtype: float32` in the handler section)";

#[cfg(test)]
mod tests;
