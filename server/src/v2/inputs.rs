//! What came under the names of inputs, as the parts of a request: names, types and shapes are checked here, against
//! themselves and against what the model or the workflow declares.

use bytes::Bytes;
use servable::{DType, Dim, Part, Rope, Symbols, Tensor, TensorType, Type, Value};

use super::target::{Target, Wanted};
use super::{Content, Datatype, InferInput, packed};

/// The names under which a model with one payload knows it.
const PAYLOAD: [&str; 2] = ["body", "data"];

/// The parts, in the order of the inputs. With `any_name`, a lone input may be called anything; without a name it is the only
/// one that there is to give.
///
/// # Errors
///
/// Names the input, what was expected and what was found.
pub(super) fn parts(
    target: &Target,
    any_name: bool,
    inputs: Vec<InferInput>,
) -> Result<Vec<Part>, String> {
    let wanted = target.inputs();
    let who = format!("the {} `{}`", target.kind(), target.name());
    let names = names(&wanted, &who, any_name, &inputs)?;
    // Lengths by the same name are the same in all inputs.
    let mut symbols = Symbols::default();
    let parts = inputs.into_iter().zip(names).map(|(input, name)| {
        let declared = wanted.iter().find(|wanted| wanted.name == name);
        part(input, &name, declared, &mut symbols)
    });
    parts.collect()
}

/// Under which name each input goes on.
fn names(
    wanted: &[Wanted<'_>],
    who: &str,
    any_name: bool,
    inputs: &[InferInput],
) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::with_capacity(inputs.len());
    for input in inputs {
        let any_name = inputs.len() == 1 && (any_name || input.name.is_empty());
        let name = known_as(wanted, any_name, input)
            .ok_or_else(|| format!("input `{}`: {who} has {}", input.name, those(wanted)))?;
        if names.contains(&name) {
            return Err(format!("input `{}`: it is there twice", input.name));
        }
        names.push(name);
    }
    let missing = wanted
        .iter()
        .find(|wanted| wanted.is_required && names.iter().all(|name| name != wanted.name));
    match missing {
        Some(missing) if inputs.is_empty() => Err(format!(
            "inputs: expected `{}` of {who}, found none",
            missing.name
        )),
        Some(missing) => Err(format!("input `{}`: it is missing", missing.name)),
        None if inputs.is_empty() && wanted.is_empty() => {
            Err(format!("inputs: {who} needs at least one, found none"))
        }
        None => Ok(names),
    }
}

