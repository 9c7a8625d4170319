//! Tensors as bytes: raw little-endian elements, and NumPy's `.npy` files (versions 1 to 3).
//!
//! The `.npy` layout is NumPy's NEP 1: the magic bytes, a version, the length of a header, the header (a Python dict
//! of `descr`, `fortran_order` and `shape`), and the elements.

use bytes::Bytes;
use servable::{DType, Input, JobError, Output, Tensor, Value};

use super::expected::Expected;

pub(crate) const NPY_TYPE: &str = "application/x-npy";
pub(crate) const RAW_TYPE: &str = "application/octet-stream";
pub(crate) const NPY_MAGIC: &[u8] = b"\x93NUMPY";

/// Sides of a raw tensor, joined by commas: `1,3,224,224`.
pub(crate) const SHAPE_HEADER: &str = "x-tensor-shape";
/// Element type of a raw tensor: `float32`.
pub(crate) const DTYPE_HEADER: &str = "x-tensor-dtype";

// Bytes are taken over as they are; so far this runs on little-endian machines only.
const _: () = assert!(cfg!(target_endian = "little"));

/// The answer in the binary form that the client asks for, if it asks for one.
pub(crate) fn answer(input: &Input, result: &Value) -> Result<Option<Output>, JobError> {
    let wanted = input.header("accept").and_then(|accept| {
        accept
            .split(',')
            .filter_map(|range| range.split(';').next())
            .map(str::trim)
            .find_map(|range| {
                [NPY_TYPE, RAW_TYPE]
                    .into_iter()
                    .find(|known| range == *known)
            })
    });
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let tensor = match result {
        Value::Tensor(tensor) => tensor.clone(),
        // No rows, for which the network was not asked.
        Value::List(items) if items.is_empty() => Tensor::new::<f32>(vec![0], Vec::new())
            .map_err(|error| JobError::failed(error.to_string()))?,
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_)
        | Value::List(_)
        | Value::Map(_) => {
            return Err(JobError::bad_input(format!(
                "header `Accept`: this model answers with several tensors ({}), which {wanted} cannot hold",
                result.kind()
            )));
        }
    };
    if wanted == NPY_TYPE {
        return Ok(Some(
            Output::new(write_npy(&tensor)).with_content_type(NPY_TYPE),
        ));
    }
    let mut output =
        Output::new(Bytes::copy_from_slice(tensor.bytes())).with_content_type(RAW_TYPE);
    let sides: Vec<_> = tensor.shape().iter().map(ToString::to_string).collect();
    output.headers = vec![
        (SHAPE_HEADER.into(), sides.join(",")),
        (DTYPE_HEADER.into(), tensor.dtype().name().into()),
    ];
    Ok(Some(output))
}

/// Raw elements, if the request's headers or the settings say of what shape and type they are.
pub(crate) fn read_raw(
    input: &Input,
    bytes: &Bytes,
    expected: &Expected,
) -> Option<Result<Tensor, String>> {
    let shape = match input.header(SHAPE_HEADER) {
        Some(text) => parse_shape(text),
        None => Ok(expected.shape.clone()?),
    };
    let dtype = match input.header(DTYPE_HEADER) {
        Some(name) => DType::from_name(name.trim())
            .ok_or_else(|| format!("header `{DTYPE_HEADER}`: unknown type `{name}`")),
        None => Ok(expected.dtype?),
    };
    let tensor = shape.and_then(|shape| {
        let dtype = dtype?;
        let shape = fill(&shape, bytes.len(), dtype)?;
        from_bytes(dtype, shape, bytes.clone())
    });
    Some(tensor)
}

fn parse_shape(text: &str) -> Result<Vec<Option<usize>>, String> {
    let inner = text.trim().trim_matches(['[', ']', '(', ')']);
    inner
        .split(',')
        .map(str::trim)
        .filter(|side| !side.is_empty())
        .map(|side| match side {
            "-1" => Ok(None),
            side => side.parse().map(Some).map_err(|_| {
                format!("header `{SHAPE_HEADER}`: expected sizes joined by commas, found `{text}`")
            }),
        })
        .collect()
}

/// The shape with its one free side computed from the number of bytes.
fn fill(shape: &[Option<usize>], bytes: usize, dtype: DType) -> Result<Vec<usize>, String> {
    let free = shape.iter().filter(|side| side.is_none()).count();
    let known = shape
        .iter()
        .flatten()
        .try_fold(dtype.size(), |product, side| product.checked_mul(*side))
        .unwrap_or(usize::MAX);
    let side = match free {
        0 => 0,
        1 if known > 0 && bytes.is_multiple_of(known) => bytes / known,
        1 => {
            return Err(format!(
                "{bytes} bytes of {dtype} do not fill rows of {known} bytes"
            ));
        }
        _ => {
            return Err(format!(
                "the settings leave {free} sides free: send the header {SHAPE_HEADER}"
            ));
        }
    };
    Ok(shape.iter().map(|known| known.unwrap_or(side)).collect())
}

