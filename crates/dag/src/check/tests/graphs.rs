//! Specs that are right.

use insta::assert_snapshot;

use servable::Value;

use super::{checked, show};
use crate::Python;
use crate::check::{Options, check};
use crate::function::FunctionError;
use crate::graph::Kind;
use crate::testing::Few;

#[test]
fn the_classic_form_of_number_plates() {
    assert_snapshot!(checked(
        "
models:
  min-workers: 1
  max-workers: 1
  batch-size: 4
  max-batch-delay: 100
  retry-attempts: 5
  timeout-ms: 300000
  yolo: {url: yolo.mar}
  stn: {url: stn.mar, retry-attempts: 0}
  lprnet: {url: lprnet.mar}
functions:
  aggregate: {function: merge}
dag:
  yolo: [stn, aggregate]
  stn: [lprnet, '', null]
  lprnet: [aggregate]
"
    ));
}
#[test]
fn a_function_of_the_classic_form_may_choose_what_it_takes() {
    assert_snapshot!(checked(
        "
models: {yolo: {url: a.mar}, stn: {url: b.mar}}
functions:
  aggregate: {function: merge, in: {coordinates: yolo.coordinates, texts: stn.data}}
dag: {yolo: [stn, aggregate], stn: aggregate, decode_image: [yolo]}
"
    ));
}

#[test]
fn the_typed_form_with_scopes() {
    assert_snapshot!(checked(
        "
inputs:
  image: image
  budget: {type: int, default: 1000000, min: -1, about: the most pixels}
models:
  detector: {url: yolo.mar, batch-size: 4, output: boxes}
  reader: {url: lprnet.mar, inputs: {body: 'image'}, output: text}
functions:
  small: {function: resize, with: {size: [640, 480], kernel: cv_area}}
nodes:
  answer: {function: merge, in: {coordinates: boxes, texts: texts, n: budget}, when: size(boxes) > 0 and budget > 3}
  picture: {function: decode_image, in: image}
  scaled: {function: small, in: picture, with: {kernel: cv_linear}}
  boxes: {model: detector, in: scaled, timeout-ms: 500, retry-attempts: 1}
  crops: {function: crop_by_boxes, in: {boxes: boxes, image: picture}, with: {size: [94, 24]}}
  plate: {foreach: crops, limit: 100, overflow: truncate}
  text: {model: reader, in: plate, on-error: {use: {value: none}}}
  texts: {gather: text}
output: {application/json: answer, image/png: scaled, text/plain: {a: answer.texts, b: budget}}
"
    ));
}
#[test]
fn leaves_are_answered_where_nothing_else_is_said() {
    assert_snapshot!(checked(
        "
models: {a: {url: a.mar}, b: {url: b.mar}}
nodes:
  a:
  b: {in: request.other, on-error: skip}
  c: {function: resize, in: {image: a, size: request.size}}
  d: {function: now}
"
    ));
}

#[test]
fn parameters_may_come_with_each_request() {
    let text = "nodes: {a: {function: resize, in: {image: request, size: request.size}, with: {kernel: k}}}";
    let checked = check(text, &Few, Options::default());
    assert_eq!(checked.problems, []);
    let graph = checked.graph.expect("a graph");
    let Kind::Function { bound, .. } = &graph.nodes[0].kind else {
        panic!("no function: {:?}", graph.nodes[0].kind);
    };
    let call = |size: Value| {
        let inputs = vec![("image".to_owned(), Value::Null), ("size".to_owned(), size)];
        bound
            .call(inputs)
            .map(|value| String::from_utf8(value.to_json()).expect("text"))
    };
    let expected = |size| {
        Ok(format!(
            r#""resize(image) with {{\"kernel\":\"k\",\"size\":{size}}}""#
        ))
    };
    assert_eq!(call(Value::Int(5)), expected("5"));
    assert_eq!(call(Value::Int(5)), expected("5"));
    assert_eq!(call(Value::Bytes("[1, 2]".into())), expected("[1,2]"));
    assert_eq!(
        call(Value::Bytes("[1, \"b\"]".into())),
        Err(FunctionError::Parameter {
            parameter: "size[1]".to_owned(),
            message: "expected a number".to_owned(),
        })
    );
}

