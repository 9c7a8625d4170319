//! Real TorchScript files through the engine: answers, errors, sharing.
#![cfg(feature = "libtorch")]

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use servable::{
    Copied, DType, Device, Input, JobError, LoadError, Loader, Output, Port, Ports, Reason, Rope,
    Tensor, Value,
};
use torch_engine::{ModelFiles, TorchLoader, cuda_devices};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

fn files(weights: PathBuf, handler: &str, settings: &str) -> ModelFiles {
    ModelFiles {
        name: "m".into(),
        dir: weights.parent().expect("a folder").to_owned(),
        weights: Some(weights),
        handler: handler.into(),
        handler_settings: Some(serde_yaml::from_str(settings).expect("YAML")),
        config_file: None,
        limit_max_image_pixels: true,
    }
}

fn loader(file: &str, settings: &str) -> TorchLoader {
    TorchLoader::new(files(fixtures().join(file), "base_handler", settings)).expect("a loader")
}

fn predict(loader: &dyn Loader, inputs: &[Input]) -> Vec<Result<Output, JobError>> {
    let mut servable = loader.load(Device::Cpu).expect("loads");
    servable
        .predict(inputs, NonZeroUsize::MIN)
        .unwrap_or_else(|error| vec![Err(error.into()); inputs.len()])
}

fn row(elements: &[f32]) -> Input {
    let tensor = Tensor::new(vec![elements.len()], elements.to_vec()).expect("a row");
    Input::body("", tensor)
}

fn numbers(result: &Result<Output, JobError>) -> Vec<f32> {
    let Ok(Output {
        value: Value::Tensor(tensor),
        ..
    }) = result
    else {
        panic!("{result:?}")
    };
    tensor.elements::<f32>().expect("single precision").to_vec()
}

#[test]
fn a_module_computes() {
    let inputs = [row(&[1.5, -2.0]), row(&[0.25, 8.0])];
    let results = predict(&loader("double.pt", "{}"), &inputs);
    let found: Vec<_> = results.iter().map(numbers).collect();
    assert_eq!(found, [[3.0, -4.0], [0.5, 16.0]]);
}

#[test]
fn a_batch_equals_its_rows_alone() {
    let loader = loader("mlp.pt", "{shape: [4]}");
    let inputs: Vec<Input> = (0..8u8)
        .map(|i| row(&[f32::from(i), 1.0, -0.5 * f32::from(i), 0.25]))
        .collect();
    let together = predict(&loader, &inputs);
    for (input, together) in inputs.iter().zip(&together) {
        let alone = predict(&loader, std::slice::from_ref(input));
        for (a, b) in numbers(&alone[0]).iter().zip(numbers(together)) {
            assert!((a - b).abs() < 1e-5, "{a} alone, {b} in the batch");
        }
    }
}

/// A module that adds one to the tensor that it is given, where that lies.
fn adds_in_place(folder: &Path) -> PathBuf {
    let example = tch::Tensor::from_slice2(&[[0f32, 0.0]]);
    let mut closure = |inputs: &[tch::Tensor]| vec![inputs[0].shallow_clone().g_add_scalar_(1.0)];
    let module = tch::CModule::create_by_tracing("adds", "forward", &[example], &mut closure);
    let path = folder.join("adds.pt");
    module.expect("traced").save(&path).expect("saved");
    path
}

#[test]
fn a_lone_tensor_is_copied_only_for_a_network_that_writes_to_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |weights: PathBuf, expected: [f32; 2], copies: u64| {
        let loader = TorchLoader::new(files(weights, "base_handler", "{}")).expect("a loader");
        let copied = Copied::counted();
        let mut rope = Rope::new(copied.clone());
        rope.push(Bytes::from_owner(
            [1.5f32, -2.0].map(f32::to_ne_bytes).concat(),
        ));
        let tensor = Tensor::from_rope(DType::F32, vec![2], rope).expect("two elements");
        if !tensor.is_ready() {
            return; // The allocator put it where no number may lie.
        }
        // The first call tries the optimised graph as well, the second runs whichever serves.
        let mut servable = loader.load(Device::Cpu).expect("loads");
        for _ in 0..2 {
            let input = [Input::body("", tensor.clone())];
            let results = servable
                .predict(&input, NonZeroUsize::MIN)
                .expect("answers");
            assert_eq!(numbers(&results[0]), expected);
        }
        assert_eq!(tensor.elements(), Some(&[1.5f32, -2.0][..]), "as it came");
        assert_eq!(copied.bytes(), copies);
    };
    check(fixtures().join("double.pt"), [3.0, -4.0], 0);
    check(adds_in_place(folder.path()), [2.5, -1.0], 16);
}

#[test]
fn loading_shows_which_tensors_go_in_and_come_out() {
    let check = |file: &str, settings: &str, before: &str, after: &str| {
        let loader = loader(file, settings);
        let shown = |ports: &[Port]| {
            let ports = ports
                .iter()
                .map(|port| format!("{}: {}", port.name, port.of));
            ports.collect::<Vec<_>>().join(", ")
        };
        let ports = || {
            let Ports { takes, gives } = loader.signature().ports;
            format!("{} -> {}", shown(&takes), shown(&gives))
        };
        assert_eq!(ports(), before, "{file} {settings}");
        loader.load(Device::Cpu).expect("loads");
        assert_eq!(ports(), after, "{file} {settings}");
        // Whatever was seen, the types promise no more than before.
        assert_eq!(loader.signature().output.to_string(), "any");
    };
    check("mlp.pt", "{}", "input: tensor -> ", "input: tensor -> ");
    check(
        "mlp.pt",
        "{shape: [4], dtype: float32}",
        "input: tensor<float32>[4] -> ",
        "input: tensor<float32>[4] -> output: tensor<float32>[3]",
    );
    check(
        "mlp.pt",
        "{shape: [-1, 4], batched: true}",
        "input: tensor[?, 4] -> ",
        "input: tensor[?, 4] -> output: tensor<float32>[?, 3]",
    );
    check(
        "double.pt",
        "{shape: [2, -1]}",
        "input: tensor[2, ?] -> ",
        "input: tensor[2, ?] -> output: tensor<float32>[2, ?]",
    );
}

