//! Messages of the protocol into its words, and back.

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use half::{bf16, f16};
use proto::inference as pb;
use proto::inference::infer_parameter::ParameterChoice;
use proto::inference::model_repository_parameter::ParameterChoice as RepositoryChoice;
use servable::{DType, Rope};
use tonic::Status;

use crate::error::Failure;
use crate::v2::{
    BatchStatistics, Content, Datatype, EXTENSIONS, IndexEntry, InferInput, InferOutput,
    InferRequest, InferResponse, ModelMetadata, ModelStatistics, Parameter, Parameters,
    SERVER_NAME, Spent, TensorMetadata, WantedOutput, elements, pack_elements,
};

/// The request of a message, the bytes of whose tensors may have been taken out of it.
///
/// # Errors
///
/// What is wrong with an input's type or place; its shape and its length are looked at later.
pub(super) fn request(
    message: pb::ModelInferRequest,
    raw: Vec<Rope>,
) -> Result<InferRequest, String> {
    let count = message.inputs.len();
    if !raw.is_empty() && raw.len() != count {
        let found = raw.len();
        return Err(format!(
            "raw_input_contents: expected one for each of {count} inputs, found {found}"
        ));
    }
    let mut raw = raw.into_iter();
    let inputs = message.inputs.into_iter().map(|input| {
        let name = input.name.clone();
        self::input(input, raw.next()).map_err(|why| format!("input `{name}`: {why}"))
    });
    let outputs = message.outputs.into_iter().map(|output| WantedOutput {
        name: output.name,
        parameters: parameters(output.parameters),
    });
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(InferRequest {
        inputs: inputs.collect::<Result<_, _>>()?,
        outputs: outputs.collect(),
        model: message.model_name,
        version: given(message.model_version),
        id: given(message.id),
        parameters: parameters(message.parameters),
        ..InferRequest::default()
    })
}

fn input(
    input: pb::model_infer_request::InferInputTensor,
    raw: Option<Rope>,
) -> Result<InferInput, String> {
    let datatype = Datatype::parse(&input.datatype)?;
    let content = match (raw, input.contents) {
        (Some(_), Some(_)) => {
            return Err("expected contents or raw_input_contents, found both".into());
        }
        (Some(raw), None) => Content::Packed(raw),
        (None, contents) => content(datatype, contents.unwrap_or_default())?,
    };
    Ok(InferInput {
        name: input.name,
        datatype,
        shape: input.shape,
        parameters: parameters(input.parameters),
        content,
    })
}

/// Elements that came as numbers of the message, rather than as bytes.
fn content(datatype: Datatype, contents: pb::InferTensorContents) -> Result<Content, String> {
    let pb::InferTensorContents {
        bool_contents: bools,
        int_contents: ints,
        int64_contents: longs,
        uint_contents: uints,
        uint64_contents: ulongs,
        fp32_contents: floats,
        fp64_contents: doubles,
        bytes_contents: texts,
    } = contents;
    let filled = [
        ("bool_contents", bools.len()),
        ("int_contents", ints.len()),
        ("int64_contents", longs.len()),
        ("uint_contents", uints.len()),
        ("uint64_contents", ulongs.len()),
        ("fp32_contents", floats.len()),
        ("fp64_contents", doubles.len()),
        ("bytes_contents", texts.len()),
    ];
    let place = match datatype {
        Datatype::Bytes => "bytes_contents",
        Datatype::Of(DType::Bool) => "bool_contents",
        Datatype::Of(DType::I8 | DType::I16 | DType::I32) => "int_contents",
        Datatype::Of(DType::I64) => "int64_contents",
        Datatype::Of(DType::U8) => "uint_contents",
        Datatype::Of(DType::F16 | DType::BF16 | DType::F32) => "fp32_contents",
        Datatype::Of(DType::F64) => "fp64_contents",
    };
    if let Some((other, _)) = filled.iter().find(|(name, len)| *len > 0 && *name != place) {
        return Err(format!(
            "expected {datatype} in contents.{place}, found contents.{other}"
        ));
    }
    let Datatype::Of(dtype) = datatype else {
        return Ok(Content::Elements(texts));
    };
    let too_wide = |number: &dyn std::fmt::Display| format!("{number} is no {datatype}");
    let packed = match dtype {
        DType::Bool => bools.into_iter().map(u8::from).collect(),
        DType::U8 => narrowed(&uints, too_wide)?,
        DType::I8 => {
            let numbers: Vec<i8> = narrowed(&ints, too_wide)?;
            bytemuck::cast_slice(&numbers).to_vec()
        }
        DType::I16 => {
            let numbers: Vec<i16> = narrowed(&ints, too_wide)?;
            bytemuck::cast_slice(&numbers).to_vec()
        }
        DType::I32 => bytemuck::cast_slice(&ints).to_vec(),
        DType::I64 => bytemuck::cast_slice(&longs).to_vec(),
        DType::F16 => {
            let numbers: Vec<f16> = floats.into_iter().map(f16::from_f32).collect();
            bytemuck::cast_slice(&numbers).to_vec()
        }
        DType::BF16 => {
            let numbers: Vec<bf16> = floats.into_iter().map(bf16::from_f32).collect();
            bytemuck::cast_slice(&numbers).to_vec()
        }
        DType::F32 => bytemuck::cast_slice(&floats).to_vec(),
        DType::F64 => bytemuck::cast_slice(&doubles).to_vec(),
    };
    Ok(Content::Packed(Rope::from(Bytes::from(packed))))
}

