//! A dense tensor in host memory: element type, shape, and shared bytes in row-major order.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use half::{bf16, f16};
use thiserror::Error;

use crate::rope::{Rope, RopeStorage};
use crate::storage::{Elements, Storage};

/// The element types that cross the waist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    Bool,
    U8,
    I8,
    I16,
    I32,
    I64,
    F16,
    BF16,
    F32,
    F64,
}

impl DType {
    /// Bytes per element.
    pub const fn size(self) -> usize {
        match self {
            DType::Bool | DType::U8 | DType::I8 => 1,
            DType::I16 | DType::F16 | DType::BF16 => 2,
            DType::I32 | DType::F32 => 4,
            DType::I64 | DType::F64 => 8,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::U8 => "uint8",
            DType::I8 => "int8",
            DType::I16 => "int16",
            DType::I32 => "int32",
            DType::I64 => "int64",
            DType::F16 => "float16",
            DType::BF16 => "bfloat16",
            DType::F32 => "float32",
            DType::F64 => "float64",
        }
    }

    /// The type of that name, as NumPy and PyTorch spell it.
    pub fn from_name(name: &str) -> Option<DType> {
        const ALL: [DType; 10] = [
            DType::Bool,
            DType::U8,
            DType::I8,
            DType::I16,
            DType::I32,
            DType::I64,
            DType::F16,
            DType::BF16,
            DType::F32,
            DType::F64,
        ];
        ALL.into_iter().find(|dtype| dtype.name() == name)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A Rust type that is the element of some [`DType`].
pub trait Element: bytemuck::Pod + Send + Sync {
    const DTYPE: DType;
}

macro_rules! element {
    ($($rust:ty => $dtype:ident),*) => {$(impl Element for $rust { const DTYPE: DType = DType::$dtype; })*};
}

element!(u8 => U8, i8 => I8, i16 => I16, i32 => I32, i64 => I64, f16 => F16, bf16 => BF16, f32 => F32, f64 => F64);

/// A dense, row-major tensor in host memory. Cloning and taking rows share the storage.
#[derive(Clone)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    storage: Arc<dyn Storage>,
    /// Offset of the first element in the storage, in bytes.
    start: usize,
}

/// Why shape, type and memory do not make a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TensorError {
    #[error("shape {shape:?} of {dtype} needs {expected} bytes, found {found}")]
    Length {
        dtype: DType,
        shape: Vec<usize>,
        expected: usize,
        found: usize,
    },
    #[error("shape {0:?} has more elements than memory can hold")]
    Overflow(Vec<usize>),
    #[error("expected bool, found a byte other than 0 and 1")]
    NotBool,
}

impl Tensor {
    /// A tensor of `shape` over `elements`, which it takes without copying.
    pub fn new<T: Element>(shape: Vec<usize>, elements: Vec<T>) -> Result<Self, TensorError> {
        Tensor::from_storage(T::DTYPE, shape, Arc::new(Elements(elements)))
    }

    /// A tensor over memory that somebody else laid out, such as an engine's own result.
    pub fn from_storage(
        dtype: DType,
        shape: Vec<usize>,
        storage: Arc<dyn Storage>,
    ) -> Result<Self, TensorError> {
        check_length(dtype, &shape, storage.len())?;
        Ok(Tensor {
            dtype,
            shape,
            storage,
            start: 0,
        })
    }

