//! What a process answers is what the servable answers here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use servable::{
    DType, Device, Image, Input, Loader, Output, Part, PartSink, Parts, Rope, Servable, Task,
    Tensor, Unwanted, Value,
};

use crate::harness::{ask, direct, isolated, loaded, number, text, value};
use isolation::Bounds;

/// Types, shapes and bits of all that is in it.
fn bits(value: &Value) -> String {
    match value {
        Value::Float(number) => format!("float {:x}", number.to_bits()),
        Value::Tensor(tensor) => format!(
            "{} {:?} {}",
            tensor.dtype(),
            tensor.shape(),
            tensor.bytes().escape_ascii()
        ),
        Value::Image(image) => {
            let pixels = image.decoded().map(|pixels| bits(&Value::Tensor(pixels)));
            format!("picture {:?} {pixels:?}", image.file())
        }
        Value::List(items) => format!("{:?}", items.iter().map(bits).collect::<Vec<_>>()),
        Value::Map(items) => {
            let members = items.iter().map(|(name, item)| (name, bits(item)));
            format!("{:?}", members.collect::<Vec<_>>())
        }
        plain @ (Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Text(_)
        | Value::Bytes(_)) => {
            format!("{plain:?}")
        }
    }
}

fn tensor(dtype: DType, shape: &[usize], bytes: &[u8]) -> Value {
    let rope = Rope::from(bytes::Bytes::copy_from_slice(bytes));
    Value::Tensor(Tensor::from_rope(dtype, shape.to_vec(), rope).expect("as many bytes"))
}

#[test]
fn values_come_back_to_the_last_bit() {
    let mut servable = loaded();
    let mut check = |value: Value| {
        let input = Input {
            parts: vec![Part {
                name: "x".into(),
                content_type: String::new(),
                value: value.clone(),
            }],
            ..Input::default()
        };
        let found = self::value(servable.as_mut(), input);
        assert!(
            bits(&found) == bits(&value),
            "{value:?} came back as {found:?}"
        );
    };
    // Signalling and quiet, with something in them, and of either sign.
    let nans32 = [0x7f80_0001u32, 0xffc0_beef, 0x7fff_ffff, 0x8000_0000];
    let nans32: Vec<u8> = nans32.iter().flat_map(|bits| bits.to_ne_bytes()).collect();
    let nans64 = [0x7ff0_0000_0000_0001u64, 0xfff8_dead_beef_0001];
    let nans64: Vec<u8> = nans64.iter().flat_map(|bits| bits.to_ne_bytes()).collect();
    let nans16: Vec<u8> = [0x7c01u16, 0xfe99, 0x7f81, 0xffff]
        .iter()
        .flat_map(|bits| bits.to_ne_bytes())
        .collect();
    check(tensor(DType::F32, &[2, 2], &nans32));
    check(tensor(DType::F64, &[2], &nans64));
    check(tensor(DType::F16, &[4], &nans16));
    check(tensor(DType::BF16, &[1, 4], &nans16));
    check(tensor(DType::Bool, &[3], &[0, 1, 1]));
    check(tensor(DType::U8, &[0, 7], &[]));
    check(tensor(DType::I8, &[], &[200]));
    check(tensor(DType::I16, &[2], &[1, 2, 3, 4]));
    check(tensor(DType::I32, &[1], &[255; 4]));
    check(tensor(DType::I64, &[1], &[128; 8]));
    let large: Vec<u8> = (0..12u32 << 18).flat_map(u32::to_ne_bytes).collect();
    check(tensor(DType::F32, &[3, 1024, 1024], &large));
    for number in [
        0.1,
        -0.0,
        f64::INFINITY,
        f64::from_bits(0xfff8_0000_0000_0007),
    ] {
        check(Value::list([Value::Float(number)]));
    }
    check(Value::list([Value::Int(i64::MIN), Value::Int(i64::MAX)]));
    check(Value::Bytes((0..=255).collect::<Vec<u8>>().into()));
    check(Value::Image(Image::from_file("a file")));
    let pixels = Tensor::new(vec![2, 3, 3], vec![7u8; 18]).expect("as many");
    check(Value::Image(Image::from_pixels(pixels).expect("a picture")));
    check(Value::map([
        (
            "b",
            Value::list([Value::Null, Value::Bool(true), Value::from("ü\0")]),
        ),
        ("a", tensor(DType::U8, &[1], &[9])),
        ("", Value::map([("c", Value::Float(1.5))])),
    ]));
}

#[test]
fn answers_and_errors_are_those_of_the_servable() {
    let (mut there, mut here) = (loaded(), direct());
    let mut check = |cues: &[&str]| {
        let inputs: Vec<Input> = cues.iter().map(|cue| text(cue)).collect();
        let found = ask(there.as_mut(), &inputs);
        let expected = ask(here.as_mut(), &inputs);
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{cues:?}");
        assert_eq!(there.around(), here.around());
    };
    check(&["echo me"]);
    check(&["echo", "bad", "batch", "bad"]);
    check(&["echo", "fail"]);
    check(&["full"]);
    check(&["die"]);
    check(&["batch", "batch", "batch"]);
    check(&[]);
}

