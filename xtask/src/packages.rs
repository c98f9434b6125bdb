//! What the tests need from outside: Debian packages, Python packages, cargo tools.
//! Installed when run as root; else what is missing is said, all of it at once.

use crate::run::{self, Outcome};

/// A program that must be there, and the Debian package that has it.
const DEBIAN: [(&str, &[&str], &str); 6] = [
    ("smbd", &["--version"], "samba"),
    ("smbclient", &["--version"], "smbclient"),
    ("smbtorture", &["--version"], "samba-testsuite"),
    ("ip", &["-V"], "iproute2"),
    ("cc", &["--version"], "gcc"),
    ("nsenter", &["--version"], "util-linux"),
];

/// Python modules, and the package that has each.
const PYTHON: [(&str, &str); 2] = [("smbprotocol", "smbprotocol"), ("impacket", "impacket")];

/// The Python that runs the tests' scripts.
pub const PYTHON_PROGRAM: &str = "python3";

/// Installs what is missing.
pub fn ensure() -> Outcome {
    let debian: Vec<&str> = DEBIAN
        .iter()
        .filter(|(program, words, _)| !run::there(program, words))
        .map(|(_, _, package)| *package)
        .collect();
    let root = run::output("id", &["-u"])?.trim() == "0";
    if !debian.is_empty() && !root {
        return Err(format!(
            "missing: install the Debian packages {} (or run this as root)",
            debian.join(" ")
        ));
    }
    if !debian.is_empty() {
        let noninteractive = [("DEBIAN_FRONTEND", "noninteractive")];
        run::run("apt-get", &["-q", "update"])?;
        let mut words = vec!["-q", "install", "-y", "--no-install-recommends"];
        words.extend(&debian);
        run::run_with("apt-get", &words, &noninteractive)?;
    }
    let python: Vec<&str> = PYTHON
        .iter()
        .filter(|(module, _)| !run::there(PYTHON_PROGRAM, &["-c", &format!("import {module}")]))
        .map(|(_, package)| *package)
        .collect();
    if python.is_empty() {
        return Ok(());
    }
    let mut words = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    words.extend(&python);
    run::run(PYTHON_PROGRAM, &words)
}
