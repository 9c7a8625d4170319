//! Graphs around scripted networks: what is asked of the network, what is answered, and what is refused.

use std::cell::RefCell;
use std::fs;
use std::num::NonZeroUsize;

use servable::{BatchError, JobError, Reason, Tensor, Type, Value};

use crate::testing::{
    ONE, batch_as_alone, body, handler, json_input, on_tensor, predict, refusal, tensor,
};
use crate::{Bucketing, ModelContext, Network, by_name, signature};

mod inputs;
mod plates;
mod terms;

/// A graph whose network takes pairs of numbers, any number of them.
const PAIRS: &str = "{pipeline: {
    inputs: {pairs: 'tensor<f32>[n, 2]'},
    models: {network: {output: 'tensor<f32>[n, 2]'}},
    nodes: {sums: {model: network, in: pairs}},
    output: {data: sums}}}";

/// Doubles, and writes down the shapes of what it is asked.
fn doubling(shapes: &RefCell<Vec<Vec<usize>>>) -> impl Network {
    on_tensor(|given| {
        shapes.borrow_mut().push(given.shape().to_vec());
        doubled(given)
    })
}

fn doubled(given: &Tensor) -> Value {
    let numbers = given.elements::<f32>().expect("single precision");
    let doubled: Vec<f32> = numbers.iter().map(|number| number * 2.0).collect();
    tensor(given.shape(), &doubled).into()
}

/// What the handler answers to JSON, one request after the other in one batch, and what it asked of the network meanwhile.
fn check(settings: &str, requests: &[&str], answers: &[&str], asked: &[&[usize]]) {
    let shapes = RefCell::default();
    let inputs: Vec<_> = requests.iter().map(|request| json_input(request)).collect();
    let mut handler = handler("pipeline", settings);
    let found = predict(&mut *handler, &mut doubling(&shapes), &inputs);
    let found: Vec<_> = found
        .into_iter()
        .map(body)
        .map(|body| compact(&body))
        .collect();
    assert_eq!(found, answers, "{settings}");
    assert_eq!(*shapes.borrow(), asked, "{settings}");
    batch_as_alone(&mut *handler, &mut doubling(&shapes), &inputs);
}

/// JSON without spaces; what is none as it is.
fn compact(text: &str) -> String {
    let json: Result<serde_json::Value, _> = serde_json::from_str(text);
    json.map_or_else(|_| text.to_owned(), |json| json.to_string())
}

#[test]
fn requests_share_the_network_and_bad_ones_fail_alone() {
    check(
        PAIRS,
        &["[[1, 2], [3, 4]]", "[[1, 2, 3]]", "[[5, 6]]"],
        &[
            r#"{"data":[[2.0,4.0],[6.0,8.0]]}"#,
            "input `pairs`: expected tensor<float32>[n=1, 2], found tensor<float32>[1, 3]",
            r#"{"data":[[10.0,12.0]]}"#,
        ],
        &[&[3, 2]],
    );
}

#[test]
fn no_rows_are_answered_without_the_network() {
    check(
        PAIRS,
        &["[]", "{\"data\": []}"],
        &[r#"{"data":[]}"#; 2],
        &[],
    );
    let record = "{pipeline: {
        inputs: {body: '{data: tensor<f32>[n, 2]}'},
        models: {network: {output: 'tensor<f32>[n, 7, 3]'}},
        nodes: {
            pairs: {function: select, in: body, with: {path: data}},
            rows: {model: network, in: pairs}},
        output: rows}}";
    let mut handler = handler("pipeline", record);
    let mut never = on_tensor(|given| panic!("asked about {given:?}"));
    let found = predict(&mut *handler, &mut never, &[json_input("{\"data\": []}")]).remove(0);
    let Ok(Value::Tensor(rows)) = found.map(|output| output.value) else {
        panic!("a tensor");
    };
    assert_eq!(rows.shape(), [0, 7, 3]);
}

#[test]
fn different_shapes_go_one_after_the_other() {
    let any = "{pipeline: {inputs: {x: 'tensor<f32>[n, ?]'}, nodes: {network: {in: x}}}}";
    check(
        any,
        &["[[1]]", "[[1, 2]]", "[[3], [4]]"],
        &["[[2.0]]", "[[2.0,4.0]]", "[[6.0],[8.0]]"],
        &[&[3, 1], &[1, 2]],
    );
}

