//! Nested lists of numbers to a flat tensor, without building the lists: what JSON and workflow values have in common.

use half::{bf16, f16};
use image_ops::DecodeLimits;
use servable::{DType, Tensor, TensorError, Value};

/// Deeper nesting than any model takes; a bound on what hostile JSON can make us remember.
const MAX_DEPTH: usize = 16;

/// Elements in the widest type that their tensor needs.
pub(crate) enum Numbers {
    Bool(Vec<u8>),
    Int(Vec<i64>),
    Single(Vec<f32>),
    Double(Vec<f64>),
}

impl Numbers {
    /// A tensor of these elements, converted to `dtype`; the error is one line.
    pub(crate) fn into_tensor(self, shape: Vec<usize>, dtype: DType) -> Result<Tensor, String> {
        match dtype {
            DType::Bool => bool_tensor(shape, self.into_ints(dtype)?),
            DType::U8 => narrowed::<u8>(shape, self.into_ints(dtype)?),
            DType::I8 => narrowed::<i8>(shape, self.into_ints(dtype)?),
            DType::I16 => narrowed::<i16>(shape, self.into_ints(dtype)?),
            DType::I32 => narrowed::<i32>(shape, self.into_ints(dtype)?),
            DType::I64 => named(Tensor::new(shape, self.into_ints(dtype)?)),
            DType::F16 => {
                let halves = self.into_singles().into_iter().map(f16::from_f32).collect();
                named(Tensor::new::<f16>(shape, halves))
            }
            DType::BF16 => {
                let halves = self
                    .into_singles()
                    .into_iter()
                    .map(bf16::from_f32)
                    .collect();
                named(Tensor::new::<bf16>(shape, halves))
            }
            DType::F32 => named(Tensor::new(shape, self.into_singles())),
            DType::F64 => named(Tensor::new(shape, self.into_doubles())),
        }
    }

    fn natural_dtype(&self) -> DType {
        match self {
            Numbers::Bool(_) => DType::Bool,
            Numbers::Int(_) => DType::I64,
            Numbers::Single(_) => DType::F32,
            Numbers::Double(_) => DType::F64,
        }
    }

    fn into_ints(self, dtype: DType) -> Result<Vec<i64>, String> {
        // Doubles hold every integer that singles do, and `as` would hide a fraction.
        let exact = |number: f64| {
            let integer = number as i64;
            if integer as f64 == number {
                Ok(integer)
            } else {
                Err(format!("expected {dtype}, found {number}"))
            }
        };
        match self {
            Numbers::Bool(flags) => Ok(flags.into_iter().map(i64::from).collect()),
            Numbers::Int(numbers) => Ok(numbers),
            Numbers::Single(numbers) => numbers.into_iter().map(|n| exact(n.into())).collect(),
            Numbers::Double(numbers) => numbers.into_iter().map(exact).collect(),
        }
    }

    fn into_singles(self) -> Vec<f32> {
        match self {
            Numbers::Bool(flags) => flags.into_iter().map(f32::from).collect(),
            Numbers::Int(numbers) => numbers.into_iter().map(|number| number as f32).collect(),
            Numbers::Single(numbers) => numbers,
            Numbers::Double(numbers) => numbers.into_iter().map(|number| number as f32).collect(),
        }
    }

    fn into_doubles(self) -> Vec<f64> {
        match self {
            Numbers::Bool(flags) => flags.into_iter().map(f64::from).collect(),
            Numbers::Int(numbers) => numbers.into_iter().map(|number| number as f64).collect(),
            Numbers::Single(numbers) => numbers.into_iter().map(f64::from).collect(),
            Numbers::Double(numbers) => numbers,
        }
    }
}

fn named(tensor: Result<Tensor, TensorError>) -> Result<Tensor, String> {
    tensor.map_err(|error| error.to_string())
}

fn narrowed<T: servable::Element + TryFrom<i64>>(
    shape: Vec<usize>,
    numbers: Vec<i64>,
) -> Result<Tensor, String> {
    let numbers = numbers
        .into_iter()
        .map(|number| {
            T::try_from(number).map_err(|_| format!("expected {}, found {number}", T::DTYPE))
        })
        .collect::<Result<Vec<_>, _>>()?;
    named(Tensor::new(shape, numbers))
}

