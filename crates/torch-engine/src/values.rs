//! Values of the waist to TorchScript values and back. Tensors cross without a copy on the CPU.

use std::sync::Arc;

use bytes::Bytes;
use servable::{BatchError, DType, Device, Reason, Tensor, Value};
use tch::Kind;

use crate::ffi::{self, ScriptKind, ScriptValue, TorchStorage};

/// An argument for a module on `device`. On the CPU it shares the value's memory.
pub(crate) fn to_script(value: &Value, device: Device) -> Result<ScriptValue, BatchError> {
    if let Value::List(items) = value {
        let tensors = items
            .iter()
            .map(|item| to_torch(argument(item)?, device))
            .collect::<Result<Vec<_>, _>>()?;
        return Ok(ScriptValue::tensor_list(&tensors));
    }
    Ok(ScriptValue::tensor(&to_torch(argument(value)?, device)?))
}

/// An argument in memory of its own.
pub(crate) fn copied(value: &Value) -> Value {
    match value {
        Value::Tensor(tensor) => {
            let bytes = Bytes::copy_from_slice(tensor.bytes());
            let copy = Tensor::from_rope(tensor.dtype(), tensor.shape().to_vec(), bytes.into());
            Value::Tensor(copy.unwrap_or_else(|_| tensor.clone()))
        }
        Value::List(items) => Value::list(items.iter().map(copied)),
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_)
        | Value::Map(_)) => other.clone(),
    }
}

fn argument(value: &Value) -> Result<&Tensor, BatchError> {
    let Value::Tensor(tensor) = value else {
        let found = value.kind();
        return Err(failed(format!(
            "a network takes tensors or lists of tensors, found {found}"
        )));
    };
    Ok(tensor)
}

/// A module's result, in host memory.
pub(crate) fn from_script(value: &ScriptValue) -> Result<Value, BatchError> {
    let items = || (0..value.len()).filter_map(|index| value.item(index));
    Ok(match value.kind() {
        ScriptKind::None => Value::Null,
        ScriptKind::Tensor => match value.to_tensor() {
            Some(tensor) => Value::Tensor(from_torch(&tensor)?),
            None => Value::Null,
        },
        ScriptKind::List => Value::list(
            items()
                .map(|item| from_script(&item))
                .collect::<Result<Vec<_>, _>>()?,
        ),
        ScriptKind::Dict => {
            let keys =
                (0..value.len()).map(|index| value.key(index).unwrap_or_else(|| index.to_string()));
            let values = items()
                .map(|item| from_script(&item))
                .collect::<Result<Vec<_>, _>>()?;
            Value::map(keys.zip(values))
        }
        ScriptKind::Int => Value::Int(value.to_int()),
        ScriptKind::Double => Value::Float(value.to_double()),
        ScriptKind::Bool => Value::Bool(value.to_int() != 0),
        ScriptKind::String => Value::from(value.to_text().unwrap_or_default()),
        ScriptKind::Other => {
            return Err(failed(
                "the network returned a value that is neither tensor, list, dictionary nor number",
            ));
        }
    })
}

fn to_torch(tensor: &Tensor, device: Device) -> Result<tch::Tensor, BatchError> {
    let shared = ffi::share_with_torch(tensor)
        .ok_or_else(|| failed(format!("libtorch takes no tensor like {tensor:?}")))?;
    match device {
        Device::Cpu => Ok(shared),
        Device::Cuda(index) => shared
            .f_to_device(tch::Device::Cuda(index))
            .map_err(|error| failed(crate::first_useful_line(&error.to_string()))),
    }
}

fn from_torch(tensor: &tch::Tensor) -> Result<Tensor, BatchError> {
    let kind = tensor.kind();
    let dtype = dtype_of(kind)
        .ok_or_else(|| failed(format!("the network returned a tensor of type {kind:?}")))?;
    // An optimised graph may answer in a blocked layout of its own; dense row-major is what leaves here.
    let convert = |tensor: &tch::Tensor| -> Result<tch::Tensor, tch::TchError> {
        let tensor = if tensor.is_mkldnn() {
            tensor.f_to_dense(None, false)?
        } else {
            tensor.shallow_clone()
        };
        tensor.f_to_device(tch::Device::Cpu)?.f_contiguous()
    };
    let dense =
        convert(tensor).map_err(|error| failed(crate::first_useful_line(&error.to_string())))?;
    let shape = dense
        .size()
        .iter()
        .map(|&side| usize::try_from(side).unwrap_or(0))
        .collect();
    let storage = Arc::new(TorchStorage::new(dense, dtype.size()));
    Tensor::from_storage(dtype, shape, storage).map_err(|error| failed(error.to_string()))
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "libtorch has types that nothing here can read, and may get more"
)]
fn dtype_of(kind: Kind) -> Option<DType> {
    Some(match kind {
        Kind::Bool => DType::Bool,
        Kind::Uint8 => DType::U8,
        Kind::Int8 => DType::I8,
        Kind::Int16 => DType::I16,
        Kind::Int => DType::I32,
        Kind::Int64 => DType::I64,
        Kind::Half => DType::F16,
        Kind::BFloat16 => DType::BF16,
        Kind::Float => DType::F32,
        Kind::Double => DType::F64,
        _ => return None,
    })
}

fn failed(message: impl Into<String>) -> BatchError {
    BatchError::new(Reason::Failed, message)
}

