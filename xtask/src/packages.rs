//! What the tests need from outside: Debian packages and Python packages. Installed when run as root; else what
//! is missing is said, all of it at once.

use crate::run::{self, Outcome};

/// A program that must be there, and the Debian package that has it.
const DEBIAN: [(&str, &[&str], &str); 17] = [
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
    ("mkfs.btrfs", &["--version"], "btrfs-progs"),
    ("mkfs.xfs", &["-V"], "xfsprogs"),
    // These two have no question that they answer with success.
    ("ls", &["/usr/sbin/krb5kdc"], "krb5-kdc"),
    ("ls", &["/usr/sbin/kadmin.local"], "krb5-admin-server"),
    ("klist", &["-V"], "krb5-user"),
    ("ls", &["/usr/share/samba/setup/provision.ldif"], "samba-ad-provision"),
    ("ls", &["/usr/lib/x86_64-linux-gnu/samba/ldb/samba_dsdb.so"], "samba-ad-dc"),
];

/// A Python module, and what pip installs for it.
const PYTHON: [(&str, &str); 2] = [("smbprotocol", "smbprotocol==1.17.0"), ("impacket", "impacket==0.13.1")];

/// The Python that runs the tests' scripts.
pub const PYTHON_PROGRAM: &str = "python3";

/// Installs what is missing.
pub fn ensure() -> Outcome {
    let root = run::output("id", &["-u"])?.trim() == "0";
    let (debian, python) = (missing_debian(), missing_python());
    if debian.is_empty() && python.is_empty() {
        return Ok(());
    }
    if !root {
        return Err(format!(
            "missing: {}; install them or run this as root",
            [debian, python].concat().join(" ")
        ));
    }
    if !debian.is_empty() {
        apt(&debian)?;
    }
    // Only now is it known whether there is a Python at all.
    let python = missing_python();
    if python.is_empty() { Ok(()) } else { pip(&python) }
}

fn missing_debian() -> Vec<&'static str> {
    let missing = DEBIAN.iter().filter(|(program, words, _)| !run::there(program, words));
    let mut packages: Vec<&str> = missing.map(|(_, _, package)| *package).collect();
    if !run::there(PYTHON_PROGRAM, &["-m", "pip", "--version"]) {
        packages.push("python3-pip");
    }
    packages.dedup();
    packages
}

fn missing_python() -> Vec<&'static str> {
    let there = |module: &str| run::there(PYTHON_PROGRAM, &["-c", &format!("import {module}")]);
    PYTHON.iter().filter(|(module, _)| !there(module)).map(|(_, package)| *package).collect()
}

fn apt(packages: &[&str]) -> Outcome {
    run::run("apt-get", &["-q", "update"])?;
    let mut words = vec!["-q", "install", "-y", "--no-install-recommends"];
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
