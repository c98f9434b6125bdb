//! The client `e2e/clients/over_quic`: of another make, and outside of the workspace for what it brings along.

use crate::Outcome;
use crate::process::output;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds it below `target` where it is missing there, which takes minutes the first time.
pub fn build(target: &Path) -> Outcome<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/over_quic/Cargo.toml");
    let target = target.join("clients");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(source);
    cargo.arg("--target-dir").arg(&target);
    output(cargo)?;
    Ok(target.join("debug/over-quic"))
}
