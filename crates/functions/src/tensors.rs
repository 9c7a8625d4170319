//! Functions that join tensors and take them apart.

mod concat;
mod split;
mod stack;

use servable::{DType, Tensor};
use std::sync::Arc;

use dag::FunctionError;
use servable::Value;

use crate::given::failed;
use crate::native::Native;

pub(crate) static ALL: &[&Native] = &[&concat::FUNCTION, &stack::FUNCTION, &split::FUNCTION];

/// A tensor over bytes that were laid out for exactly this shape.
fn of_bytes(dtype: DType, shape: Vec<usize>, bytes: bytes::Bytes) -> Result<Value, FunctionError> {
    Tensor::from_storage(dtype, shape, Arc::new(bytes))
        .map(Value::Tensor)
        .map_err(failed)
}
