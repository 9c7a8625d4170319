//! Lets the program find libtorch with no environment variable, where it was when it was built.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DEP_TORCHRELAY_SHIM_LIB");
    if let Ok(lib) = env::var("DEP_TORCHRELAY_SHIM_LIB") {
        // DT_RPATH rather than DT_RUNPATH: it holds for what the libraries themselves need, too.
        println!("cargo::rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{lib}");
    }
}
