//! What handlers answer, by either protocol.

use servable::{DType, Device, Image, Input, Loader, Part, Reason, Servable, Task, Tensor, Value};

use crate::harness::{Model, ask, ask_with, body, predict, python_or_return, text};

const ECHO: &str = "
def handle(data, context):
    if data is None:
        return None
    return [row.get('body') for row in data]
";

#[test]
fn an_echo_end_to_end() {
    for protocol in [1, 2] {
        let mut model = Model::new(python_or_return!(), ECHO);
        model.settings.protocol = protocol;
        let mut servable = model.load().expect("loaded");
        assert_eq!(ask(servable.as_mut(), "hello").as_deref(), Ok("hello"));
        let long = "x".repeat(3 << 20);
        assert_eq!(ask(servable.as_mut(), &long).as_deref(), Ok(&long[..]));
        assert_eq!(ask(servable.as_mut(), "").as_deref(), Ok(""));
    }
}

/// A handler with one function, and what it answers to a body; or the reason and message of its failure. By both protocols.
fn check(function: &str, asked: &str, expected: Result<&str, (Reason, &str)>) {
    for protocol in [1, 2] {
        check_by(protocol, function, asked, expected);
    }
}

fn check_by(protocol: u8, function: &str, asked: &str, expected: Result<&str, (Reason, &str)>) {
    let python = python_or_return!();
    let handler = format!(
        "from ts.utils.util import PredictionException\nclass H:\n  def initialize(self, context): pass\n  def handle(self, data, context):\n    {function}\n"
    );
    let mut model = Model::new(python, &handler);
    model.settings.protocol = protocol;
    let mut servable = model.load().expect("loaded");
    let found = ask(servable.as_mut(), asked);
    let told = found
        .as_deref()
        .map_err(|error| (error.reason, error.message.as_str()));
    assert_eq!(told, expected, "{function}");
    // Whatever it was, the next request is served.
    assert!(
        ask(servable.as_mut(), asked).is_ok() == expected.is_ok(),
        "{function}"
    );
}

#[test]
fn answers_of_all_types() {
    check("return [row['body'] for row in data]", "text", Ok("text"));
    check("return [b'\\x68i']", "", Ok("hi"));
    check("return [{'a': 1}]", "", Ok("{\n  \"a\": 1\n}"));
    check("return [None]", "", Ok("null"));
    check("return [[1, float('nan')]]", "", Ok("[\n  1,\n  NaN\n]"));
}

#[test]
fn failures_of_handlers() {
    let failed = |message| Err((Reason::Failed, message));
    check("raise ValueError('no')", "", failed("Prediction failed"));
    check(
        "raise MemoryError()",
        "",
        Err((Reason::OutOfMemory, "Out of resources")),
    );
    check(
        "raise RuntimeError('CUDA error')",
        "",
        Err((Reason::OutOfMemory, "Out of resources")),
    );
    check(
        "raise PredictionException('no tea', 418)",
        "",
        Err((Reason::Chosen(418), "no tea")),
    );
    check(
        "raise PredictionException('what')",
        "",
        Err((Reason::Chosen(500), "what")),
    );
    check(
        "raise PredictionException('far', 99999)",
        "",
        Err((Reason::Chosen(99999), "far")),
    );
    check(
        "return 'no list'",
        "",
        failed("Invalid model predict output"),
    );
    check(
        "return [1, 2]",
        "",
        failed("number of batch response mismatched"),
    );
    check(
        "return [object()]",
        "",
        failed("Unsupported model output data type."),
    );
}