fn bool_tensor(shape: Vec<usize>, numbers: Vec<i64>) -> Result<Tensor, String> {
    struct Flags(Vec<u8>);
    impl servable::Storage for Flags {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
    }
    let flags = numbers
        .into_iter()
        .map(|number| match number {
            0 | 1 => Ok(number as u8),
            other => Err(format!("expected bool, found {other}")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let storage = std::sync::Arc::new(Flags(flags));
    named(Tensor::from_storage(DType::Bool, shape, storage))
}

/// Takes in nested lists element by element and learns their shape on the way.
///
/// Errors are one line and say where: `data[3][1]: expected a list of 4 numbers, found 3`.
pub(crate) struct Collector {
    /// What the outermost list is called in messages.
    pub(crate) root: String,
    numbers: Option<Numbers>,
    dtype: Option<DType>,
    /// Length of the lists at each depth, once one has ended.
    lengths: Vec<Option<usize>>,
    /// The depth at which numbers stand, once one was seen.
    leaves: Option<usize>,
    /// Index of the current element of each list that is open.
    path: Vec<usize>,
}

impl Collector {
    pub(crate) fn new(root: impl Into<String>, dtype: Option<DType>) -> Self {
        Collector {
            root: root.into(),
            numbers: None,
            dtype,
            lengths: Vec::new(),
            leaves: None,
            path: Vec::new(),
        }
    }

    pub(crate) fn open_list(&mut self) -> Result<(), String> {
        let depth = self.path.len();
        if self.leaves == Some(depth) {
            return Err(self.error("expected a number, found a list"));
        }
        if depth == MAX_DEPTH {
            return Err(self.error(&format!("lists are nested more than {MAX_DEPTH} deep")));
        }
        if self.lengths.len() == depth {
            self.lengths.push(None);
        }
        self.path.push(0);
        Ok(())
    }

    /// Says which element of the innermost list comes next.
    pub(crate) fn element(&mut self, index: usize) {
        if let Some(last) = self.path.last_mut() {
            *last = index;
        }
    }

    pub(crate) fn close_list(&mut self, found: usize) -> Result<(), String> {
        self.path.pop();
        let depth = self.path.len();
        match self.lengths[depth] {
            None => self.lengths[depth] = Some(found),
            Some(expected) if expected == found => {}
            Some(expected) => {
                let what = match self.leaves {
                    Some(leaves) if leaves > depth + 1 => "lists",
                    Some(_) | None => "numbers",
                };
                return Err(self.error(&format!(
                    "expected a list of {expected} {what}, found {found}"
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn int(&mut self, number: i64) -> Result<(), String> {
        self.leaf("a number")?;
        let as_bool = self.dtype == Some(DType::Bool) && matches!(number, 0 | 1);
        match self.numbers_or(Numbers::Int) {
            Numbers::Int(numbers) => numbers.push(number),
            Numbers::Single(numbers) => numbers.push(number as f32),
            Numbers::Double(numbers) => numbers.push(number as f64),
            Numbers::Bool(flags) if as_bool => flags.push(number as u8),
            Numbers::Bool(_) => return Err(self.error("expected true or false, found a number")),
        }
        Ok(())
    }

    pub(crate) fn float(&mut self, number: f64) -> Result<(), String> {
        self.leaf("a number")?;
        if self.dtype.is_none()
            && let Some(Numbers::Int(_)) = &self.numbers
        {
            // All were integers so far; from here on they are not.
            self.numbers = self
                .numbers
                .take()
                .map(|numbers| Numbers::Single(numbers.into_singles()));
        }
        match self.numbers_or(Numbers::Single) {
            Numbers::Single(numbers) => numbers.push(number as f32),
            Numbers::Double(numbers) => numbers.push(number),
            Numbers::Int(numbers) if number as i64 as f64 == number => numbers.push(number as i64),
            Numbers::Int(_) => {
                return Err(self.error(&format!("expected an integer, found {number}")));
            }
            Numbers::Bool(_) => return Err(self.error("expected true or false, found a number")),
        }
        Ok(())
    }

    pub(crate) fn bool(&mut self, flag: bool) -> Result<(), String> {
        self.leaf("true or false")?;
        match self.numbers_or(Numbers::Bool) {
            Numbers::Bool(flags) => flags.push(flag.into()),
            Numbers::Int(_) | Numbers::Single(_) | Numbers::Double(_) => {
                return Err(self.error("expected a number, found true or false"));
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Tensor, String> {
        let shape: Vec<_> = self
            .lengths
            .into_iter()
            .map(|length| length.unwrap_or(0))
            .collect();
        let numbers = self.numbers.unwrap_or(Numbers::Single(Vec::new()));
        let dtype = self.dtype.unwrap_or(numbers.natural_dtype());
        numbers
            .into_tensor(shape, dtype)
            .map_err(|reason| format!("{}: {reason}", self.root))
    }

    /// An error at the current position.
    pub(crate) fn error(&self, reason: &str) -> String {
        let indices: String = self.path.iter().map(|index| format!("[{index}]")).collect();
        format!("{}{indices}: {reason}", self.root)
    }

    fn leaf(&mut self, what: &str) -> Result<(), String> {
        let depth = self.path.len();
        let fits = match self.leaves {
            Some(leaves) => leaves == depth,
            // No number yet: a list at this depth means that numbers belong deeper.
            None => self.lengths.len() == depth,
        };
        if !fits {
            return Err(self.error(&format!("expected a list, found {what}")));
        }
        self.leaves = Some(depth);
        Ok(())
    }

    /// The elements so far, begun as the settings' type demands, else as `natural` for the first element.
    fn numbers_or<T>(&mut self, natural: fn(Vec<T>) -> Numbers) -> &mut Numbers {
        let dtype = self.dtype;
        self.numbers.get_or_insert_with(|| match dtype {
            None => natural(Vec::new()),
            Some(DType::Bool) => Numbers::Bool(Vec::new()),
            Some(DType::U8 | DType::I8 | DType::I16 | DType::I32 | DType::I64) => {
                Numbers::Int(Vec::new())
            }
            Some(DType::F16 | DType::BF16 | DType::F32) => Numbers::Single(Vec::new()),
            Some(DType::F64) => Numbers::Double(Vec::new()),
        })
    }
}

/// The tensor that a value holds: a tensor, the samples `[height, width, 3]` of a picture, a list of equal tensors, or nested lists of numbers.
pub(crate) fn from_value(
    root: &str,
    value: &Value,
    dtype: Option<DType>,
    limits: &DecodeLimits,
) -> Result<Tensor, String> {
    if let Value::Tensor(tensor) = value {
        return Ok(tensor.clone());
    }
    if let Value::Image(image) = value {
        let samples = tensor_ops::decoded(image, limits);
        return samples.map_err(|error| format!("{root}: the picture {error}"));
    }
    if let Value::List(items) = value
        && let Some(Value::Tensor(_)) = items.first()
    {
        return stacked(root, items);
    }
    let mut collector = Collector::new(root, dtype);
    collect(&mut collector, value)?;
    collector.finish()
}

fn collect(collector: &mut Collector, value: &Value) -> Result<(), String> {
    match value {
        Value::Bool(flag) => collector.bool(*flag),
        Value::Int(number) => collector.int(*number),
        Value::Float(number) => collector.float(*number),
        Value::List(items) => {
            collector.open_list()?;
            for (index, item) in items.iter().enumerate() {
                collector.element(index);
                collect(collector, item)?;
            }
            collector.close_list(items.len())
        }
        other @ (Value::Null
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_)
        | Value::Tensor(_)
        | Value::Map(_)) => Err(collector.error(&format!(
            "expected a number or a list, found {}",
            other.kind()
        ))),
    }
}

fn stacked(root: &str, items: &[Value]) -> Result<Tensor, String> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut first: Option<&Tensor> = None;
    for (index, item) in items.iter().enumerate() {
        let Value::Tensor(tensor) = item else {
            return Err(format!(
                "{root}[{index}]: expected a tensor, found {}",
                item.kind()
            ));
        };
        let like = *first.get_or_insert(tensor);
        if tensor.dtype() != like.dtype() || tensor.shape() != like.shape() {
            return Err(format!(
                "{root}[{index}]: expected {like:?}, found {tensor:?}"
            ));
        }
        let start = bytes.len();
        bytes.resize(start + tensor.byte_len(), 0);
        tensor.copy_to(&mut bytes[start..]);
    }
    let Some(like) = first else {
        return Err(format!("{root}: expected tensors, found none"));
    };
    let mut shape = vec![items.len()];
    shape.extend_from_slice(like.shape());
    super::binary::from_bytes(like.dtype(), shape, bytes.into())
}
