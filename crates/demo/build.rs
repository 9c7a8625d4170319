//! Tells the linker where libtorch lies, so that the programs and tests of this crate find it with no environment
//! variable set. Without the feature `libtorch` there is nothing to find.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if std::env::var_os("CARGO_FEATURE_LIBTORCH").is_none() {
        return;
    }
    let Some(libtorch) = std::env::var_os("LIBTORCH") else {
        return;
    };
    // A LIBTORCH that does not exist is reported by torch-sys, in better words than ours.
    if let Ok(libtorch) = Path::new(&libtorch).canonicalize() {
        // DT_RPATH rather than DT_RUNPATH: only the former is also searched for what the libraries themselves need.
        println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
        println!(
            "cargo:rustc-link-arg=-Wl,-rpath,{}",
            libtorch.join("lib").display()
        );
    }
}
