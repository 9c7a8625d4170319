//! Lets the daemon, its tests and its benches find libtorch with no environment variable: beside the binary once it is
//! installed, else where it was when they were built.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DEP_TORCHRELAY_SHIM_LIB");
    if let Ok(lib) = env::var("DEP_TORCHRELAY_SHIM_LIB") {
        // DT_RPATH rather than DT_RUNPATH: it holds for what the libraries themselves need, too.
        println!(
            "cargo::rustc-link-arg=-Wl,--disable-new-dtags,-rpath,$ORIGIN/../lib/torchrelay,-rpath,{lib}"
        );
    }
}
