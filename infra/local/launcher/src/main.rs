//! `cargo dev`: builds the local stack, optimised with `--release`, and becomes it.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use torale_launcher::{build_arguments, build_folder};

/// The binary of the local stack.
const STACK: &str = "torale-local";
/// The simulated platform, which the stack starts with `--platform`.
const PLATFORM: &str = "simulated-platform";
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../Cargo.toml");

fn main() -> ExitCode {
    let is_given = |flag: &str| std::env::args().skip(1).any(|argument| argument == flag);
    let platform = is_given("--platform").then_some(PLATFORM);
    match run(is_given("--release"), &[&[STACK], platform.as_slice()].concat()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: cannot start the local stack: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns only if the build fails.
fn run(optimised: bool, binaries: &[&str]) -> std::io::Result<ExitCode> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(build_arguments(optimised, binaries.iter().copied())).args(["--manifest-path", MANIFEST]);
    if !build.status()?.success() {
        return Ok(ExitCode::FAILURE);
    }
    let program = target_folder()?.join(build_folder(optimised)).join(STACK);
    Err(Command::new(program).args(std::env::args_os().skip(1)).exec())
}

/// The target folder: this program lies in a profile's folder of it.
fn target_folder() -> std::io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.parent().and_then(|profile| profile.parent());
    target.map(PathBuf::from).ok_or_else(|| std::io::Error::other("it is in no target folder"))
}
