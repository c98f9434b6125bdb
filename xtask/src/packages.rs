//! What the tests need from outside: Debian packages, Python packages, crates and Samba of now. Installed when run as
//! root; else what is missing is said, all of it at once.
//!
//! All of it is brought before the first test, and asked for again when the network has a gap: a long run is not lost
//! for one near its end.

use crate::run::{self, Outcome};
use std::path::PathBuf;

/// A program that must be there, the words that it answers to with success, and the Debian package that has it.
type Program = (&'static str, &'static [&'static str], &'static str);

const DEBIAN: [Program; 19] = [
    ("smbd", &["--version"], "samba"),
    ("smbclient", &["--version"], "smbclient"),
    ("rpcclient", &["--version"], "smbclient"),
    ("debootstrap", &["--version"], "debootstrap"),
    ("ip", &["-V"], "iproute2"),
    ("nft", &["--version"], "nftables"),
    ("cc", &["--version"], "gcc"),
    ("nsenter", &["--version"], "util-linux"),
    ("openssl", &["version"], "openssl"),
    ("wsdd", &["--version"], "wsdd"),
    // Some have no question that they answer with success.
    ("ls", &["/usr/sbin/sshd"], "openssh-server"),
    ("ls", &["/usr/bin/ssh-keygen", "/usr/bin/ssh-keyscan"], "openssh-client"),
    ("mkfs.btrfs", &["--version"], "btrfs-progs"),
    ("mkfs.xfs", &["-V"], "xfsprogs"),
    ("ls", &["/usr/sbin/krb5kdc"], "krb5-kdc"),
    ("ls", &["/usr/sbin/kadmin.local"], "krb5-admin-server"),
    ("klist", &["-V"], "krb5-user"),
    ("ls", &["/usr/share/samba/setup/provision.ldif"], "samba-ad-provision"),
    ("ls", &["/usr/lib/x86_64-linux-gnu/samba/ldb/samba_dsdb.so"], "samba-ad-dc"),
];

/// What `xtask posix` needs.
const POSIX: [Program; 9] = [
    ("fio", &["--version"], "fio"),
    ("stress-ng", &["--version"], "stress-ng"),
    ("ls", &["/usr/share/dbench/client.txt"], "dbench"),
    ("bindfs", &["--version"], "bindfs"),
    ("fusermount3", &["--version"], "fuse3"),
    ("mkfs.ext4", &["-V"], "e2fsprogs"),
    ("ip", &["-V"], "iproute2"),
    ("setpriv", &["--version"], "util-linux"),
    // pjdfstest is built with it.
    ("ls", &["/usr/include/sys/acl.h"], "libacl1-dev"),
];

/// What `xtask bench mirror` needs.
const MIRROR: [Program; 8] = [
    // It has no question that it answers with success.
    ("ls", &["/usr/sbin/sshd"], "openssh-server"),
    ("ssh", &["-V"], "openssh-client"),
    ("rsync", &["--version"], "rsync"),
    ("lsyncd", &["--version"], "lsyncd"),
    ("unison", &["-version"], "unison"),
    ("fusermount3", &["--version"], "fuse3"),
    ("mkfs.ext4", &["-V"], "e2fsprogs"),
    ("ip", &["-V"], "iproute2"),
];

/// A Python module, and what pip installs for it.
type Module = (&'static str, &'static str);

const PYTHON: [Module; 2] = [("smbprotocol", "smbprotocol==1.17.0"), ("impacket", "impacket==0.13.1")];

/// Built and tested with this one.
const CARGO_FUZZ: &str = "0.13.2";

/// Workspaces besides the first one, each with crates of its own.
const APART: [&str; 2] = ["fuzz", "e2e/clients/over_quic"];

/// How often cargo asks again, up to 10 s apart, and apt.
const RETRIES: &str = "10";

/// The Python that runs the tests' scripts.
pub const PYTHON_PROGRAM: &str = "python3";

/// Installs what is missing.
pub fn ensure() -> Outcome {
    install(&DEBIAN, &PYTHON)
}

/// The same for the suites of `xtask posix` alone.
pub fn ensure_posix() -> Outcome {
    install(&POSIX, &[])
}

/// The same for the peers of `xtask bench mirror`, which nothing else needs.
pub fn ensure_mirror() -> Outcome {
    install(&MIRROR, &[])
}

/// Whether this is root.
pub fn is_root() -> Outcome<bool> {
    Ok(run::output("id", &["-u"])?.trim() == "0")
}

/// A program of a crate of this name, built below target/ where it is not there.
pub fn tool(name: &str, version: &str) -> Outcome<PathBuf> {
    let root = run::target().join("tools").join(format!("{name}-{version}"));
    let program = root.join("bin").join(name);
    if !program.exists() {
        let (root, package) = (root.display().to_string(), format!("{name}@{version}"));
        let words = ["install", "--quiet", "--locked", "--root", &root, &package];
        run::run_with(&run::cargo(), &words, &[("CARGO_NET_RETRY", RETRIES)])?;
    }
    Ok(program)
}

fn install(programs: &[Program], modules: &[Module]) -> Outcome {
    let (debian, python) = (missing_debian(programs, modules), missing_python(modules));
    if debian.is_empty() && python.is_empty() {
        return Ok(());
    }
    if !is_root()? {
        return Err(format!(
            "missing: {}; install them or run this as root",
            [debian, python].concat().join(" ")
        ));
    }
    if !debian.is_empty() {
        apt(&debian)?;
    }
    // Only now is it known whether there is a Python at all.
    let python = missing_python(modules);
    if python.is_empty() { Ok(()) } else { pip(&python) }
}

/// Brings every crate and tool that a later step builds, and makes the chroot of Samba's tests.
pub fn bring() -> Outcome {
    let cargo = run::cargo();
    let fetch = |manifest: &str| {
        let words = ["fetch", "--locked", "--manifest-path", manifest];
        run::run_with(&cargo, &words, &[("CARGO_NET_RETRY", RETRIES)])
    };
    fetch("Cargo.toml")?;
    APART.iter().try_for_each(|apart| fetch(&format!("{apart}/Cargo.toml")))?;
    cargo_fuzz()?;
    e2e::samba_newest::chroot().map(drop)
}

/// Installs cargo-fuzz where it is missing.
pub fn cargo_fuzz() -> Outcome {
    let cargo = run::cargo();
    if run::there(&cargo, &["fuzz", "--version"]) {
        return Ok(());
    }
    let words = ["install", "--locked", "cargo-fuzz", "--version", CARGO_FUZZ];
    run::run_with(&cargo, &words, &[("CARGO_NET_RETRY", RETRIES)])
}

fn missing_debian(programs: &[Program], modules: &[Module]) -> Vec<&'static str> {
    let missing = programs.iter().filter(|(program, words, _)| !run::there(program, words));
    let mut packages: Vec<&str> = missing.map(|(_, _, package)| *package).collect();
    if !modules.is_empty() && !run::there(PYTHON_PROGRAM, &["-m", "pip", "--version"]) {
        packages.push("python3-pip");
    }
    packages.dedup();
    packages
}

