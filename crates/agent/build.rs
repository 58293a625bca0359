//! Compiles `inject/agent.rs`, which runs inside targets, as a shared object of its own: it must not have in it what
//! this workspace's crates depend on, and `cargo install` has to make it without further steps.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    for file in [
        "inject/agent.rs",
        "inject/messages.rs",
        "inject/natives.rs",
        "inject/python.rs",
        "inject/system.rs",
        "inject/trace.rs",
        "../wire/src/lib.rs",
    ] {
        println!("cargo:rerun-if-changed={file}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("agent.so");
    let rustc = env::var_os("RUSTC").expect("cargo sets it");
    let target = env::var("TARGET").expect("cargo sets it");
    let mut command = Command::new(rustc);
    command
        .args([
            "--edition",
            "2024",
            "--crate-name",
            "unknot_agent",
            "--crate-type",
            "cdylib",
        ])
        .args([
            "-C",
            "opt-level=3",
            "-C",
            "panic=abort",
            "-C",
            "strip=symbols",
            "-C",
            "link-arg=-nostartfiles",
        ])
        .arg("--target")
        .arg(&target)
        .arg("-o")
        .arg(&out);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("linker=");
        option.push(linker);
        command.arg("-C").arg(option);
    }
    for flag in env::var("CARGO_ENCODED_RUSTFLAGS")
        .unwrap_or_default()
        .split('\x1f')
    {
        // Lints of the workspace's are for its own crates.
        if !flag.is_empty() && !flag.starts_with("-D") && !flag.starts_with("-W") {
            command.arg(flag);
        }
    }
    command.arg("inject/agent.rs");
    let status = command.status().expect("rustc can be run");
    assert!(status.success(), "the agent does not compile");
}
