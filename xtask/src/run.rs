//! Starting other programs, with what was started said in the error.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

pub type Outcome<T = ()> = Result<T, String>;

/// The workspace's root.
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies in the workspace").to_path_buf()
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Runs a program to its end in the workspace's root, its output shown; an error when it fails.
pub fn run(program: &str, words: &[&str]) -> Outcome {
    run_with(program, words, &[])
}

/// The same with further environment.
pub fn run_with(program: &str, words: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let mut command = Command::new(program);
    command.args(words).envs(environment.iter().copied()).current_dir(root());
    let line = format!("{program} {}", words.join(" "));
    eprintln!("xtask: {line}");
    to_its_end(command).map_err(|why| format!("{line}: {why}"))
}

/// Runs a command to its end; only its program's name is told.
pub fn to_its_end(mut command: Command) -> Outcome {
    let program = command.get_program().to_string_lossy().into_owned();
    let begun = Instant::now();
    let status = command.status().map_err(|error| format!("cannot start {program}: {error}"))?;
    if status.success() {
        eprintln!("xtask: done in {:.0} s", begun.elapsed().as_secs_f64());
        return Ok(());
    }
    Err(format!("{program} ended with {status}"))
}

/// What a program prints; an error when it fails.
pub fn output(program: &str, words: &[&str]) -> Outcome<String> {
    let output = Command::new(program)
        .args(words)
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program} {} ended with {}", words.join(" "), output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{program} did not print UTF-8"))
}

/// Whether a program is there and answers to `words`.
pub fn there(program: &str, words: &[&str]) -> bool {
    let quiet = Command::new(program).args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// The cargo that runs this chore.
pub fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
