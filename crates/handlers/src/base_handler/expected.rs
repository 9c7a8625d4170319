//! What a model's settings say about the tensors it takes.

use image_ops::DecodeLimits;
use servable::{DType, Dim, JobError, Tensor, TensorType};

use super::numbers::Numbers;
use tensor_ops::converted;

#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// The element type; without one, integers are int64, truth values bool, and everything else float32.
    pub(crate) dtype: Option<DType>,
    /// The shape of one request's tensor; `None` stands for a side of any length.
    pub(crate) shape: Option<Vec<Option<usize>>>,
    /// How large a picture may be whose samples are taken as the tensor.
    pub(crate) limits: DecodeLimits,
}

impl Expected {
    /// Refuses a tensor whose shape is not the one the settings name.
    pub(crate) fn check_shape(&self, part: &str, tensor: &Tensor) -> Result<(), JobError> {
        let Some(expected) = &self.shape else {
            return Ok(());
        };
        let found = tensor.shape();
        let fits = expected.len() == found.len()
            && expected
                .iter()
                .zip(found)
                .all(|(expected, found)| expected.is_none_or(|side| side == *found));
        if fits {
            return Ok(());
        }
        let expected: Vec<_> = expected
            .iter()
            .map(|side| side.map_or("any".into(), |side| side.to_string()))
            .collect();
        Err(JobError::bad_input(format!(
            "request part `{part}`: expected shape [{}], found {found:?}",
            expected.join(", ")
        )))
    }

    /// What the settings say, as a type.
    pub(crate) fn tensor_type(&self) -> TensorType {
        let side = |side: &Option<usize>| side.map_or(Dim::Any, Dim::Fixed);
        TensorType {
            dtype: self.dtype,
            shape: self
                .shape
                .as_ref()
                .map(|sides| sides.iter().map(side).collect()),
        }
    }

    /// Whether the settings name a shape with a side of any length.
    pub(crate) fn is_open(&self) -> bool {
        let open = |sides: &Vec<Option<usize>>| sides.iter().any(Option::is_none);
        self.shape.as_ref().is_some_and(open)
    }

    /// A tensor that fits, if the settings name a shape. Sides of any length are `open`.
    pub(crate) fn example(&self, open: usize) -> Option<Tensor> {
        let shape: Vec<usize> = self
            .shape
            .as_ref()?
            .iter()
            .map(|side| side.unwrap_or(open))
            .collect();
        let length = shape
            .iter()
            .try_fold(1usize, |product, &side| product.checked_mul(side));
        // A shape that nobody could send is no reason to fill the memory.
        let length = length.filter(|&length| length <= 1 << 24)?;
        let elements: Vec<f32> = (0..length)
            .map(|i| ((i * 37 + 11) % 64) as f32 / 64.0)
            .collect();
        let tensor = Tensor::new(shape, elements).ok()?;
        self.cast("example", tensor).ok()
    }

    /// The tensor in the element type that the settings name.
    pub(crate) fn cast(&self, part: &str, tensor: Tensor) -> Result<Tensor, JobError> {
        let dtype = match self.dtype {
            Some(dtype) if dtype != tensor.dtype() => dtype,
            Some(_) | None => return Ok(tensor),
        };
        let shape = tensor.shape().to_vec();
        let numbers = match tensor.dtype() {
            DType::Bool => Numbers::Bool(converted::<u8, _>(&tensor, |flag| flag)),
            DType::U8 => Numbers::Int(converted::<u8, _>(&tensor, i64::from)),
            DType::I8 => Numbers::Int(converted::<i8, _>(&tensor, i64::from)),
            DType::I16 => Numbers::Int(converted::<i16, _>(&tensor, i64::from)),
            DType::I32 => Numbers::Int(converted::<i32, _>(&tensor, i64::from)),
            DType::I64 => Numbers::Int(converted::<i64, _>(&tensor, |number| number)),
            DType::F16 => Numbers::Single(converted(&tensor, half::f16::to_f32)),
            DType::BF16 => Numbers::Single(converted(&tensor, half::bf16::to_f32)),
            DType::F32 => Numbers::Single(converted::<f32, _>(&tensor, |number| number)),
            DType::F64 => Numbers::Double(converted::<f64, _>(&tensor, |number| number)),
        };
        numbers
            .into_tensor(shape, dtype)
            .map_err(|reason| JobError::bad_input(format!("request part `{part}`: {reason}")))
    }
}
