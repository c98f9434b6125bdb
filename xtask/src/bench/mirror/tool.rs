//! What mirrors: a daemon that is live, or a program that somebody runs by hand again and again.

use crate::run::Outcome;
use e2e::Running;
use std::ffi::OsStr;
use std::fs;
use std::ops::Sub;
use std::path::Path;
use std::process::Command;

/// What a tool and all that it started have used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu_seconds: f64,
    /// The most memory that the daemon or the program itself held, without what it started.
    pub peak_bytes: u64,
}

impl Sub for Usage {
    type Output = Usage;

    /// What came since `before`; a peak is one.
    fn sub(self, before: Usage) -> Usage {
        Usage { cpu_seconds: self.cpu_seconds - before.cpu_seconds, ..self }
    }
}

pub trait Tool {
    /// Where changes are made.
    fn work(&self) -> &Path;

    /// Whether changes reach the mirrors by themselves.
    fn live(&self) -> bool;

    /// Brings the mirrors up to date once, where the tool is not live.
    fn pass(&mut self) -> Outcome;

    fn usage(&self) -> Usage;

    /// What was held before does not count any more.
    fn forget_peak(&mut self);

    /// Ends the daemon at once, as a power cut would.
    fn kill(&mut self) -> Outcome;

    /// Starts it again.
    fn restart(&mut self) -> Outcome;

    /// Whether it finds what was changed while it was dead; otherwise all is to be changed while it lives.
    fn finds_changes(&self) -> bool;

    /// Says why where it does not run any more.
    fn check(&mut self) -> Outcome;
}

/// Starts a daemon, which ends with this process. All that it says goes to `log`: nobody reads a pipe of it.
pub fn daemon(program: &OsStr, words: &[&OsStr], log: &Path) -> Outcome<Running> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "sh", "-c", "exec \"$0\" \"$@\" >&2"]).arg(program).args(words);
    Running::start(&program.to_string_lossy(), command, log)
}

/// The usage of a daemon, of which each process can be asked.
pub fn usage(running: &Running) -> Usage {
    Usage { cpu_seconds: running.cpu().seconds, peak_bytes: running.peak_bytes() }
}

/// Has the kernel begin the daemon's peak anew (proc(5), clear_refs).
pub fn forget_peak(running: &Running) {
    // Where the kernel cannot, the peak is that of its whole life.
    fs::write(format!("/proc/{}/clear_refs", running.pid()), "5").ok();
}
