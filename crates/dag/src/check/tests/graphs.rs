//! Specs that are right.

use insta::assert_snapshot;

use super::checked;

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