/// The same numbers in a narrower type.
fn narrowed<Wide, Narrow>(
    numbers: &[Wide],
    too_wide: impl Fn(&dyn std::fmt::Display) -> String,
) -> Result<Vec<Narrow>, String>
where
    Wide: Copy + std::fmt::Display,
    Narrow: TryFrom<Wide>,
{
    let numbers = numbers.iter();
    numbers
        .map(|&number| Narrow::try_from(number).map_err(|_| too_wide(&number)))
        .collect()
}

fn parameters(parameters: HashMap<String, pb::InferParameter>) -> Parameters {
    let value = |value: pb::InferParameter| {
        Some(match value.parameter_choice? {
            ParameterChoice::BoolParam(flag) => Parameter::Bool(flag),
            ParameterChoice::Int64Param(number) => Parameter::Int(number),
            ParameterChoice::StringParam(text) => Parameter::Text(text),
            ParameterChoice::DoubleParam(number) => Parameter::Float(number),
            ParameterChoice::Uint64Param(number) => match i64::try_from(number) {
                Ok(number) => Parameter::Int(number),
                Err(_) => Parameter::Float(number as f64),
            },
        })
    };
    let named = parameters.into_iter();
    Parameters(
        named
            .filter_map(|(name, it)| Some((name, value(it)?)))
            .collect(),
    )
}

