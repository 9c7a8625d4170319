//! What a model or a workflow takes and gives, as far as it is known before it is asked.

use servable::{DType, Dim, Field, Port, Type};

use super::Datatype;
use super::outputs::LONE;
use super::target::Target;
use crate::app::App;
use crate::error::Failure;

/// The name of this server.
pub const SERVER_NAME: &str = "torchrelay";

/// What there is beyond the protocol itself, by Triton's names.
pub const EXTENSIONS: [&str; 6] = [
    "binary_tensor_data",
    "classification",
    "model_repository",
    "parameters",
    "sequence",
    "statistics",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelMetadata {
    pub name: String,
    /// Every version that is registered.
    pub versions: Vec<String>,
    pub platform: &'static str,
    pub inputs: Vec<TensorMetadata>,
    pub outputs: Vec<TensorMetadata>,
}

/// An input or an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorMetadata {
    pub name: String,
    pub datatype: Datatype,
    /// -1 where a side may have any length.
    pub shape: Vec<i64>,
}

/// # Errors
///
/// Where neither a model nor a workflow has that name, or not that version.
pub fn metadata(app: &App, name: &str, version: Option<&str>) -> Result<ModelMetadata, Failure> {
    let target = Target::find(app, name, version)?;
    let (versions, platform) = match &target {
        Target::Model(model) => {
            let versions = app.serving.registry.versions(&model.name)?;
            let versions = versions.iter().map(|it| it.version.clone()).collect();
            (versions, "pytorch_torchscript")
        }
        Target::Workflow(workflow) => {
            let versions = app.serving.workflow_versions(&workflow.name)?;
            let versions = versions.iter().map(|it| it.version.clone()).collect();
            (versions, "torchrelay_workflow")
        }
    };
    let ports = target.ports();
    let inputs = target.inputs();
    let inputs = inputs.iter().map(|it| match (it.of, &ports.takes[..]) {
        // The handler takes much, and makes this of it.
        (Type::Any, [port]) => tensor(it.name, &Type::Tensor(port.of.clone())),
        (of, _) => tensor(it.name, of),
    });
    let mut inputs: Vec<TensorMetadata> = inputs.collect();
    if inputs.is_empty() && matches!(target, Target::Workflow(_)) {
        // It hands on whatever comes, and something must.
        inputs.push(tensor("data", &Type::Bytes));
    }
    let seen = ports.gives.iter();
    let seen = seen.map(|port| tensor(&port.name, &Type::Tensor(port.of.clone())));
    Ok(ModelMetadata {
        name: target.name().to_owned(),
        versions,
        platform,
        inputs,
        outputs: if target.output() == Type::Any && !ports.gives.is_empty() {
            seen.collect()
        } else {
            outputs(&target.output(), &ports.gives)
        },
    })
}

fn outputs(of: &Type, seen: &[Port]) -> Vec<TensorMetadata> {
    if let Type::Record(fields) = of {
        let of_field = |field: &Field| {
            let port = seen.iter().find(|port| port.name == field.name);
            match (&field.of, port) {
                // What was seen says more than what is declared.
                (Type::Tensor(declared), Some(port)) if declared.dtype.is_none() => {
                    tensor(&field.name, &Type::Tensor(port.of.clone()))
                }
                (of, _) => tensor(&field.name, of),
            }
        };
        return fields.iter().map(of_field).collect();
    }
    vec![tensor(LONE, of)]
}

fn tensor(name: &str, of: &Type) -> TensorMetadata {
    let (datatype, shape) = described(of);
    TensorMetadata {
        name: name.to_owned(),
        datatype,
        shape,
    }
}

/// How a value of that type travels. Where its numbers are of no known type, most are single precision.
fn described(of: &Type) -> (Datatype, Vec<i64>) {
    const NUMBERS: Datatype = Datatype::Of(DType::F32);
    match of {
        Type::Any => (NUMBERS, vec![-1]),
        Type::Bool => (Datatype::Of(DType::Bool), vec![1]),
        Type::Int => (Datatype::Of(DType::I64), vec![1]),
        Type::Float => (Datatype::Of(DType::F64), vec![1]),
        Type::Boxes => (NUMBERS, vec![-1, 6]),
        Type::Tensor(tensor) => {
            let side = |side: &Dim| match side {
                Dim::Fixed(side) => i64::try_from(*side).unwrap_or(i64::MAX),
                Dim::Symbol(_) | Dim::Any => -1,
            };
            let shape = tensor.shape.as_ref();
            let shape = shape.map_or(vec![-1], |shape| shape.iter().map(side).collect());
            (tensor.dtype.map_or(NUMBERS, Datatype::Of), shape)
        }
        Type::List(of) if matches!(**of, Type::Int | Type::Float | Type::Text | Type::Bytes) => {
            let (datatype, _) = described(of);
            (datatype, vec![-1])
        }
        Type::Text | Type::Bytes | Type::Json | Type::Image | Type::List(_) | Type::Record(_) => {
            (Datatype::Bytes, vec![1])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(of: &str, expected: &[&str]) {
        let found = outputs(&of.parse().expect("a type"), &[]);
        let lines = found
            .iter()
            .map(|it| format!("{} {} {:?}", it.name, it.datatype, it.shape));
        assert_eq!(lines.collect::<Vec<_>>(), expected, "{of}");
    }

    #[test]
    fn types_are_told_as_tensors() {
        check("tensor<f32>[n, 3]", &["output FP32 [-1, 3]"]);
        check("tensor<i64>", &["output INT64 [-1]"]);
        check("any", &["output FP32 [-1]"]);
        check("json", &["output BYTES [1]"]);
        check("list<text>", &["output BYTES [-1]"]);
        check("list<{a: int}>", &["output BYTES [1]"]);
        check(
            "{boxes: boxes, mask: image, texts: list<text>, n: int, size: list<int>}",
            &[
                "boxes FP32 [-1, 6]",
                "mask BYTES [1]",
                "texts BYTES [-1]",
                "n INT64 [1]",
                "size INT64 [-1]",
            ],
        );
    }
}
