//! Requests that say how the network is to run, and parameters from requests that do not suit what it gives.

use std::cell::RefCell;
use std::num::NonZeroUsize;

use servable::{BatchError, Device, Input, Part, Reason, Value};

use super::doubled;
use crate::Network;
use crate::testing::{body, handler, refusal};

const ASKED: &str = "{pipeline: {
    inputs: {
        x: 'tensor<f32>[n, 1]',
        together: {type: int, default: 0},
        cores: {type: int, default: 0},
        where: {type: text, default: any}},
    nodes: {network: {in: x}}},
    asked: {batch_size: together, threads: cores, device: where}}";

/// Doubles on a device, and writes down how many rows came on how many threads.
struct Seen {
    device: Device,
    passes: RefCell<Vec<(usize, usize)>>,
}

impl Network for Seen {
    fn forward(&mut self, arguments: &[Value], threads: NonZeroUsize) -> Result<Value, BatchError> {
        let Value::Tensor(given) = &arguments[0] else {
            panic!("a tensor");
        };
        let pass = (given.shape()[0], threads.get());
        self.passes.borrow_mut().push(pass);
        Ok(doubled(given))
    }

    fn device(&self) -> Device {
        self.device
    }
}

fn input(parts: &[(&str, &str)]) -> Input {
    let part = |(name, text): &(&str, &str)| Part {
        name: (*name).into(),
        content_type: String::new(),
        value: Value::Bytes(bytes::Bytes::copy_from_slice(text.as_bytes())),
    };
    let x = [("x", "[[1]]")];
    Input {
        parts: x.iter().chain(parts).map(part).collect(),
        ..Input::default()
    }
}

/// How a batch of such requests is run, on eight threads at most.
fn check(
    requests: &[&[(&str, &str)]],
    device: Device,
    passes: &[(usize, usize)],
    refused: &[&str],
) {
    let inputs: Vec<_> = requests.iter().map(|parts| input(parts)).collect();
    let mut network = Seen {
        device,
        passes: RefCell::default(),
    };
    let threads = NonZeroUsize::new(8).expect("eight");
    let answers = handler("pipeline", ASKED).predict(&mut network, &inputs, threads);
    let answers = answers.expect("a batch");
    let errors: Vec<String> = answers
        .into_iter()
        .filter_map(Result::err)
        .map(|error| {
            assert_eq!(error.reason, Reason::BadInput, "{error}");
            error.message
        })
        .collect();
    assert_eq!(errors, refused, "{requests:?}");
    assert_eq!(*network.passes.borrow(), passes, "{requests:?}");
}

#[test]
fn a_pass_keeps_the_bounds_of_everyone_in_it() {
    let cpu = Device::Cpu;
    check(&[&[], &[], &[]], cpu, &[(3, 8)], &[]);
    check(
        &[&[("together", "1")], &[], &[]],
        cpu,
        &[(1, 8), (2, 8)],
        &[],
    );
    check(
        &[&[], &[("together", "2")], &[]],
        cpu,
        &[(2, 8), (1, 8)],
        &[],
    );
    check(
        &[&[("cores", "3")], &[("cores", "5")], &[]],
        cpu,
        &[(3, 3)],
        &[],
    );
    check(&[&[("cores", "100")]], cpu, &[(1, 8)], &[]);
    check(
        &[&[("cores", "-1")], &[("together", "-2")]],
        cpu,
        &[],
        &[
            "input `cores`: expected a whole number from 1 on, found -1",
            "input `together`: expected a whole number from 1 on, found -2",
        ],
    );
}

#[test]
fn another_device_is_refused() {
    let gpu = Device::Cuda(1);
    let asks = |device| [("where", device)];
    for device in ["any", "gpu", "cuda", "GPU", "cuda:1"] {
        check(&[&asks(device)], gpu, &[(1, 8)], &[]);
    }
    for device in ["cpu", "cuda:0"] {
        let why = format!("input `where`: expected gpu, where the model is, found `{device}`");
        check(&[&asks(device)], gpu, &[], &[&why]);
    }
    let why = "input `where`: expected cpu, where the model is, found `gpu`";
    check(
        &[&asks("cpu"), &asks("gpu")],
        Device::Cpu,
        &[(1, 8)],
        &[why],
    );
}

#[test]
fn what_asks_must_be_inputs_of_their_kind() {
    let check = |asked: &str, expected: &str| {
        let settings = ASKED.replace(
            "{batch_size: together, threads: cores, device: where}",
            asked,
        );
        assert_eq!(refusal("pipeline", &settings), expected);
    };
    check(
        "{threads: core}",
        "handler.asked.threads: the graph has no input `core`",
    );
    check(
        "{threads: where}",
        "handler.asked.threads: input `where` is text, expected int",
    );
    check(
        "{thread: cores}",
        "handler.asked.thread: unknown parameter, did you mean `threads`?",
    );
}

#[test]
fn a_parameter_of_the_request_that_does_not_suit_the_network_is_the_clients_fault() {
    let settings = |argmax: &str| {
        format!(
            "{{pipeline: {{
                inputs: {{x: 'tensor<f32>[n, 1]', best: {{type: bool, default: true}}}},
                nodes: {{network: {{in: x}}, mask: {{function: class_map, {argmax}}}}},
                output: mask}}}}"
        )
    };
    let check = |argmax: &str, reason: Reason, expected: &str| {
        let mut network = Seen {
            device: Device::Cpu,
            passes: RefCell::default(),
        };
        let inputs = [input(&[("best", "false")])];
        let mut handler = handler("pipeline", &settings(argmax));
        let answers = handler.predict(&mut network, &inputs, NonZeroUsize::MIN);
        let answer = answers.expect("a batch").remove(0);
        assert_eq!(
            answer.as_ref().err().map(|error| error.reason),
            Some(reason)
        );
        assert_eq!(body(answer), expected);
    };
    check(
        "in: {given: network, argmax: best}",
        Reason::BadInput,
        "node `mask`: input `best`: expected true, found false: the segmenter gives scores, float32[1, 1], of which the best must be taken",
    );
    // Whoever wrote the graph did.
    check(
        "in: network, with: {argmax: false}",
        Reason::Failed,
        "node `mask`: parameter `argmax`: expected true, found false: the segmenter gives scores, float32[1, 1], of which the best must be taken",
    );
}