/// The name under which the input is known, or nothing where it is not.
fn known_as(wanted: &[Wanted<'_>], any_name: bool, input: &InferInput) -> Option<String> {
    let is_lone_payload = matches!(wanted, [only] if PAYLOAD.contains(&only.name));
    let mut required = wanted.iter().filter(|wanted| wanted.is_required);
    let only_required = required.next().filter(|_| required.next().is_none());
    match wanted {
        [only] if any_name || (is_lone_payload && PAYLOAD.contains(&&*input.name)) => {
            Some(only.name.to_owned())
        }
        [_, _, ..] if any_name => {
            let only = only_required.or_else(|| only_file(wanted));
            only.map(|only| only.name.to_owned())
        }
        // Who says nothing of inputs looks for a payload.
        [] if any_name => Some(PAYLOAD[0].to_owned()),
        [] => Some(input.name.clone()),
        known => known
            .iter()
            .any(|known| known.name == input.name)
            .then(|| input.name.clone()),
    }
}

/// The only input that takes a file as it is.
fn only_file<'w>(wanted: &'w [Wanted<'w>]) -> Option<&'w Wanted<'w>> {
    let takes_file = |wanted: &&Wanted<'_>| matches!(wanted.of, Type::Image | Type::Bytes);
    let mut files = wanted.iter().filter(takes_file);
    files.next().filter(|_| files.next().is_none())
}

fn those(wanted: &[Wanted<'_>]) -> String {
    let names: Vec<_> = wanted
        .iter()
        .map(|wanted| format!("`{}`", wanted.name))
        .collect();
    match &names[..] {
        [only] => format!("the input {only} and no other"),
        names => format!("the inputs {}", names.join(", ")),
    }
}

fn part(
    input: InferInput,
    name: &str,
    declared: Option<&Wanted<'_>>,
    symbols: &mut Symbols,
) -> Result<Part, String> {
    let any = Type::Any;
    let of = declared.map_or(&any, |wanted| wanted.of);
    let content_type = input
        .parameters
        .text("content_type")
        .filter(|text| text.contains('/'))
        .unwrap_or_default()
        .to_owned();
    let called = input.name.clone();
    let value = value(input, of, symbols).map_err(|why| format!("input `{called}`: {why}"))?;
    Ok(Part {
        name: name.to_owned(),
        content_type,
        value,
    })
}

fn value(input: InferInput, of: &Type, symbols: &mut Symbols) -> Result<Value, String> {
    let (shape, count) = shape(&input.shape)?;
    match input.datatype {
        Datatype::Of(dtype) => {
            let Content::Packed(bytes) = input.content else {
                return Err(format!("expected numbers of {}", input.datatype));
            };
            let tensor = numbers(dtype, shape, count, bytes)?;
            numeric(tensor, of, symbols)
        }
        Datatype::Bytes => {
            let elements = match input.content {
                Content::Packed(rope) => packed::elements(&rope, count)?,
                Content::Elements(elements) => elements,
            };
            if elements.len() != count {
                return Err(counts(&shape, count, elements.len()));
            }
            strings(elements, &shape, of)
        }
    }
}

/// The sides and their product.
fn shape(sides: &[i64]) -> Result<(Vec<usize>, usize), String> {
    let shape: Result<Vec<usize>, _> = sides.iter().map(|&side| usize::try_from(side)).collect();
    let shape = shape.map_err(|_| format!("shape {sides:?}: expected sides of at least 0"))?;
    // A side of 0 must not hide what the others are.
    let mut product = shape.iter().filter(|&&side| side > 0);
    let product = product.try_fold(1usize, |product, side| product.checked_mul(*side));
    match product.filter(|&product| product <= isize::MAX as usize / 8) {
        Some(_) if shape.contains(&0) => Ok((shape, 0)),
        Some(product) => Ok((shape, product)),
        None => Err(format!(
            "shape {sides:?} has more elements than memory can hold"
        )),
    }
}

fn counts(shape: &[usize], expected: usize, found: usize) -> String {
    format!("shape {shape:?} has {expected} elements, the data have {found}")
}

fn numbers(dtype: DType, shape: Vec<usize>, count: usize, bytes: Rope) -> Result<Tensor, String> {
    if !bytes.len().is_multiple_of(dtype.size()) {
        let (found, size) = (bytes.len(), dtype.size());
        let datatype = Datatype::Of(dtype);
        return Err(format!(
            "{found} bytes of data are no whole number of {datatype}, which have {size} each"
        ));
    }
    let found = bytes.len() / dtype.size();
    if found != count {
        return Err(counts(&shape, count, found));
    }
    packed::tensor(dtype, shape, bytes).map_err(|error| error.to_string())
}

/// A tensor as a value of the declared type: a number where one is wanted, else the tensor if it fits.
fn numeric(tensor: Tensor, of: &Type, symbols: &mut Symbols) -> Result<Value, String> {
    let scalar = match of {
        Type::Bool | Type::Int | Type::Float if tensor.len() == 1 => scalar(&tensor, of),
        Type::Bool
        | Type::Int
        | Type::Float
        | Type::Any
        | Type::Text
        | Type::Bytes
        | Type::Json
        | Type::Image
        | Type::Boxes
        | Type::Tensor(_)
        | Type::List(_)
        | Type::Record(_) => None,
    };
    if let Some(scalar) = scalar {
        return Ok(scalar);
    }
    let value = Value::Tensor(tensor);
    match (of.check(&value, symbols), &value) {
        (Ok(()), _) => Ok(value),
        (Err(_), Value::Tensor(tensor)) => Err(format!(
            "expected {}, found {}",
            told(of),
            told_tensor(tensor)
        )),
        (Err(mismatch), _) => Err(mismatch.to_string()),
    }
}

/// The one element as a boolean, an integer or a number, where it is what is wanted of these.
fn scalar(tensor: &Tensor, of: &Type) -> Option<Value> {
    use bytemuck::pod_read_unaligned as read;
    let bytes = tensor.bytes();
    let whole = match tensor.dtype() {
        DType::U8 => Some(i64::from(bytes[0])),
        DType::I8 => Some(read::<i8>(bytes).into()),
        DType::I16 => Some(read::<i16>(bytes).into()),
        DType::I32 => Some(read::<i32>(bytes).into()),
        DType::I64 => Some(read::<i64>(bytes)),
        DType::Bool | DType::F16 | DType::BF16 | DType::F32 | DType::F64 => None,
    };
    let real = match tensor.dtype() {
        DType::F16 => Some(f64::from(read::<half::f16>(bytes))),
        DType::BF16 => Some(f64::from(read::<half::bf16>(bytes))),
        DType::F32 => Some(read::<f32>(bytes).into()),
        DType::F64 => Some(read::<f64>(bytes)),
        DType::Bool | DType::U8 | DType::I8 | DType::I16 | DType::I32 | DType::I64 => None,
    };
    if *of == Type::Bool {
        return (tensor.dtype() == DType::Bool).then(|| Value::Bool(bytes[0] != 0));
    }
    let whole = whole.map(Value::Int);
    if *of == Type::Float {
        return real.map(Value::Float).or(whole);
    }
    whole
}

/// Byte strings as a value of the declared type: one is what it is, several are a list.
fn strings(elements: Vec<Bytes>, shape: &[usize], of: &Type) -> Result<Value, String> {
    let found = || format!("BYTES {shape:?}");
    let text = |bytes: &Bytes| match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Value::from(text)),
        Err(_) => Err("expected text, found bytes that are not UTF-8".to_owned()),
    };
    if matches!(of, Type::Tensor(_) | Type::Boxes) {
        return Err(format!("expected {}, found {}", told(of), found()));
    }
    if let Type::List(of) = of {
        let items: Result<Vec<_>, String> = if **of == Type::Text {
            elements.iter().map(text).collect()
        } else {
            Ok(elements.into_iter().map(Value::Bytes).collect())
        };
        return items.map(Value::list);
    }
    match &elements[..] {
        [only] if *of == Type::Text => text(only),
        [only] => Ok(Value::Bytes(only.clone())),
        several if matches!(of, Type::Any | Type::Json) => {
            Ok(Value::list(several.iter().cloned().map(Value::Bytes)))
        }
        several => Err(format!(
            "expected one element ({of}), found {} ({})",
            several.len(),
            found()
        )),
    }
}

