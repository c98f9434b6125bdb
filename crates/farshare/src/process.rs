//! The process itself: limits, logs, signals.
//!
//! The umask stays as it is, because new files at a `file://` origin obey it; what this program keeps for itself it
//! makes with modes of its own.

use rustix::process::{Resource, Rlimit};
use std::io::IsTerminal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// File descriptors below which a server of many clients runs dry.
const DESCRIPTORS_LOW: u64 = 4096;

/// This process may hold as many files open as the system lets it.
pub fn raise_limits() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(cause) = rustix::process::setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%cause, "the limit on open files cannot be raised");
    }
    let now = rustix::process::getrlimit(Resource::Nofile).current;
    if let Some(files) = now.filter(|files| *files < DESCRIPTORS_LOW) {
        tracing::warn!(files, "few open files are allowed; raise LimitNOFILE or `ulimit -n`");
    }
}

/// Logs to stderr by `--log`, else `RUST_LOG`, else `default`.
pub fn log(asked: Option<&str>, default: &str) -> Result<(), String> {
    let from_environment = || std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty());
    let text = asked.map(str::to_owned).or_else(from_environment).unwrap_or_else(|| default.to_owned());
    let filter = EnvFilter::try_new(&text).map_err(|cause| format!("the log filter {text:?}: {cause}"))?;
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr).init();
    Ok(())
}

/// SIGINT and SIGTERM, from now on.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    Stop,
    Reload,
}

impl Signals {
    pub fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}