/// The header of an `.npy` file, where the bytes are one.
pub(crate) fn npy_header(bytes: &[u8]) -> Option<&str> {
    split_npy(bytes).ok().map(|(header, _)| header)
}

pub(crate) fn read_npy(bytes: &Bytes) -> Result<Tensor, String> {
    let (header, elements) = split_npy(bytes)?;
    let (dtype, shape) = parse_header(header)?;
    from_bytes(dtype, shape, bytes.slice_ref(elements)).map_err(|reason| format!(".npy: {reason}"))
}

fn split_npy(bytes: &[u8]) -> Result<(&str, &[u8]), String> {
    let rest = bytes
        .strip_prefix(NPY_MAGIC)
        .ok_or("not an .npy file: the magic bytes are missing")?;
    let cut_short = || ".npy: the header is cut short".to_owned();
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(cut_short)?;
    let (length, rest) = match version[0] {
        1 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(cut_short)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(cut_short)?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        other => return Err(format!(".npy: unknown version {other}")),
    };
    let (header, elements) = rest.split_at_checked(length).ok_or_else(cut_short)?;
    let header = std::str::from_utf8(header).map_err(|_| ".npy: the header is not text")?;
    Ok((header, elements))
}

fn parse_header(header: &str) -> Result<(DType, Vec<usize>), String> {
    let value = |key: &str| {
        header
            .split_once(&format!("'{key}':"))
            .map(|(_, rest)| rest.trim_start())
            .ok_or_else(|| format!(".npy: the header has no `{key}`"))
    };
    let descr = value("descr")?
        .strip_prefix('\'')
        .and_then(|rest| rest.split_once('\''))
        .map(|(descr, _)| descr)
        .ok_or(".npy: structured types are not supported")?;
    let dtype = TYPES
        .iter()
        .find(|(name, _)| *name == descr)
        .map(|(_, dtype)| *dtype)
        .ok_or_else(|| format!(".npy: unsupported type `{descr}`"))?;
    let shape = value("shape")?
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'))
        .map(|(sides, _)| sides)
        .ok_or(".npy: the header's `shape` is not a tuple")?
        .split(',')
        .map(str::trim)
        .filter(|side| !side.is_empty())
        .map(str::parse)
        .collect::<Result<Vec<usize>, _>>()
        .map_err(|_| ".npy: the header's `shape` is not a tuple of sizes")?;
    let fortran = value("fortran_order")?.starts_with("True");
    if fortran && shape.iter().filter(|side| **side != 1).count() > 1 {
        return Err(
            ".npy: arrays in Fortran order are not supported, save np.ascontiguousarray(a)".into(),
        );
    }
    Ok((dtype, shape))
}

const TYPES: [(&str, DType); 9] = [
    ("|b1", DType::Bool),
    ("|u1", DType::U8),
    ("|i1", DType::I8),
    ("<i2", DType::I16),
    ("<i4", DType::I32),
    ("<i8", DType::I64),
    ("<f2", DType::F16),
    ("<f4", DType::F32),
    ("<f8", DType::F64),
];

/// A version 1 file; NumPy has no bfloat16, which is widened to float32.
pub(crate) fn write_npy(tensor: &Tensor) -> Bytes {
    let widened: Vec<u8>;
    let (dtype, elements) = if tensor.dtype() == DType::BF16 {
        widened = bytemuck::cast_slice(&tensor_ops::numbers(tensor)).to_vec();
        (DType::F32, widened.as_slice())
    } else {
        (tensor.dtype(), tensor.bytes())
    };
    let descr = TYPES
        .iter()
        .find(|(_, known)| *known == dtype)
        .map(|(name, _)| *name)
        .expect("every type but bfloat16 is in the table");
    let sides: String = tensor
        .shape()
        .iter()
        .map(|side| format!("{side}, "))
        .collect();
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sides}), }}");
    // Elements begin at a multiple of 64 bytes; the header ends in a line break.
    let start = (NPY_MAGIC.len() + 4 + header.len() + 1).next_multiple_of(64);
    let length = start - NPY_MAGIC.len() - 4;
    header.extend(std::iter::repeat_n(' ', length - 1 - header.len()));
    header.push('\n');

    let mut out = Vec::with_capacity(start + elements.len());
    out.extend_from_slice(NPY_MAGIC);
    out.extend_from_slice(&[1, 0]);
    out.extend_from_slice(&(length as u16).to_le_bytes());
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(elements);
    out.into()
}

/// A tensor over `bytes`, which are copied only if they are not aligned for its elements; the error is one line.
pub(crate) fn from_bytes(dtype: DType, shape: Vec<usize>, bytes: Bytes) -> Result<Tensor, String> {
    Tensor::from_rope(dtype, shape, bytes.into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