#[test]
fn functions_of_the_handler_file_are_models() {
    // One of them has the name of a native function, and goes before it.
    let functions = ["aggregate", "resize", "unused"].map(str::to_owned);
    let options = Options {
        python: Some(Python {
            file: "code/handler.py",
            functions: &functions,
        }),
        ..Options::default()
    };
    let check = |text: &str, expected: &[&str]| {
        let checked = check(text, &Few, options);
        assert_eq!(checked.problems, [], "{text}");
        let graph = checked.graph.expect("a graph");
        let shown = show(&graph);
        let calls: Vec<&str> = shown
            .lines()
            .filter(|line| line.contains("handler.py"))
            .collect();
        assert_eq!(calls, expected, "{text}");
        let model = &graph.models[graph.models.len() - 1];
        assert_eq!(model.functions, ["resize", "aggregate"], "{text}");
        assert_eq!(
            (&*model.name, &*model.url, model.max_workers),
            ("handler.py", "code/handler.py", 1)
        );
    };
    check(
        "models: {timeout-ms: 5, max-workers: 3, a: {url: a.mar}}\ndag: {a: [resize], resize: [aggregate]}",
        &[
            "resize: model handler.py:resize in 0 <- body=a:any -> any 1+1x5ms",
            "aggregate: model handler.py:aggregate in 0 <- body=resize:any -> any 1+1x5ms",
        ],
    );
    check(
        "inputs: {x: tensor}\nnodes:\n  small: {function: resize, in: {x: x, by: 2}, retry-attempts: 0}\n  aggregate: {in: small}\n",
        &[
            "small: model handler.py:resize in 0 <- x=<x>:any by=Int(2):any -> any 0+1x10000ms",
            "aggregate: model handler.py:aggregate in 0 <- body=small:any -> any 1+1x10000ms",
        ],
    );
}

#[test]
fn what_the_handler_file_lacks_is_told() {
    let functions = ["aggregate".to_owned()];
    let check = |text: &str, expected: &str| {
        let options = Options {
            python: Some(Python {
                file: "handler.py",
                functions: &functions,
            }),
            ..Options::default()
        };
        let problems = check(text, &Few, options).problems;
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.join("\n"), expected, "{text}");
    };
    check(
        "models: {a: {url: a.mar}}\ndag: {a: [agregate]}",
        "2:11: error: `agregate`: it is no model of `models`, no entry of `functions` and no native function; nearest is `aggregate`; handler.py defines no function of that name",
    );
    check(
        "nodes: {b: {function: agregate, in: request}}",
        "1:23: error: `b`, field `function`: no entry of `functions`, no function of handler.py and no native function is called `agregate`; nearest is `aggregate`",
    );
    check(
        "nodes: {aggregate: {in: request, with: {a: 1}}}",
        "1:40: error: `aggregate`, field `with`: a function in Python has no parameters; give it what it needs under `in`",
    );
    check(
        "functions: {b: {function: aggregate}}\nnodes: {b: {in: request}}",
        "1:27: error: `b`, field `function`: `aggregate` is a function of handler.py, which nodes call without an entry here",
    );
}

#[test]
fn a_graph_around_one_network_may_stand_inside_another_document() {
    let check = |text: &str, expected: &str| {
        let options = Options {
            inside: &["handler", "pipeline"],
            network: Some("network"),
            ..Options::default()
        };
        let checked = check(text, &Few, options);
        let graph = checked.graph.as_ref().map_or(String::new(), show);
        let problems: Vec<String> = checked.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            format!("{graph}{}", problems.join("\n")),
            expected,
            "{text}"
        );
    };
    check(
        "merge: false\nhandler:\n  pipeline:\n    nodes: {network: {}}\n",
        "network: model network in 0 <- body=request:any -> any 1+1x10000ms\nanswer: network of 1\n",
    );
    check(
        "handler:\n  pipeline:\n    models: {network: {output: text}}\n    nodes: {a: {model: network}}\n",
        "a: model network in 0 <- body=request:any -> text 1+1x10000ms\nanswer: a of 1\n",
    );
    check(
        "handler:\n  pipeline:\n    nodes:\n      network: {in: pictrue}\n",
        "4:21: error: `network`, field `in`: no node or input is called `pictrue`; known are `network`",
    );
    check(
        "handler:\n  pipeline:\n    models:\n      other: {}\n      network: {url: n.mar}\n    nodes: {network: {}}\n",
        "4:7: error: `other`: the only model here is `network`\n\
         5:22: error: `network`, field `url`: it is the network of the archive that this stands in, and has no `url`",
    );
    check(
        "handler: {}\n",
        "1:10: error: field `pipeline`: there is no such key",
    );
}

#[test]
fn a_spec_describes_itself() {
    let text = "
name: plates
version: 1.5
models: {batch-size: 3, a: {url: a.mar, batch-size: 1}}
dag: {a: [merge], merge: ['']}
";
    let summary = check(text, &Few, Options::default()).summary;
    assert_eq!(summary.name.as_deref(), Some("plates"));
    assert_eq!(summary.version.as_deref(), Some("1.5"));
    assert_eq!(summary.defaults.batch_size, 3);
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        summary.dag,
        [
            ("a".to_owned(), names(&["merge"])),
            ("merge".to_owned(), names(&[]))
        ]
    );
}