#[test]
fn each_request_of_a_batch_gets_its_own() {
    let handler = "
def handle(data, context):
    if data is None:
        return None
    for i, row in enumerate(data):
        context.set_response_status(200 + i, 'phrase%d' % i, i)
        context.set_response_header(i, 'X-Id', context.get_request_id(i))
        context.set_response_header(i, 'X-Header', context.get_request_header(i, 'X-Foo') or '')
    context.set_response_content_type(1, 'text/x-one')
    return [len(data) for row in data]
";
    let model = Model::new(python_or_return!(), handler);
    let mut servable = model.load().expect("loaded");
    let mut inputs = [text("a"), text("b"), text("c")];
    inputs[2].headers.push(("X-Foo".into(), "bar".into()));
    let results = predict(servable.as_mut(), &inputs).expect("a batch");
    let found: Vec<String> = results
        .into_iter()
        .map(|result| {
            let output = result.expect("an answer");
            let headers: Vec<String> = output
                .headers
                .iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect();
            format!(
                "{:?} {:?} {} {}",
                output.status,
                output.content_type,
                headers.join(" "),
                body(&output)
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            r#"Some((200, "phrase0")) None X-Id=r1 X-Header= 3"#,
            r#"Some((201, "phrase1")) Some("text/x-one") X-Id=r1#1 X-Header= 3"#,
            r#"Some((202, "phrase2")) None X-Id=r1#2 X-Header=bar 3"#,
        ]
    );
}

#[test]
fn bodies_are_decoded_by_their_types_and_files_are_parts() {
    let handler = "
def handle(data, context):
    if data is None:
        return None
    return [{k: [type(v).__name__, str(v)] for k, v in row.items()} for row in data]
";
    let model = Model::new(python_or_return!(), handler);
    let mut servable = model.load().expect("loaded");
    let part = |name: &str, content_type: &str, body: &'static str| Part {
        name: name.into(),
        content_type: content_type.into(),
        value: Value::Bytes(body.into()),
    };
    let input = Input {
        id: "r".into(),
        parts: vec![
            part("json", "application/json", "{\"a\": [1]}"),
            part("text", "text/plain", "t"),
            part("file", "image/png", "p"),
            part("field", "", "f"),
        ],
        ..Input::default()
    };
    let found = ask_with(servable.as_mut(), input).expect("an answer");
    let found: String = found.split_whitespace().collect();
    assert_eq!(
        found,
        r#"{"json":["dict","{'a':[1]}"],"text":["str","t"],"file":["bytearray","bytearray(b'p')"],"field":["bytearray","bytearray(b'f')"]}"#
    );
}

#[test]
fn who_brings_values_gets_values() {
    let model = Model::new(python_or_return!(), ECHO);
    let mut servable = model.load().expect("loaded");
    let numbers: Vec<f32> = (0..60_000u16).map(f32::from).collect();
    let tensor = Tensor::new(vec![2, 30_000], numbers.clone()).expect("as many");
    let pixels = Tensor::new(vec![100, 300, 3], vec![7u8; 90_000]).expect("as many");
    let value = Value::map([
        ("tensor", Value::Tensor(tensor)),
        (
            "small",
            Value::Tensor(Tensor::new(vec![], vec![7i64]).expect("one")),
        ),
        (
            "picture",
            Value::Image(Image::from_pixels(pixels).expect("a picture")),
        ),
        ("file", Value::Image(Image::from_file("a file"))),
        (
            "odd",
            Value::list([Value::Float(f64::INFINITY), Value::Int(3), Value::Null]),
        ),
        ("text", Value::from("é")),
        ("bytes", Value::Bytes("b".into())),
    ]);
    let input = Input {
        id: "r".into(),
        ..Input::body("", value)
    };
    let results = predict(servable.as_mut(), &[input]).expect("a batch");
    let answer = results
        .into_iter()
        .next()
        .expect("one")
        .expect("an answer")
        .value;
    let member = |name: &str| {
        answer
            .get(name)
            .cloned()
            .unwrap_or_else(|| panic!("no {name}"))
    };
    let Value::Tensor(tensor) = member("tensor") else {
        panic!("{answer:?}");
    };
    assert_eq!(
        (tensor.dtype(), tensor.shape()),
        (DType::F32, &[2, 30_000][..])
    );
    let found: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_ne_bytes())
        .collect();
    assert!(tensor.bytes() == found, "the same elements");
    let Value::Tensor(small) = member("small") else {
        panic!("{answer:?}");
    };
    assert_eq!(
        (small.dtype(), small.shape(), small.bytes()),
        (DType::I64, &[][..], &7i64.to_ne_bytes()[..])
    );
    let Value::Image(picture) = member("picture") else {
        panic!("{answer:?}");
    };
    assert_eq!(picture.decoded().expect("pixels").shape(), [100, 300, 3]);
    let Value::Image(file) = member("file") else {
        panic!("{answer:?}");
    };
    assert_eq!(file.file().as_deref(), Some(&b"a file"[..]));
    let plain = Value::list(["odd", "text"].map(member));
    assert_eq!(plain.to_json_line(), br#"[[Infinity, 3, null], "\u00e9"]"#);
    assert!(matches!(member("bytes"), Value::Bytes(bytes) if bytes == "b"));
}