/// A type in the protocol's words where it has some.
fn told(of: &Type) -> String {
    match of {
        Type::Tensor(TensorType { dtype, shape }) => {
            let datatype = dtype.map_or("a tensor", |dtype| Datatype::Of(dtype).name());
            match shape {
                None => datatype.to_owned(),
                Some(shape) => format!("{datatype} [{}]", sides(shape)),
            }
        }
        Type::Boxes => "FP32 [n, 6]".into(),
        Type::Image => {
            "BYTES [1] (a picture), UINT8 [height, width, 3] or FP32 [channels, height, width]"
                .into()
        }
        Type::Text | Type::Bytes | Type::Record(_) => format!("BYTES [1] ({of})"),
        Type::Int => "an integer [1]".into(),
        Type::Float => "a number [1]".into(),
        Type::Bool => "BOOL [1]".into(),
        Type::Any | Type::Json | Type::List(_) => of.to_string(),
    }
}

fn sides(shape: &[Dim]) -> String {
    let side = |side: &Dim| match side {
        Dim::Fixed(side) => side.to_string(),
        Dim::Symbol(name) => name.clone(),
        Dim::Any => "-1".into(),
    };
    shape.iter().map(side).collect::<Vec<_>>().join(", ")
}

fn told_tensor(tensor: &Tensor) -> String {
    format!("{} {:?}", Datatype::Of(tensor.dtype()), tensor.shape())
}

#[cfg(test)]
mod tests;