pub(super) fn repository_parameters(
    parameters: HashMap<String, pb::ModelRepositoryParameter>,
) -> Parameters {
    let value = |value: pb::ModelRepositoryParameter| {
        Some(match value.parameter_choice? {
            RepositoryChoice::BoolParam(flag) => Parameter::Bool(flag),
            RepositoryChoice::Int64Param(number) => Parameter::Int(number),
            RepositoryChoice::StringParam(text) => Parameter::Text(text),
            RepositoryChoice::BytesParam(bytes) => {
                Parameter::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
        })
    };
    let named = parameters.into_iter();
    Parameters(
        named
            .filter_map(|(name, it)| Some((name, value(it)?)))
            .collect(),
    )
}

/// The message of an answer without the bytes of its tensors, and those.
pub(super) fn answer(
    answer: InferResponse,
) -> Result<(pb::ModelInferResponse, Vec<Bytes>), Failure> {
    let mut outputs = Vec::with_capacity(answer.outputs.len());
    let mut raw = Vec::with_capacity(answer.outputs.len());
    for output in &answer.outputs {
        outputs.push(pb::model_infer_response::InferOutputTensor {
            name: output.name().to_owned(),
            datatype: output.datatype().name().to_owned(),
            shape: output.shape().iter().map(|&side| length(side)).collect(),
            ..Default::default()
        });
        raw.push(match output {
            InferOutput::Numbers { tensor, .. } => tensor.shared_bytes(),
            InferOutput::Bytes { elements, .. } => {
                pack_elements(elements).map_err(Failure::internal)?
            }
        });
    }
    let message = pb::ModelInferResponse {
        model_name: answer.model,
        model_version: answer.version,
        id: answer.id,
        outputs,
        ..Default::default()
    };
    Ok((message, raw))
}

fn length(side: usize) -> i64 {
    i64::try_from(side).unwrap_or(i64::MAX)
}

pub(super) fn with_raw(message: pb::ModelInferResponse, raw: Vec<Bytes>) -> pb::ModelInferResponse {
    pb::ModelInferResponse {
        raw_output_contents: raw,
        ..message
    }
}

/// The same with the elements as numbers of the message.
///
/// # Errors
///
/// Elements that are none of what the message says.
pub(super) fn with_contents(
    mut message: pb::ModelInferResponse,
    raw: &[Bytes],
) -> Result<pb::ModelInferResponse, String> {
    for (output, raw) in message.outputs.iter_mut().zip(raw) {
        let datatype = Datatype::parse(&output.datatype)?;
        let count = output.shape.iter().product::<i64>();
        let count = usize::try_from(count).unwrap_or(0);
        output.contents = Some(contents(datatype, raw, count)?);
    }
    Ok(message)
}

fn contents(
    datatype: Datatype,
    raw: &Bytes,
    count: usize,
) -> Result<pb::InferTensorContents, String> {
    fn numbers<T: bytemuck::AnyBitPattern, Wide>(raw: &[u8], wide: fn(T) -> Wide) -> Vec<Wide> {
        let elements = raw.chunks_exact(size_of::<T>());
        elements
            .map(|bytes| wide(bytemuck::pod_read_unaligned(bytes)))
            .collect()
    }
    let mut contents = pb::InferTensorContents::default();
    match datatype {
        Datatype::Bytes => contents.bytes_contents = elements(&Rope::from(raw.clone()), count)?,
        Datatype::Of(DType::Bool) => {
            contents.bool_contents = raw.iter().map(|&it| it != 0).collect()
        }
        Datatype::Of(DType::U8) => contents.uint_contents = numbers(raw, |it: u8| it.into()),
        Datatype::Of(DType::I8) => contents.int_contents = numbers(raw, |it: i8| it.into()),
        Datatype::Of(DType::I16) => contents.int_contents = numbers(raw, |it: i16| it.into()),
        Datatype::Of(DType::I32) => contents.int_contents = numbers(raw, |it: i32| it),
        Datatype::Of(DType::I64) => contents.int64_contents = numbers(raw, |it: i64| it),
        Datatype::Of(DType::F16) => contents.fp32_contents = numbers(raw, f16::to_f32),
        Datatype::Of(DType::BF16) => contents.fp32_contents = numbers(raw, bf16::to_f32),
        Datatype::Of(DType::F32) => contents.fp32_contents = numbers(raw, |it: f32| it),
        Datatype::Of(DType::F64) => contents.fp64_contents = numbers(raw, |it: f64| it),
    }
    Ok(contents)
}

pub(super) fn streamed(answer: pb::ModelInferResponse) -> pb::ModelStreamInferResponse {
    pb::ModelStreamInferResponse {
        error_message: String::new(),
        infer_response: Some(answer),
    }
}

/// A failure as a message of the stream, which goes on. The id tells the client whose it is.
pub(super) fn stream_failed(id: String, failure: &Status) -> pb::ModelStreamInferResponse {
    pb::ModelStreamInferResponse {
        error_message: failure.message().to_owned(),
        infer_response: Some(pb::ModelInferResponse {
            id,
            ..Default::default()
        }),
    }
}

pub(super) fn server() -> pb::ServerMetadataResponse {
    pb::ServerMetadataResponse {
        name: SERVER_NAME.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: EXTENSIONS.map(str::to_owned).to_vec(),
    }
}

pub(super) fn metadata(metadata: ModelMetadata) -> pb::ModelMetadataResponse {
    let tensors = |tensors: Vec<TensorMetadata>| {
        let tensors = tensors.into_iter();
        let tensors = tensors.map(|tensor| pb::model_metadata_response::TensorMetadata {
            name: tensor.name,
            datatype: tensor.datatype.name().to_owned(),
            shape: tensor.shape,
        });
        tensors.collect()
    };
    pb::ModelMetadataResponse {
        name: metadata.name,
        versions: metadata.versions,
        platform: metadata.platform.to_owned(),
        inputs: tensors(metadata.inputs),
        outputs: tensors(metadata.outputs),
    }
}

/// The same as load generators ask for it.
pub(super) fn config(metadata: ModelMetadata) -> pb::ModelConfigResponse {
    let input = |it: TensorMetadata| pb::ModelInput {
        data_type: data_type(it.datatype).into(),
        name: it.name,
        dims: it.shape,
        optional: false,
    };
    let output = |it: TensorMetadata| pb::ModelOutput {
        data_type: data_type(it.datatype).into(),
        name: it.name,
        dims: it.shape,
    };
    let config = pb::ModelConfig {
        name: metadata.name,
        platform: metadata.platform.to_owned(),
        max_batch_size: 0,
        input: metadata.inputs.into_iter().map(input).collect(),
        output: metadata.outputs.into_iter().map(output).collect(),
        backend: SERVER_NAME.to_owned(),
        model_transaction_policy: Some(pb::ModelTransactionPolicy { decoupled: false }),
    };
    pb::ModelConfigResponse {
        config: Some(config),
    }
}

fn data_type(datatype: Datatype) -> pb::DataType {
    match datatype {
        Datatype::Bytes => pb::DataType::TypeString,
        Datatype::Of(DType::Bool) => pb::DataType::TypeBool,
        Datatype::Of(DType::U8) => pb::DataType::TypeUint8,
        Datatype::Of(DType::I8) => pb::DataType::TypeInt8,
        Datatype::Of(DType::I16) => pb::DataType::TypeInt16,
        Datatype::Of(DType::I32) => pb::DataType::TypeInt32,
        Datatype::Of(DType::I64) => pb::DataType::TypeInt64,
        Datatype::Of(DType::F16) => pb::DataType::TypeFp16,
        Datatype::Of(DType::BF16) => pb::DataType::TypeBf16,
        Datatype::Of(DType::F32) => pb::DataType::TypeFp32,
        Datatype::Of(DType::F64) => pb::DataType::TypeFp64,
    }
}

pub(super) fn statistics(models: Vec<ModelStatistics>) -> pb::ModelStatisticsResponse {
    pb::ModelStatisticsResponse {
        model_stats: models.into_iter().map(of_model).collect(),
    }
}

fn of_model(model: ModelStatistics) -> pb::ModelStatistics {
    let last = model.last_inference;
    let last = last.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let last = last.unwrap_or(Duration::ZERO).as_millis();
    let batch = |batch: BatchStatistics| pb::InferBatchStatistics {
        batch_size: batch.size,
        compute_input: spent(batch.input),
        compute_infer: spent(batch.infer),
        compute_output: spent(batch.output),
    };
    pb::ModelStatistics {
        name: model.name,
        version: model.version,
        last_inference: u64::try_from(last).unwrap_or(u64::MAX),
        inference_count: model.inferences,
        execution_count: model.executions,
        inference_stats: Some(pb::InferStatistics {
            success: spent(model.success),
            fail: spent(model.fail),
            queue: spent(model.queue),
            compute_input: spent(model.input),
            compute_infer: spent(model.infer),
            compute_output: spent(model.output),
            ..Default::default()
        }),
        batch_stats: model.batches.into_iter().map(batch).collect(),
    }
}

fn spent(spent: Spent) -> Option<pb::StatisticDuration> {
    Some(pb::StatisticDuration {
        count: spent.count,
        ns: u64::try_from(spent.time.as_nanos()).unwrap_or(u64::MAX),
    })
}

pub(super) fn index(entries: Vec<IndexEntry>) -> pb::RepositoryIndexResponse {
    let entry = |it: IndexEntry| pb::repository_index_response::ModelIndex {
        name: it.name,
        version: it.version,
        state: it.state.to_owned(),
        reason: it.reason,
    };
    pb::RepositoryIndexResponse {
        models: entries.into_iter().map(entry).collect(),
    }
}