#[test]
fn all_of_a_request_gets_there() {
    let mut servable = loaded();
    let threads = std::num::NonZeroUsize::new(3).expect("three");
    let answers = servable.predict(&[text("threads")], threads);
    assert!(matches!(
        answers.expect("answered")[0]
            .as_ref()
            .map(|output| &output.value),
        Ok(Value::Int(3))
    ));
    let whole = Input {
        id: "id".into(),
        task: Task::Explain,
        headers: vec![("X-Foo".into(), "ü".into())],
        parts: vec![Part {
            name: "data".into(),
            content_type: "text/plain".into(),
            value: "echo all".into(),
        }],
        ..Input::default()
    };
    assert!(matches!(value(servable.as_mut(), whole), Value::Text(text) if &*text == "echo all"));
}

#[test]
fn a_panic_goes_on_here_as_it_began_there() {
    let told = |servable: &mut dyn Servable| {
        let call = AssertUnwindSafe(|| ask(servable, &[text("panic")]));
        let panic = catch_unwind(call).expect_err("it panics");
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| panic.downcast_ref::<String>().cloned())
    };
    let mut servable = loaded();
    assert_eq!(told(servable.as_mut()), told(direct().as_mut()));
    assert!(!servable.is_alive(), "another is to be loaded");
}

#[test]
fn one_that_has_fainted_says_so() {
    let mut servable = loaded();
    assert!(servable.is_alive());
    assert!(ask(servable.as_mut(), &[text("faint")]).is_ok());
    assert!(!servable.is_alive());
}

/// Takes so many parts.
struct Few {
    most: usize,
    taken: Mutex<Vec<String>>,
}

impl PartSink for Few {
    fn put(&self, part: Output) -> Result<(), Unwanted> {
        let mut taken = self.taken.lock().expect("a lock");
        if taken.len() == self.most {
            return Err(Unwanted);
        }
        taken.push(bits(&part.value));
        Ok(())
    }

    fn is_unwanted(&self) -> bool {
        self.taken.lock().expect("a lock").len() == self.most
    }

    fn has_begun(&self) -> bool {
        !self.taken.lock().expect("a lock").is_empty()
    }
}

#[test]
fn parts_come_as_they_are_made_and_end_when_nobody_takes_them() {
    let told = |mut servable: Box<dyn Servable>, most: usize| {
        let few = Arc::new(Few {
            most,
            taken: Mutex::default(),
        });
        let input = Input {
            parts_to: Some(Parts::new(Arc::clone(&few) as Arc<dyn PartSink>)),
            ..text("parts 3 0 echo rest")
        };
        let answers = ask(servable.as_mut(), &[input]);
        let taken = few.taken.lock().expect("a lock").clone();
        format!("{taken:?} {answers:?}")
    };
    for most in [0, 2, 9] {
        assert_eq!(told(loaded(), most), told(direct(), most), "{most} at most");
    }
}

#[test]
fn what_loading_shows_is_known_here() {
    let loader = isolated("stub", Bounds::default());
    let _servable = loader.load(Device::Cpu).expect("it loads");
    let signature = loader.signature();
    let told: Vec<String> = signature
        .ports
        .takes
        .iter()
        .map(|port| format!("{}: {}", port.name, port.of))
        .collect();
    assert_eq!(told, ["x: tensor<float32>"]);
    assert_eq!(loader.labels(), ["sand", "rock"]);
}

#[test]
fn two_workers_are_two_processes() {
    let loader = isolated("stub", Bounds::default());
    let mut two = [(); 2].map(|()| loader.load(Device::Cpu).expect("it loads"));
    let pids = two
        .each_mut()
        .map(|servable| number(servable.as_mut(), "pid"));
    assert!(pids[0] != pids[1] && !pids.contains(&std::process::id().into()));
    let told = two.map(|servable| servable.process().map(i64::from));
    assert_eq!(told, pids.map(Some));
}

#[test]
fn who_has_a_picture_hears_that_it_was_turned() {
    let images = [
        Image::from_file("a"),
        Image::from_file("b"),
        Image::from_file("c"),
    ];
    let part = |(name, image): (&str, &Image)| Part {
        name: name.into(),
        content_type: String::new(),
        value: image.clone().into(),
    };
    let input = Input {
        parts: ["data", "turn", "x"]
            .into_iter()
            .zip(&images)
            .map(part)
            .collect(),
        ..Input::default()
    };
    ask(loaded().as_mut(), &[input]).expect("answered");
    assert_eq!(
        images.map(|image| image.was_upright()),
        [false, true, false]
    );
}