#[test]
fn threads_share_one_module() {
    let loader = Arc::new(loader("mlp.pt", "{}"));
    let expected = numbers(&predict(&*loader, &[row(&[1.0, 2.0, 3.0, 4.0])])[0]);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (loader, expected) = (Arc::clone(&loader), expected.clone());
            std::thread::spawn(move || {
                let mut servable = loader.load(Device::Cpu).expect("loads");
                for _ in 0..200 {
                    let inputs = [row(&[1.0, 2.0, 3.0, 4.0])];
                    let found = servable.predict(&inputs, NonZeroUsize::MIN).expect("runs");
                    for (a, b) in numbers(&found[0]).iter().zip(&expected) {
                        assert!((a - b).abs() < 1e-5);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("every thread got the same answers");
    }
}

#[test]
fn what_libtorch_says_reaches_the_client_in_one_line() {
    let results = predict(&loader("mlp.pt", "{}"), &[row(&[1.0, 2.0])]);
    let error = results[0].as_ref().expect_err("two numbers for four");
    assert_eq!(error.reason, Reason::Failed);
    let message = &error.message;
    assert!(message.starts_with("Prediction failed: "), "{message}");
    assert!(
        message.contains("mat1 and mat2 shapes cannot be multiplied"),
        "{message}"
    );
    assert_eq!(message.lines().count(), 1);
}

/// The error of a model whose weights are these bytes, when the loader is made or, failing that, when it loads.
fn load_error(bytes: &[u8]) -> LoadError {
    let folder = tempfile::tempdir().expect("a folder");
    let weights = folder.path().join("m.pt");
    fs::write(&weights, bytes).expect("written");
    match TorchLoader::new(files(weights, "base_handler", "{}")) {
        Ok(loader) => loader.load(Device::Cpu).err().expect("not loadable"),
        Err(error) => error,
    }
}

#[test]
fn weights_that_are_none_are_refused_by_what_they_are() {
    let check = |bytes: &[u8], expected: &str| {
        let error = load_error(bytes).to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    };
    check(b"", "m.pt is an empty file; expected a TorchScript module");
    let unknown = "m.pt is no model file that is known here; expected a TorchScript module";
    check(b"hello, world", unknown);
    check(
        b"\x80\x02}q\x00.",
        "m.pt is a bare pickle, which takes Python to load",
    );
    let good = fs::read(fixtures().join("mlp.pt")).expect("the fixture");
    check(&good[..good.len() / 2], unknown);
    // Whole as a zip, but the module in it is spoilt.
    let mut spoilt = good;
    let pickle = spoilt.windows(2).position(|window| window == b"\x80\x02");
    let start = pickle.expect("the module's pickle");
    spoilt[start..start + 7].fill(0);
    check(&spoilt, "libtorch cannot load m.pt: ");
}

#[test]
fn what_a_loader_needs_is_checked_before_weights_are_read() {
    let error = |files: ModelFiles| {
        let refused = TorchLoader::new(files).err();
        refused.expect("refused").to_string()
    };
    let mlp = fixtures().join("mlp.pt");
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("MAR-INF")).expect("a folder");
    fs::write(folder.path().join("MAR-INF/MANIFEST.json"), "{}").expect("written");
    let without = ModelFiles {
        weights: None,
        dir: folder.path().to_owned(),
        ..files(mlp.clone(), "base_handler", "{}")
    };
    assert_eq!(
        error(without),
        "the manifest names no serializedFile, so there is no network to load"
    );
    let python = error(files(mlp.clone(), "mine.py", "{}"));
    assert!(python.contains("which takes a Python worker"), "{python}");
    let typo = error(files(mlp, "base_handler", "{shpe: [4]}"));
    assert!(typo.contains("shpe") && typo.contains("shape"), "{typo}");
}

#[test]
fn workers_on_one_cuda_device_compute_side_by_side() {
    if let Err(error) = cuda_devices() {
        eprintln!("skipped: {error}");
        return;
    }
    let loader = loader("double.pt", "{}");
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let loader = &loader;
            scope.spawn(move || {
                let mut servable = loader.load(Device::Cuda(0)).expect("loads");
                for round in 0..200 {
                    let value = (worker * 1000 + round) as f32;
                    let found = servable.predict(&[row(&[value])], NonZeroUsize::MIN);
                    assert_eq!(numbers(&found.expect("runs")[0]), [2.0 * value]);
                }
            });
        }
    });
}

#[test]
fn a_cuda_device_computes_the_same() {
    if let Err(error) = cuda_devices() {
        eprintln!("skipped: {error}");
        return;
    }
    let loader = loader("mlp.pt", "{}");
    let input = [row(&[1.0, 2.0, 3.0, 4.0])];
    let expected = numbers(&predict(&loader, &input)[0]);
    let mut servable = loader.load(Device::Cuda(0)).expect("loads");
    let found = servable.predict(&input, NonZeroUsize::MIN).expect("runs");
    for (a, b) in numbers(&found[0]).iter().zip(&expected) {
        assert!((a - b).abs() < 1e-4, "{a} on the device, {b} on the CPU");
    }
}
