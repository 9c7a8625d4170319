//! A front of one's own over workflows: its answers, and its words for everything that can go wrong.

use std::fs;
use std::net::SocketAddr;

use serde_json::json;

use crate::client::{Answer, Connection, Request};
use crate::fixtures::{Model, own};
use crate::harness::{Bench, Daemon};

/// What a picture shows, and how large it was when that was found out.
const FLOW: &str = "
inputs:
  image: image
  side: {type: int, default: 256, min: 16, max: 512}
models:
  segmenter: {url: quadrat.mar, output: '{seg_map: tensor<uint8>[h, w]}'}
nodes:
  small: {function: resize, in: {image: image, longest_side: side}}
  segments: {model: segmenter, in: small}
  share: {function: cover, in: segments.seg_map, with: {labels: [sand, seagrass, rock]}}
  size: {function: size_of, in: small}
  answer: {function: merge, in: {shares: share, size: size}}
output: answer
";

/// Of a model that does not say what it gives, a member is wanted that it does not give.
const MISFIT: &str = "
models:
  double: {url: double.mar}
nodes:
  doubled: {model: double, in: request}
  answer: {function: passthrough, in: doubled.words}
output: answer
";

const FRONT: &str = "
name: shares
address: http://127.0.0.1:0
errors: {error: {status: $.status, message: $.message}}
routes:
  - method: POST
    path: /shares
    predict:
      workflow: flow
      field: picture
      part: image
      answer: {width: $.size.width, shares: $.shares}
      missing: {error: send a picture}
      bad_input: {error: that is no picture, why: $.message}
  - {method: POST, path: /half, predict: {workflow: flow, field: picture, part: image, with: {side: 128}}}
  - {method: POST, path: /tiny, predict: {workflow: flow, field: picture, part: image, with: {side: 4}}}
  - {method: POST, path: /lost, predict: {workflow: flow, field: picture, part: image, answer: {x: $.boxes}}}
  - {method: POST, path: /misfit, predict: {workflow: misfit, field: picture}}
  - {method: POST, path: /gone, predict: {workflow: gone, field: picture}}
";

struct Front {
    daemon: Daemon,
    address: SocketAddr,
}

impl Front {
    fn start() -> Self {
        let bench = Bench::new()
            .config("fronts=front.yaml\nmax_request_size=1000000")
            .with(&Model::quadrat())
            .with(&Model::double());
        bench.write("store/flow.yaml", FLOW.as_bytes());
        bench.write("store/misfit.yaml", MISFIT.as_bytes());
        bench.write("front.yaml", FRONT.as_bytes());
        let flags = [
            "--model-store",
            "store",
            "--workflows",
            "flow.yaml",
            "misfit.yaml",
        ];
        let daemon = bench.start_with(&flags);
        daemon.wait_for_ok("/ready");
        let address = daemon.address_of("front shares");
        Front { daemon, address }
    }

    fn post(&self, path: &str, field: &str, picture: &[u8]) -> Answer {
        let form = Request::new("POST", path).multipart(&[(field, Some("a.png"), picture)]);
        Connection::open(self.address).request(&form)
    }
}

#[test]
fn a_workflow_answers_in_the_fronts_shape() {
    let front = Front::start();
    let photo = fs::read(own("quadrats/mixed.png")).expect("a picture");
    let answer = front.post("/shares", "picture", &photo).prediction();
    assert_eq!(answer["width"], 256);
    let form = Request::new("POST", "/wfpredict/flow").multipart(&[("image", None, &photo)]);
    let direct = front.daemon.send(&form).prediction();
    assert_eq!(answer["shares"], direct["shares"]);
    assert_eq!(answer["shares"][0]["name"], "sand");
    // What the front says beside the picture counts, and what its client says does not.
    let half = front.post("/half", "picture", &photo).prediction();
    assert_eq!(half["size"], json!({"width": 128, "height": 128}));
}

#[test]
fn a_workflows_failures_are_in_the_fronts_words() {
    let front = Front::start();
    let photo = fs::read(own("quadrats/mixed.png")).expect("a picture");
    let check =
        |path: &str, field: &str, picture: &[u8], status: u16, expected: serde_json::Value| {
            let answer = front.post(path, field, picture);
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
            assert_eq!(answer.json(), expected, "{path}");
        };
    let error =
        |status: u16, message: &str| json!({"error": {"status": status, "message": message}});
    check(
        "/shares",
        "image",
        &photo,
        400,
        json!({"error": "send a picture"}),
    );
    let why = "Error executing small: input `image` cannot be used: the bytes are not a picture: expected JPEG, PNG, BMP, \
               WebP or GIF";
    let bad = json!({"error": "that is no picture", "why": why});
    check("/shares", "picture", b"no picture", 400, bad);
    check("/half", "picture", b"no picture", 400, error(400, why));
    let bound = "input `side`: expected a number from 16 to 512, found 4";
    check("/tiny", "picture", &photo, 400, error(400, bound));
    let lost = "The answer of the workflow flow has no $.boxes.";
    check("/lost", "picture", &photo, 500, error(500, lost));
    // Asking again would not help, and says so.
    let misfit = "Error executing answer: input `value`: there is no member `words` in what `doubled` gave, which is tensor";
    check("/misfit", "picture", b"[1, 2]", 500, error(500, misfit));
    check(
        "/gone",
        "picture",
        &photo,
        503,
        error(503, "Workflow not found: gone"),
    );
    let large = "The request is larger than the server takes.";
    check(
        "/shares",
        "picture",
        &vec![0; 1_000_001],
        413,
        error(413, large),
    );
    let direct = front.daemon.post("/wfpredict/flow", &vec![0; 1_000_001]);
    assert_eq!(direct.status, 413);
    assert_eq!(direct.json()["type"], "RequestEntityTooLargeException");
    let unknown = "Requested resource is not found, please refer to API document.";
    check(
        "/wfpredict/flow",
        "picture",
        &photo,
        404,
        error(404, unknown),
    );
}