    /// A tensor over elements in little-endian order that came off a wire. They are copied only when somebody needs them
    /// in one aligned piece, or lays them into a batch.
    pub fn from_rope(dtype: DType, shape: Vec<usize>, rope: Rope) -> Result<Self, TensorError> {
        check_length(dtype, &shape, rope.len())?;
        if dtype == DType::Bool && rope.chunks().flatten().any(|&flag| flag > 1) {
            return Err(TensorError::NotBool);
        }
        let storage = RopeStorage::new(rope, dtype.size());
        Tensor::from_storage(dtype, shape, Arc::new(storage))
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes the elements take.
    pub fn byte_len(&self) -> usize {
        self.len() * self.dtype.size()
    }

    /// The elements as bytes of this machine's order, joined if they came in pieces.
    pub fn bytes(&self) -> &[u8] {
        &self.storage.bytes()[self.start..self.start + self.byte_len()]
    }

    /// Writes the elements into `out`, which is as long as they are. Nothing is joined for it.
    pub fn copy_to(&self, out: &mut [u8]) {
        self.storage.copy_to(self.start, out);
    }

    /// Writes their bytes from `first` on into `out`, which ends no later than they do. Nothing is joined for it.
    pub fn copy_part_to(&self, first: usize, out: &mut [u8]) {
        self.storage.copy_to(self.start + first, out);
    }

    /// Whether the elements lie in one piece and aligned, so that nobody need copy them.
    pub fn is_ready(&self) -> bool {
        let is_aligned = |piece: &[u8]| {
            let place = piece.as_ptr().addr() + self.start;
            place.is_multiple_of(self.dtype.size()) || self.is_empty()
        };
        self.storage.piece().is_some_and(is_aligned)
    }

    /// The same bytes without a copy, for whoever works on bytes and must not know tensors.
    pub fn shared_bytes(&self) -> Bytes {
        struct Kept(Tensor);
        impl AsRef<[u8]> for Kept {
            fn as_ref(&self) -> &[u8] {
                self.0.bytes()
            }
        }
        Bytes::from_owner(Kept(self.clone()))
    }

    /// The elements, if they are of type `T` and their memory is aligned for it.
    pub fn elements<T: Element>(&self) -> Option<&[T]> {
        if self.dtype == T::DTYPE {
            bytemuck::try_cast_slice(self.bytes()).ok()
        } else {
            None
        }
    }

    /// The `index`-th slice along the first dimension, sharing memory; `None` past the end or for a scalar.
    pub fn row(&self, index: usize) -> Option<Tensor> {
        let (&rows, shape) = self.shape.split_first()?;
        if index >= rows {
            return None;
        }
        let row = shape.iter().product::<usize>() * self.dtype.size();
        Some(Tensor {
            dtype: self.dtype,
            shape: shape.to_vec(),
            storage: Arc::clone(&self.storage),
            start: self.start + index * row,
        })
    }

    /// Slices along the first dimension, which stays, sharing memory; `None` past the end or for a scalar.
    pub fn rows(&self, range: Range<usize>) -> Option<Tensor> {
        let (&rows, inner) = self.shape.split_first()?;
        let count = range.end.checked_sub(range.start)?;
        if range.end > rows {
            return None;
        }
        let row = inner.iter().product::<usize>() * self.dtype.size();
        Some(Tensor {
            dtype: self.dtype,
            shape: [&[count], inner].concat(),
            storage: Arc::clone(&self.storage),
            start: self.start + range.start * row,
        })
    }

    /// The same elements under another shape of the same size.
    pub fn reshape(&self, shape: Vec<usize>) -> Result<Tensor, TensorError> {
        check_length(self.dtype, &shape, self.byte_len())?;
        Ok(Tensor {
            shape,
            ..self.clone()
        })
    }
}

fn check_length(dtype: DType, shape: &[usize], found: usize) -> Result<(), TensorError> {
    let expected = bytes_of(dtype, shape)?;
    if expected == found {
        return Ok(());
    }
    Err(TensorError::Length {
        dtype,
        shape: shape.to_vec(),
        expected,
        found,
    })
}

/// How many bytes the elements take. Sides beside one of 0 are counted too, so that the product of any of them fits.
fn bytes_of(dtype: DType, shape: &[usize]) -> Result<usize, TensorError> {
    let product = |least: usize| {
        let mut sides = shape.iter().map(|side| (*side).max(least));
        sides.try_fold(dtype.size(), usize::checked_mul)
    };
    match (product(1), product(0)) {
        (Some(_), Some(bytes)) => Ok(bytes),
        _ => Err(TensorError::Overflow(shape.to_vec())),
    }
}

/// Type and shape only: a tensor in a log line must not bring its megabytes along.
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.dtype, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_share_the_storage() {
        let tensor = Tensor::new(vec![2, 3], vec![1f32, 2., 3., 4., 5., 6.]).expect("six elements");
        let row = tensor.row(1).expect("second row");
        assert_eq!(row.shape(), [3]);
        assert_eq!(row.elements::<f32>(), Some(&[4., 5., 6.][..]));
        assert_eq!(row.elements::<i32>(), None);
        assert!(tensor.row(2).is_none());
        assert_eq!(row.bytes().as_ptr(), tensor.bytes()[12..].as_ptr());
    }

    #[test]
    fn bytes_are_shared_and_outlive_the_tensor() {
        let tensor = Tensor::new(vec![2, 2], vec![1u8, 2, 3, 4]).expect("four elements");
        let place = tensor.bytes()[2..].as_ptr();
        let bytes = tensor.row(1).expect("second row").shared_bytes();
        drop(tensor);
        assert_eq!((&bytes[..], bytes.as_ptr()), (&[3, 4][..], place));
        let back = Tensor::from_storage(DType::U8, vec![2], Arc::new(bytes)).expect("two elements");
        assert_eq!(back.bytes().as_ptr(), place);
    }

    #[test]
    fn a_shape_must_fit_its_elements() {
        let error = Tensor::new(vec![2, 2], vec![1f32]).expect_err("one element for four");
        assert_eq!(
            error.to_string(),
            "shape [2, 2] of float32 needs 16 bytes, found 4"
        );
        let error = Tensor::new::<u8>(vec![usize::MAX, 2], vec![]).expect_err("too many");
        assert!(matches!(error, TensorError::Overflow(_)));
        let error = Tensor::new::<u8>(vec![0, usize::MAX, 2], vec![]).expect_err("too long a side");
        assert!(matches!(error, TensorError::Overflow(_)));
        assert!(Tensor::new::<u8>(vec![0, 1 << 40], vec![]).is_ok());
    }

    #[test]
    fn reshape_keeps_the_row_offset() {
        let tensor = Tensor::new(vec![2, 4], (0u8..8).collect()).expect("eight elements");
        let square = tensor
            .row(1)
            .expect("row")
            .reshape(vec![2, 2])
            .expect("four elements");
        assert_eq!(square.bytes(), [4, 5, 6, 7]);
        assert_eq!(square.row(1).expect("row").bytes(), [6, 7]);
        assert!(tensor.reshape(vec![3]).is_err());
    }

    #[test]
    fn debug_is_short() {
        let tensor = Tensor::new(vec![1, 2], vec![1i64, 2]).expect("two elements");
        assert_eq!(format!("{tensor:?}"), "int64[1, 2]");
    }
}
