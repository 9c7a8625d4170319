//! The Open Inference Protocol v2: the same picture and the same tensor over TorchServe's route, as JSON and as bytes give the
//! same answer to the last bit; what is wrong with a request is named.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::fixtures::{Model, best, own, pictures};
use crate::harness::{Bench, Daemon};
use crate::python;

const ROW: [f32; 4] = [0.1, -2.5, 3.0, 1e-3];

fn daemon() -> Daemon {
    let daemon = Bench::new()
        .config("enable_model_api=true")
        .with(&Model::double())
        .with(&Model::mlp())
        .with(&Model::substrate())
        .start();
    daemon.wait_for_ok("/ready");
    daemon
}

fn bytes(row: &[f32]) -> Vec<u8> {
    row.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn post(model: &str, message: &Value) -> Request {
    Request::post(&format!("/v2/models/{model}/infer"), message.to_string())
}

/// The same with bytes behind the JSON.
fn post_binary(model: &str, message: &Value, tensors: &[u8]) -> Request {
    let json = message.to_string();
    let length = json.len().to_string();
    let body = [json.as_bytes(), tensors].concat();
    Request::post(&format!("/v2/models/{model}/infer"), body)
        .header("Inference-Header-Content-Length", &length)
}

/// An answer's JSON, and what stands behind it.
fn split(answer: &Answer) -> (Value, &[u8]) {
    let head = answer.header("inference-header-content-length");
    let head = head.map_or(answer.body.len(), |length| {
        length.parse().expect("a number")
    });
    let (json, tensors) = answer.body.split_at(head);
    let json: Value = serde_json::from_slice(json).expect("JSON");
    assert_eq!(answer.status, 200, "{json}");
    (json, tensors)
}

fn singles(numbers: &Value) -> Vec<f32> {
    let numbers = numbers.as_array().expect("a list").iter();
    numbers
        .map(|number| number.as_f64().expect("a number") as f32)
        .collect()
}

#[test]
fn a_tensor_has_one_answer_by_every_way() {
    let daemon = daemon();
    let torchserve = daemon.post("/predictions/mlp", json!(ROW).to_string().as_bytes());
    let expected = singles(&torchserve.prediction());
    let input = json!({ "name": "data", "datatype": "FP32", "shape": [4], "data": ROW });
    let (found, _) = split(&daemon.send(&post("mlp", &json!({ "inputs": [input] }))));
    let output = &found["outputs"][0];
    assert_eq!(
        (&output["name"], &output["shape"]),
        (&json!("output"), &json!([3]))
    );
    assert_eq!(bytes(&singles(&output["data"])), bytes(&expected));

    let sized = json!({ "name": "data", "datatype": "FP32", "shape": [4], "parameters": { "binary_data_size": 16 } });
    let message = json!({ "inputs": [sized], "parameters": { "binary_data_output": true } });
    let answer = daemon.send(&post_binary("mlp", &message, &bytes(&ROW)));
    let (found, tensors) = split(&answer);
    assert_eq!(
        found["outputs"][0]["parameters"],
        json!({ "binary_data_size": 12 })
    );
    assert_eq!(tensors, bytes(&expected));
}

#[test]
fn a_picture_has_one_answer_by_every_way() {
    let daemon = daemon();
    let (_, picture) = pictures(&own("substrates")).swap_remove(0);
    let expected = daemon.post("/predictions/substrate", &picture).prediction();
    let check = |way: &str, answer: &Answer| {
        let (found, _) = split(answer);
        let outputs = found["outputs"].as_array().expect("outputs").iter();
        let found: serde_json::Map<String, Value> = outputs
            .map(|output| {
                assert_eq!(
                    (&output["datatype"], &output["shape"]),
                    (&json!("FP64"), &json!([1]))
                );
                let name = output["name"].as_str().expect("a name").to_owned();
                (name, output["data"][0].clone())
            })
            .collect();
        assert_eq!(Value::Object(found), expected, "{way}");
    };
    let encoded = STANDARD.encode(&picture);
    let input =
        json!({ "name": "body", "datatype": "BYTES", "shape": [1], "data": [{ "b64": encoded }] });
    check(
        "b64",
        &daemon.send(&post("substrate", &json!({ "inputs": [input] }))),
    );
    let input = json!({
        "name": "data", "datatype": "BYTES", "shape": [1], "data": [encoded], "parameters": { "content_type": "base64" },
    });
    check(
        "base64",
        &daemon.send(&post("substrate", &json!({ "inputs": [input] }))),
    );
    let packed = [&(picture.len() as u32).to_le_bytes()[..], &picture].concat();
    let input = json!({
        "name": "body", "datatype": "BYTES", "shape": [1], "parameters": { "binary_data_size": packed.len() },
    });
    let message = json!({ "inputs": [input] });
    check(
        "binary",
        &daemon.send(&post_binary("substrate", &message, &packed)),
    );
    let bare = Request::post("/v2/models/substrate/infer", picture.clone())
        .header("Inference-Header-Content-Length", "0");
    check("bare", &daemon.send(&bare));

    let wanted = json!({ "name": "output", "parameters": { "classification": 1 } });
    let message = json!({ "inputs": message["inputs"], "outputs": [wanted] });
    let (found, _) = split(&daemon.send(&post_binary("substrate", &message, &packed)));
    let (class, probability) = best(&expected);
    let name = found["outputs"][0]["data"][0].as_str().expect("a class");
    let score: f64 = name
        .split(':')
        .next()
        .and_then(|it| it.parse().ok())
        .expect("a score");
    assert!(
        (score - probability).abs() < 1e-12,
        "{name} for {probability}"
    );
    assert!(name.ends_with(&class), "{name} for {class}");
}

#[test]
fn kserve_v1_and_envelopes_answer_the_same() {
    let daemon = daemon();
    let rows = json!([ROW, [1, 2, 3, 4]]);
    let alone: Vec<Value> = [json!(ROW), json!([1.0, 2.0, 3.0, 4.0])]
        .iter()
        .map(|row| {
            daemon
                .post("/predictions/mlp", row.to_string().as_bytes())
                .prediction()
        })
        .collect();
    let body = json!({ "instances": [rows[0], [1.0, 2.0, 3.0, 4.0]] }).to_string();
    let answer = daemon.post("/v1/models/mlp:predict", body.as_bytes());
    assert_eq!(answer.prediction(), json!({ "predictions": alone }));

    let enveloped = |envelope: &str| {
        let config = format!("service_envelope: {envelope}\n");
        Model::mlp().named(envelope).configured(&config)
    };
    let daemon = Bench::new()
        .with(&enveloped("json"))
        .with(&enveloped("kserve"))
        .with(&enveloped("kservev2"))
        .start();
    for name in ["json", "kserve"] {
        let answer = daemon.post(&format!("/predictions/{name}"), body.as_bytes());
        assert_eq!(
            answer.prediction(),
            json!({ "predictions": alone }),
            "{name}"
        );
    }
    let input = json!({ "name": "input-0", "datatype": "FP32", "shape": [4], "data": ROW });
    let message = json!({ "id": "7", "inputs": [input] }).to_string();
    for path in ["/predictions/kservev2", "/v2/models/kservev2/infer"] {
        let answer = daemon.post(path, message.as_bytes()).prediction();
        assert_eq!(answer["id"], "7");
        assert_eq!(answer["outputs"][0]["name"], "input-0");
        assert_eq!(answer["outputs"][0]["data"], alone[0]);
    }
}

#[test]
fn a_workflow_answers_as_a_model_does() {
    let workflows = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../workflows");
    let daemon = Bench::new()
        .with(&Model::quadrat())
        .config(&format!("workflow_store={}", workflows.display()))
        .start_with(&[
            "--model-store",
            "store",
            "--models",
            "all",
            "--workflows",
            "segment_cover.yaml",
        ]);
    daemon.wait_for_ok("/ready");
    let metadata = daemon.get("/v2/models/segment_cover").prediction();
    assert_eq!(metadata["platform"], "torchrelay_workflow");
    assert_eq!(
        metadata["inputs"],
        json!([{ "name": "image", "datatype": "BYTES", "shape": [1] }])
    );
    let ready = daemon.get("/v2/models/segment_cover/ready").prediction();
    assert_eq!(ready, json!({ "name": "segment_cover", "ready": true }));

    let picture = fs::read(own("quadrats/mixed.png")).expect("a picture");
    let expected = daemon
        .post("/wfpredict/segment_cover", &picture)
        .prediction();
    let encoded = STANDARD.encode(&picture);
    let input =
        json!({ "name": "image", "datatype": "BYTES", "shape": [1], "data": [{ "b64": encoded }] });
    let message = json!({ "inputs": [input] });
    let (found, _) = split(&daemon.send(&post("segment_cover", &message)));
    assert_eq!(found["model_name"], "segment_cover");
    let output = &found["outputs"][0];
    assert_eq!(
        (&output["name"], &output["datatype"]),
        (&json!("cover"), &json!("BYTES"))
    );
    let cover = output["data"][0].as_str().expect("text");
    let cover: Value = serde_json::from_str(cover).expect("JSON");
    assert_eq!(cover, expected["cover"]);

    let strange =
        json!({ "inputs": [{ "name": "x", "datatype": "BYTES", "shape": [1], "data": ["x"] }] });
    let answer = daemon.send(&post("segment_cover", &strange));
    let error = json!({ "error": "input `x`: the workflow `segment_cover` has the input `image` and no other" });
    assert_eq!((answer.status, answer.json()), (400, error));

    // The masks of a model that answers several things.
    let alone = daemon.post("/predictions/quadrat", &picture).prediction();
    let input =
        json!({ "name": "body", "datatype": "BYTES", "shape": [1], "data": [{ "b64": encoded }] });
    let message =
        json!({ "inputs": [input], "outputs": [{ "name": "seg_map" }, { "name": "image_size" }] });
    let (found, _) = split(&daemon.send(&post("quadrat", &message)));
    let map = &found["outputs"][0];
    let rows = alone["seg_map"].as_array().expect("rows").iter();
    let flat: Vec<&Value> = rows
        .flat_map(|row| row.as_array().expect("a row"))
        .collect();
    assert_eq!(map["data"], json!(flat));
    assert_eq!(found["outputs"][1]["data"], alone["image_size"]);
}

/// Refused with that status and these words; the daemon serves on.
#[track_caller]
fn check_refused(daemon: &Daemon, request: &Request, status: u16, words: &[&str]) {
    let answer = daemon.send(request);
    let body = answer.json();
    assert_eq!(answer.status, status, "{words:?}: {body}");
    let error = body["error"].as_str().expect("an error");
    for word in words {
        assert!(error.contains(word), "{word:?} is not in {error:?}");
    }
    daemon.check_serves();
}

#[test]
fn what_is_wrong_is_named() {
    let declared = "handler:\n  signature: {inputs: {body: 'tensor<f32>[4]'}}\n";
    let daemon = Bench::new()
        .with(&Model::double())
        .with(&Model::mlp().configured(declared))
        .start();
    daemon.wait_for_ok("/ready");
    let input = |datatype: &str, shape: Value, data: Value| {
        post(
            "mlp",
            &json!({ "inputs": [{ "name": "body", "datatype": datatype, "shape": shape, "data": data }] }),
        )
    };
    let cases: [(Request, u16, &[&str]); 16] = [
        (
            post("nobody", &json!({ "inputs": [] })),
            404,
            &["Model not found: nobody"],
        ),
        (post("mlp", &json!({})), 400, &["`inputs`", "missing"]),
        (
            post("mlp", &json!({ "inputs": [] })),
            400,
            &["`body`", "`mlp`", "none"],
        ),
        (
            post(
                "mlp",
                &json!({ "inputs": [{ "name": "x", "datatype": "FP32", "shape": [1], "data": [1] }] }),
            ),
            400,
            &["`x`", "`body`"],
        ),
        (
            Request::post("/v2/models/mlp/infer", "{"),
            400,
            &["not JSON"],
        ),
        (
            Request::post(
                "/v2/models/mlp/infer",
                format!("{{\"a\": {}", "[".repeat(500)),
            ),
            400,
            &["recursion limit"],
        ),
        (
            input("FP32", json!([5]), json!(ROW)),
            400,
            &["`body`", "[5] has 5 elements", "have 4"],
        ),
        (
            input("FP32", json!([-4]), json!(ROW)),
            400,
            &["`body`", "-4"],
        ),
        (
            input("FP32", json!([i64::MAX, i64::MAX]), json!(ROW)),
            400,
            &["`body`", "more elements than memory"],
        ),
        (
            input("UINT64", json!([4]), json!(ROW)),
            400,
            &["`body`", "UINT64", "BF16"],
        ),
        (
            input("INT64", json!([4]), json!(ROW)),
            400,
            &["`body`", "data[0]", "INT64", "0.1"],
        ),
        (
            input("FP32", json!([3]), json!([1, 2, 3])),
            400,
            &["`body`", "expected FP32 [4], found FP32 [3]"],
        ),
        (
            input("BYTES", json!([1]), json!(["no numbers"])),
            400,
            &["`body`", "expected FP32 [4], found BYTES [1]"],
        ),
        (
            post(
                "mlp",
                &json!({ "inputs": [{ "name": "body", "datatype": "FP32", "shape": [4], "data": ROW }], "outputs": [{ "name": "x" }] }),
            ),
            400,
            &["output `x`", "`output`"],
        ),
        (
            post_binary(
                "mlp",
                &json!({ "inputs": [{ "name": "body", "datatype": "FP32", "shape": [4], "parameters": { "binary_data_size": 16 } }] }),
                &bytes(&ROW)[..15],
            ),
            400,
            &["`body`", "16", "15 bytes are left"],
        ),
        (
            post("mlp", &json!({ "inputs": [] })).header("Content-Encoding", "br"),
            415,
            &["Content-Encoding", "br"],
        ),
    ];
    for (request, status, words) in cases {
        check_refused(&daemon, &request, status, words);
    }
}

#[test]
fn tritons_client_is_at_home() {
    let daemon = daemon();
    let (name, _) = pictures(&own("substrates")).swap_remove(0);
    let picture = own("substrates").join(format!("{name}.png"));
    let management = daemon.address_of("management_address").to_string();
    let arguments = [
        &daemon.address.to_string(),
        &management,
        &picture.display().to_string(),
    ];
    python::run("v2_http.py", &arguments.map(String::as_str));
}
