//! `cargo xtask`: every chore of the project, as code.
//!
//! Each chore is a file; `run.rs` is the one place that starts other programs.

mod packages;
mod run;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask CHORE

  test [--quick]      everything that must hold: format, lints, tidy, unit, contract and end-to-end tests,
                      smbtorture with its known-fail list, a short run of each fuzz target.
                      Installs the Debian packages that it needs when run as root. --quick: without those
                      that need packages
  tidy                the rules of the code base that no compiler checks
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => test::all(),
        ["test", "--quick"] => test::quick(),
        ["tidy"] => tidy::check(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(format!("unknown chore: {}\n\n{HELP}", words.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}