#[test]
fn the_network_may_be_called_for_items_and_more_than_once() {
    let items = "{batched: false, pipeline: {
        inputs: {x: 'tensor<f32>[n, 2]'},
        nodes: {
            item: {foreach: x},
            first: {model: network, in: item},
            second: {model: network, in: first},
            all: {gather: second}}}}";
    check(
        items,
        &["[[1, 2], [3, 4]]", "[]", "[[5, 6]]"],
        &["[[4.0,8.0],[12.0,16.0]]", "[]", "[[20.0,24.0]]"],
        &[&[3, 2], &[3, 2]],
    );
}

#[test]
fn several_arguments_come_in_the_order_of_the_node() {
    let settings = "{pipeline: {
        inputs: {body: '{a: tensor<f32>[n, 1], b: tensor<f32>[m, 2]}'},
        nodes: {
            a: {function: select, in: body, with: {path: a}},
            b: {function: select, in: body, with: {path: b}},
            network: {in: {second: b, first: a}}}}}";
    let mut handler = handler("pipeline", settings);
    let mut network = |arguments: &[Value], _: NonZeroUsize| match arguments {
        [Value::Tensor(b), Value::Tensor(a)] => {
            assert_eq!((b.shape()[1], a.shape()[1]), (2, 1));
            Ok(Value::list([b.clone().into(), a.clone().into()]))
        }
        other => panic!("expected two tensors, found {other:?}"),
    };
    let inputs = [
        json_input("{\"a\": [[1]], \"b\": [[2, 3]]}"),
        json_input("{\"a\": [[4], [5]], \"b\": [[6, 7]]}"),
        json_input("{\"a\": [[8]], \"b\": [[9, 10]]}"),
    ];
    let answers = batch_as_alone(&mut *handler, &mut network, &inputs);
    let answers: Vec<_> = answers.iter().map(|answer| compact(answer)).collect();
    assert_eq!(
        answers,
        [
            "[[[2.0,3.0]],[[1.0]]]",
            "node `network`: expected tensors of as many rows each, found float32[1, 2], float32[2, 1]",
            "[[[9.0,10.0]],[[8.0]]]",
        ]
    );
}

fn failing(_: &[Value], _: NonZeroUsize) -> Result<Value, BatchError> {
    Err(BatchError::new(Reason::OutOfMemory, "too much"))
}

#[test]
fn a_network_that_fails_fails_the_batch_or_what_the_graph_says_is_used() {
    let inputs = [json_input("[[1, 2]]"), json_input("[[3, 4]]")];
    let mut plain = handler("pipeline", PAIRS);
    for inputs in [&inputs[..], &inputs[..1]] {
        let error = plain
            .predict(&mut failing, inputs, ONE)
            .expect_err("it fails");
        assert_eq!(
            (error.reason, error.message.as_str()),
            (Reason::OutOfMemory, "too much")
        );
    }
    let mut bearing = handler(
        "pipeline",
        "{pipeline: {inputs: {x: 'tensor<f32>[n, 2]'}, nodes: {network: {in: x, on-error: {use: {value: none}}}}}}",
    );
    assert!(bearing.predict(&mut failing, &inputs, ONE).is_err());
    let alone = predict(&mut *bearing, &mut failing, &inputs[..1]).remove(0);
    assert_eq!(body(alone), "none");
}

#[test]
fn a_network_with_a_wrong_result_is_no_fault_of_the_client() {
    let settings = |wanted: &str| {
        format!(
            "{{pipeline: {{inputs: {{x: 'tensor<f32>[n, 2]'}}, models: {{network: {{output: '{wanted}'}}}}, nodes: {{
            network: {{in: x}}, boxes: {{function: nms, in: {{rows: network}}}}}}}}}}"
        )
    };
    let check = |wanted: &str, expected: &str| {
        let mut handler = handler("pipeline", &settings(wanted));
        let answer = predict(
            &mut *handler,
            &mut on_tensor(doubled),
            &[json_input("[[1, 2]]")],
        );
        let Err(JobError { reason, message }) = &answer[0] else {
            panic!("{answer:?}");
        };
        assert_eq!((*reason, message.as_str()), (Reason::Failed, expected));
    };
    check(
        "any",
        "node `boxes`: input `rows` is not rows of shape [1, rows, 5 + classes]: found float32[1, 2]",
    );
    let mut handler = handler("pipeline", PAIRS);
    let mut short = on_tensor(|_| tensor(&[5, 2], &[0f32; 10]).into());
    let error = handler.predict(&mut short, &[json_input("[[1, 2]]")], ONE);
    assert_eq!(
        error.expect_err("five rows for one").message,
        "number of batch response mismatched"
    );
}

