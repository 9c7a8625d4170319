//! Compiles the shim against libtorch, and tells dependants where libtorch's libraries are.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_LIBTORCH").is_some() {
        #[cfg(feature = "libtorch")]
        shim();
    }
}

#[cfg(feature = "libtorch")]
fn shim() {
    use std::path::PathBuf;

    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-changed=shim/shim.cpp");
    println!("cargo::rerun-if-changed=shim/shim.h");
    let Some(libtorch) = env::var_os("LIBTORCH").map(PathBuf::from) else {
        println!(
            "cargo::error=LIBTORCH is not set; build inside the workspace, whose .cargo/config.toml sets it"
        );
        return;
    };
    let Ok(libtorch) = libtorch.canonicalize() else {
        println!(
            "cargo::error=no libtorch at {}; run `cargo xtask libtorch` first",
            libtorch.display()
        );
        return;
    };
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .include(libtorch.join("include"))
        .include(libtorch.join("include/torch/csrc/api/include"))
        .file("shim/shim.cpp")
        .compile("torchrelay_shim");
    let lib = libtorch.join("lib");
    println!("cargo::metadata=lib={}", lib.display());
    println!("cargo::rustc-env=TORCHRELAY_LIBTORCH_LIB={}", lib.display());
    // For this package's own tests and benches; packages with binaries repeat it in their build scripts.
    println!(
        "cargo::rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{}",
        lib.display()
    );
}
