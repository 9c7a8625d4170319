use servable::{BatchError, Reason};

use super::*;
use crate::testing::{ONE, on_tensor, tensor};

/// Takes texts of numbers (`1 2 3`), refuses others, and answers with what the network gave.
struct Numbers;

impl Stages for Numbers {
    type Row = Vec<f32>;

    fn preprocess(&self, input: &Input) -> Result<Vec<f32>, JobError> {
        let Some(Value::Text(text)) = input.payload().map(|part| &part.value) else {
            return Err(JobError::bad_input("no text"));
        };
        text.split_whitespace()
            .map(|word| {
                word.parse()
                    .map_err(|_| JobError::bad_input(format!("`{word}`")))
            })
            .collect()
    }

    fn layout(&self, row: &Vec<f32>) -> Layout {
        Layout {
            dtype: DType::F32,
            item: vec![row.len()],
            items: None,
        }
    }

    fn write(&self, row: &Vec<f32>, into: &mut [u8]) {
        into.copy_from_slice(bytemuck::cast_slice(row));
    }

    fn postprocess(&self, _: &Input, _: Vec<f32>, result: Value) -> Result<Output, JobError> {
        Ok(Output::new(result))
    }
}

fn inputs(texts: &[&str]) -> Vec<Input> {
    texts.iter().map(|text| Input::body("", *text)).collect()
}

/// Runs the texts through a network that doubles, and compares the answers and the shapes it was called with.
fn check(texts: &[&str], expected: &[&str], calls: &[&[usize]]) {
    let mut shapes = Vec::new();
    let mut network = on_tensor(|batch| {
        shapes.push(batch.shape().to_vec());
        let doubled: Vec<f32> = batch
            .elements::<f32>()
            .expect("f32")
            .iter()
            .map(|n| n * 2.)
            .collect();
        tensor(batch.shape(), &doubled).into()
    });
    let answers = run(&Numbers, &mut network, &inputs(texts), ONE).expect("answers");
    let answers: Vec<_> = answers.into_iter().map(crate::testing::body).collect();
    assert_eq!(answers, expected);
    drop(network);
    assert_eq!(shapes, calls);
}

#[test]
fn rows_of_one_shape_share_a_run_and_a_bad_input_fails_alone() {
    check(
        &["1 2", "x", "3 4 5", "6 7"],
        &["[2.0, 4.0]", "`x`", "[6.0, 8.0, 10.0]", "[12.0, 14.0]"],
        &[&[2, 2], &[1, 3]],
    );
    check(&[], &[], &[]);
    check(&["x", "y"], &["`x`", "`y`"], &[]);
}

#[test]
fn explanations_are_refused_alone() {
    let mut requests = inputs(&["1", "2"]);
    requests[0].task = Task::Explain;
    let mut network = on_tensor(|batch| batch.clone().into());
    let answers = run(&Numbers, &mut network, &requests, ONE).expect("answers");
    let reasons: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().err().map(|error| error.reason))
        .collect();
    assert_eq!(reasons, [Some(Reason::Unsupported), None]);
}

fn check_failed(result: Value, detail: &str) {
    let mut network = on_tensor(|_| result.clone());
    let error = run(&Numbers, &mut network, &inputs(&["1", "2"]), ONE)
        .expect_err("two rows were asked for");
    let expected = BatchError::new(Reason::Failed, "number of batch response mismatched")
        .with_detail(format!(
            "the network was given 2 rows and returned {detail}"
        ));
    assert_eq!(error, expected);
}

#[test]
fn a_result_of_other_rows_fails_the_batch() {
    check_failed(
        tensor(&[3, 1], &[0f32; 3]).into(),
        "a tensor of shape [3, 1]",
    );
    check_failed(tensor(&[], &[0f32]).into(), "a tensor of shape []");
    check_failed(Value::Null, "null where a tensor was expected");
    check_failed(
        Value::list([
            tensor(&[2], &[0f32; 2]).into(),
            tensor(&[1], &[0f32]).into(),
        ]),
        "a tensor of shape [1]",
    );
}

#[test]
fn tuples_and_maps_are_split_member_by_member() {
    let mut network = on_tensor(|batch| {
        Value::map([
            ("same", batch.clone().into()),
            ("ids", tensor(&[2], &[7i64, 8]).into()),
        ])
    });
    let answers = run(&Numbers, &mut network, &inputs(&["1", "2"]), ONE).expect("answers");
    let answers: Vec<_> = answers.into_iter().map(crate::testing::body).collect();
    assert_eq!(
        answers,
        [
            "{\n  \"same\": [1.0],\n  \"ids\": 7\n}",
            "{\n  \"same\": [2.0],\n  \"ids\": 8\n}"
        ]
    );
}