#[test]
fn mistakes_are_told_with_their_places() {
    let dir = tempfile::tempdir().expect("a folder");
    let check = |config: &str, expected: &str| {
        let path = dir.path().join("model-config.yaml");
        fs::write(&path, config).expect("written");
        let document: serde_yaml::Value = serde_yaml::from_str(config).expect("YAML");
        let context = ModelContext {
            settings: document.get("handler"),
            config_file: Some(&path),
            ..ModelContext::new(dir.path())
        };
        let error = by_name("pipeline", &context).err().expect("refused");
        assert_eq!(error.to_string(), expected, "{config}");
    };
    check(
        "batchSize: 4\nhandler:\n  pipeline:\n    nodes:\n      small: {function: resize, with: {kernel: best}}\n      network: {in: smal}\n",
        "model-config.yaml:5:48: error: `small`, field `with.kernel`: expected one of cv_linear, cv_area, cv_cubic, \
         pil_bilinear, pil_bicubic, pil_lanczos, found `best`; model-config.yaml:6:21: error: `network`, field `in`: no \
         node or input is called `smal`; nearest is `small`",
    );
    fs::write(
        dir.path().join("graph.yaml"),
        "inputs: {x: int}\nnodes: {network: {in: y}}",
    )
    .expect("written");
    check(
        "handler: {pipeline: graph.yaml}",
        "graph.yaml:2:23: error: `network`, field `in`: no node or input is called `y`; known are `network` and `x`",
    );
    check(
        "handler: {pipeline: other.yaml}",
        "handler.pipeline: the archive has no file `other.yaml`",
    );
    let graph = "expected a graph (`nodes: …`) or the name of a file of the archive that holds one";
    check("handler: {}", &format!("handler.pipeline: {graph}"));
    check(
        "handler: {pipeline: 3}",
        &format!("handler.pipeline: {graph}"),
    );
    check(
        "handler: {pipeline: {nodes: {network: {}}}, batch: true}",
        "handler.batch: unknown parameter, did you mean `batched`?",
    );
}

#[test]
fn graphs_that_no_handler_can_be_are_refused() {
    let check = |graph: &str, expected: &str| {
        let found = refusal("pipeline", &format!("{{pipeline: {graph}}}"));
        assert_eq!(found, format!("handler.pipeline:{expected}"), "{graph}");
    };
    check(
        "{nodes: {a: {function: passthrough}}}",
        " no node calls the model `network`",
    );
    check(
        "{dag: {network: [merge]}}",
        " expected `nodes`, found the classic form, `dag`",
    );
    check(
        "{nodes: {network: {}}, output: {application/json: network, text/plain: network}}",
        " `output` names several content types, and a handler has one answer",
    );
}

#[test]
fn a_pipeline_says_what_it_takes_and_gives() {
    let check = |settings: &str, expected: &str, bucketing: Bucketing, tried: bool| {
        let yaml: serde_yaml::Value = serde_yaml::from_str(settings).expect("YAML");
        let dir = tempfile::tempdir().expect("a folder");
        let context = ModelContext {
            settings: Some(&yaml),
            ..ModelContext::new(dir.path())
        };
        let handler = by_name("pipeline", &context).expect("a handler");
        let said = signature(handler.as_ref(), &context).expect("a signature");
        let inputs = Type::Record(said.inputs);
        assert_eq!(format!("{inputs} -> {}", said.output), expected);
        assert_eq!(handler.bucketing(), bucketing, "{settings}");
        assert_eq!(handler.example().is_some(), tried, "{settings}");
    };
    check(
        PAIRS,
        "{pairs: tensor<float32>[n, 2]} -> {data: tensor<float32>[n, 2]}",
        Bucketing::ByTensor { batched: true },
        true,
    );
    check(
        "{pipeline: {inputs: {image: image, n: {type: int, default: 1}}, nodes: {network: {in: image}}}}",
        "{image: image, n: int} -> any",
        Bucketing::Together,
        true,
    );
    check(
        "{pipeline: {nodes: {network: {}}}}",
        "{} -> any",
        Bucketing::Together,
        false,
    );
}