fn missing_python(modules: &[Module]) -> Vec<&'static str> {
    let there = |module: &str| run::there(PYTHON_PROGRAM, &["-c", &format!("import {module}")]);
    modules.iter().filter(|(module, _)| !there(module)).map(|(_, package)| *package).collect()
}

fn apt(packages: &[&str]) -> Outcome {
    let retries = format!("Acquire::Retries={RETRIES}");
    run::run("apt-get", &["-q", "-o", &retries, "update"])?;
    let mut words = vec!["-q", "-o", &retries, "install", "-y", "--no-install-recommends"];
    words.extend(packages);
    run::run_with("apt-get", &words, &[("DEBIAN_FRONTEND", "noninteractive")])
}

/// A Python that the distribution manages takes packages only when told that this is meant (PEP 668).
fn pip(packages: &[&str]) -> Outcome {
    let mut words = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    words.push("--root-user-action=ignore");
    let managed = "import os, sys, sysconfig; \
                   sys.exit(not os.path.exists(sysconfig.get_path('stdlib') + '/EXTERNALLY-MANAGED'))";
    if run::there(PYTHON_PROGRAM, &["-c", managed]) {
        words.push("--break-system-packages");
    }
    words.extend(packages);
    run::run(PYTHON_PROGRAM, &words)
}