#[test]
fn explanations_are_asked_for_by_a_header() {
    let handler = "
def handle(data, context):
    if data is None:
        return None
    return [str(context.get_request_header(0, 'explain'))]
";
    let model = Model::new(python_or_return!(), handler);
    let mut servable = model.load().expect("loaded");
    let mut input = text("x");
    assert_eq!(
        ask_with(servable.as_mut(), input.clone()).as_deref(),
        Ok("None")
    );
    input.task = Task::Explain;
    assert_eq!(ask_with(servable.as_mut(), input).as_deref(), Ok("True"));
}

#[test]
fn requests_for_different_functions_share_no_batch() {
    let handler = "
def one(data, context):
    return data and ['one of %d' % len(data) for _ in data]

def two(data, context):
    return data and ['two of %d' % len(data) for _ in data]
";
    let mut model = Model::new(python_or_return!(), handler);
    model.files.handler = "h.py:one,two".into();
    let loader = model.loader().expect("a loader");
    let asks = |function: &str| Input {
        function: Some(function.into()),
        ..text("x")
    };
    let of = |function: &str| loader.bucket(&asks(function));
    assert_eq!(of("one"), of("one"));
    assert_ne!(of("one"), of("two"));
    let mut servable = loader.load(Device::Cpu).expect("loaded");
    let check = |inputs: &[Input], expected: &[&str], servable: &mut dyn Servable| {
        let results = predict(servable, inputs).expect("a batch");
        let bodies = results
            .iter()
            .map(|result| body(result.as_ref().expect("an answer")));
        assert_eq!(bodies.collect::<Vec<_>>(), expected);
    };
    check(&[asks("two")], &["two of 1"], servable.as_mut());
    check(
        &[asks("one"), asks("one")],
        &["one of 2", "one of 2"],
        servable.as_mut(),
    );
}

#[test]
fn a_handler_describes_itself_and_shares_no_batch_with_others() {
    let handler = "
from ts.torch_handler.base_handler import BaseHandler
class H(BaseHandler):
    def initialize(self, context):
        self.context = context
    def describe_handle(self):
        return {'takes': 'anything'}
";
    let model = Model::new(python_or_return!(), handler);
    let loader = model.loader().expect("a loader");
    let mut asked = text("");
    asked.headers.push(("describe".into(), "True".into()));
    let typed = Input::body("", Value::Int(1));
    let mut buckets = [&asked, &typed, &text("")]
        .map(|input| loader.bucket(input))
        .to_vec();
    buckets.sort_unstable();
    buckets.dedup();
    assert_eq!(buckets.len(), 3);
    let mut servable = loader.load(Device::Cpu).expect("loaded");
    let found: String = ask_with(servable.as_mut(), asked)
        .expect("an answer")
        .split_whitespace()
        .collect();
    assert_eq!(found, r#"{"takes":"anything"}"#);
}

#[test]
fn by_protocol_one_values_are_bodies_and_failures_to_load_are_told_as_far_as_they_are() {
    let python = python_or_return!();
    let mut model = Model::new(python, ECHO);
    model.settings.protocol = 1;
    let mut servable = model.load().expect("loaded");
    let input = Input {
        id: "r".into(),
        ..Input::body("", Value::list([Value::Int(1), Value::from("a")]))
    };
    let found: String = ask_with(servable.as_mut(), input)
        .expect("an answer")
        .split_whitespace()
        .collect();
    assert_eq!(found, r#"[1,"a"]"#);
    let check = |handler: &str, expected: &str| {
        let mut model = Model::new(python, handler);
        model.settings.protocol = 1;
        let error = model.load().err().expect("it does not load").to_string();
        assert_eq!(error, expected);
    };
    check(
        "raise RuntimeError('odd')",
        "model m: handler h.py: Unknown exception",
    );
    // TorchServe's worker answers nothing here; its last words are all there is.
    check(
        "raise ValueError('odd')",
        "model m: its worker ended while it loaded (exit code 1): ValueError: odd",
    );
}
