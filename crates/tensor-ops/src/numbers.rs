//! A tensor's numbers, whatever their type and alignment.

use std::borrow::Cow;

use servable::{DType, Element, Tensor};

/// A tensor's numbers in single precision, borrowed where they already are.
pub fn numbers(tensor: &Tensor) -> Cow<'_, [f32]> {
    if let Some(numbers) = tensor.elements::<f32>() {
        return Cow::Borrowed(numbers);
    }
    Cow::Owned(match tensor.dtype() {
        DType::Bool | DType::U8 => converted::<u8, _>(tensor, f32::from),
        DType::I8 => converted::<i8, _>(tensor, f32::from),
        DType::I16 => converted::<i16, _>(tensor, f32::from),
        DType::I32 => converted::<i32, _>(tensor, |number| number as f32),
        DType::I64 => converted::<i64, _>(tensor, |number| number as f32),
        DType::F16 => converted::<half::f16, _>(tensor, half::f16::to_f32),
        DType::BF16 => converted::<half::bf16, _>(tensor, half::bf16::to_f32),
        DType::F32 => converted::<f32, _>(tensor, |number| number),
        DType::F64 => converted::<f64, _>(tensor, |number| number as f32),
    })
}

/// Reads one by one, because a row's memory need not be aligned for its elements.
pub fn converted<T: Element, U>(tensor: &Tensor, convert: impl Fn(T) -> U) -> Vec<U> {
    tensor
        .bytes()
        .chunks_exact(size_of::<T>())
        .map(|bytes| convert(bytemuck::pod_read_unaligned(bytes)))
        .collect()
}

/// A tensor's numbers in double precision.
pub fn doubles(tensor: &Tensor) -> Vec<f64> {
    match tensor.dtype() {
        DType::F64 => converted::<f64, _>(tensor, |number| number),
        DType::I64 => converted::<i64, _>(tensor, |number| number as f64),
        DType::I32 => converted::<i32, _>(tensor, f64::from),
        DType::Bool
        | DType::U8
        | DType::I8
        | DType::I16
        | DType::F16
        | DType::BF16
        | DType::F32 => numbers(tensor)
            .iter()
            .map(|&number| number.into())
            .collect(),
    }
}

/// The numbers of a tensor of integers; `None` for one of fractions.
pub fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    match tensor.dtype() {
        DType::Bool | DType::U8 => Some(converted::<u8, _>(tensor, i64::from)),
        DType::I8 => Some(converted::<i8, _>(tensor, i64::from)),
        DType::I16 => Some(converted::<i16, _>(tensor, i64::from)),
        DType::I32 => Some(converted::<i32, _>(tensor, i64::from)),
        DType::I64 => Some(converted::<i64, _>(tensor, |number| number)),
        DType::F16 | DType::BF16 | DType::F32 | DType::F64 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_type_and_alignment() {
        let halves: Vec<_> = [1.5f32, -2.].map(half::f16::from_f32).into();
        let tensor = Tensor::new(vec![2], halves).expect("two elements");
        assert_eq!(numbers(&tensor).as_ref(), [1.5, -2.]);
        let tensor = Tensor::new(vec![2], vec![3i64, -4]).expect("two elements");
        assert_eq!(numbers(&tensor).as_ref(), [3., -4.]);
    }

    #[test]
    fn integers_are_not_made_of_fractions() {
        let tensor = Tensor::new(vec![2], vec![1i32, -1]).expect("two elements");
        assert_eq!(integers(&tensor), Some(vec![1, -1]));
        assert_eq!(doubles(&tensor), [1., -1.]);
        let tensor = Tensor::new(vec![1], vec![1f32]).expect("one element");
        assert_eq!(integers(&tensor), None);
    }
}