/// The largest difference between two results, absolute for values of up to 1 and relative beyond; `None` if they are
/// not of the same shape and types. Integers (class numbers, say) may differ in one element of a thousand, because a
/// tie may fall either way.
pub(crate) fn difference(expected: &Value, found: &Value) -> Option<f64> {
    let all = |expected: &mut dyn Iterator<Item = &Value>,
               found: &mut dyn Iterator<Item = &Value>| {
        expected
            .zip(found)
            .try_fold(0f64, |largest, (expected, found)| {
                Some(largest.max(difference(expected, found)?))
            })
    };
    match (expected, found) {
        (Value::Tensor(expected), Value::Tensor(found)) => tensor_difference(expected, found),
        (Value::Float(expected), Value::Float(found)) => Some(apart(*expected, *found)),
        (Value::List(expected), Value::List(found)) if expected.len() == found.len() => {
            all(&mut expected.iter(), &mut found.iter())
        }
        (Value::Map(expected), Value::Map(found)) if expected.len() == found.len() => all(
            &mut expected.iter().map(|(_, value)| value),
            &mut found.iter().map(|(_, value)| value),
        ),
        _ => (expected.to_json() == found.to_json()).then_some(0.0),
    }
}

fn tensor_difference(expected: &Tensor, found: &Tensor) -> Option<f64> {
    if expected.dtype() != found.dtype() || expected.shape() != found.shape() {
        return None;
    }
    if let (Some(expected), Some(found)) = (expected.elements::<f32>(), found.elements::<f32>()) {
        let pairs = expected.iter().zip(found);
        return Some(
            pairs
                .map(|(&a, &b)| apart(a.into(), b.into()))
                .fold(0.0, f64::max),
        );
    }
    if let (Some(expected), Some(found)) = (expected.elements::<f64>(), found.elements::<f64>()) {
        return Some(
            expected
                .iter()
                .zip(found)
                .map(|(&a, &b)| apart(a, b))
                .fold(0.0, f64::max),
        );
    }
    let size = expected.dtype().size();
    let differing = expected
        .bytes()
        .chunks(size)
        .zip(found.bytes().chunks(size))
        .filter(|(a, b)| a != b)
        .count();
    let tolerated = expected.len() / 1000;
    Some(if differing <= tolerated {
        0.0
    } else {
        f64::INFINITY
    })
}

/// Two values that are both NaN, or the same infinity, do not differ.
fn apart(expected: f64, found: f64) -> f64 {
    if expected == found || (expected.is_nan() && found.is_nan()) {
        0.0
    } else {
        let difference = (expected - found).abs() / expected.abs().max(1.0);
        if difference.is_nan() {
            f64::INFINITY
        } else {
            difference
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(elements: &[f32]) -> Value {
        Tensor::new(vec![elements.len()], elements.to_vec())
            .expect("a row")
            .into()
    }

    fn check(expected: Value, found: Value, difference_is: Option<f64>) {
        match (difference(&expected, &found), difference_is) {
            (Some(found), Some(wanted)) if (found - wanted).abs() < 1e-6 || found == wanted => {}
            (None, None) => {}
            (found, wanted) => panic!("{found:?} instead of {wanted:?}"),
        }
    }

    #[test]
    fn results_are_compared_by_value_and_shape() {
        check(tensor(&[1., 2.]), tensor(&[1., 2.]), Some(0.0));
        check(tensor(&[0.5, 100.]), tensor(&[0.6, 101.]), Some(0.1));
        check(tensor(&[f32::NAN]), tensor(&[f32::NAN]), Some(0.0));
        check(tensor(&[1.]), tensor(&[f32::NAN]), Some(f64::INFINITY));
        check(tensor(&[1.]), tensor(&[1., 2.]), None);
        check(Value::list([tensor(&[1.])]), Value::list([]), None);
        check(
            Value::map([("a", tensor(&[1.]))]),
            Value::map([("a", tensor(&[1.25]))]),
            Some(0.25),
        );
        check(Value::Int(1), Value::Int(2), None);
    }

    #[test]
    fn values_go_to_libtorch_and_back() {
        for dtype in [
            DType::U8,
            DType::I32,
            DType::F32,
            DType::F64,
            DType::BF16,
            DType::Bool,
        ] {
            let storage = Arc::new(Owned(vec![1; 6 * dtype.size()]));
            let tensor = Tensor::from_storage(dtype, vec![2, 3], storage).expect("six elements");
            let script =
                to_script(&Value::Tensor(tensor.clone()), Device::Cpu).expect("an argument");
            let Value::Tensor(back) = from_script(&script).expect("a result") else {
                panic!("a tensor")
            };
            assert_eq!(
                (back.dtype(), back.shape(), back.bytes()),
                (dtype, tensor.shape(), tensor.bytes())
            );
        }
    }

    #[test]
    fn memory_lives_as_long_as_libtorch_refers_to_it() {
        let script = {
            let tensor = Tensor::new(vec![3], vec![1f32, 2., 3.]).expect("three elements");
            to_script(&Value::Tensor(tensor), Device::Cpu).expect("an argument")
        };
        let Value::Tensor(back) = from_script(&script).expect("a result") else {
            panic!("a tensor")
        };
        drop(script);
        assert_eq!(back.elements::<f32>(), Some(&[1., 2., 3.][..]));
    }

    struct Owned(Vec<u8>);

    impl servable::Storage for Owned {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
    }
}
