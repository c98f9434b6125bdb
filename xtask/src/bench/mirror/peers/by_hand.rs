//! A program that brings one mirror up to date each time it is run; all mirrors at once.

use super::super::site::{Site, tail};
use super::super::tool::{Tool, Usage};
use crate::run::Outcome;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// How often a program is asked whether it has ended, and what it holds.
const POLL: Duration = Duration::from_millis(2);

/// One mirror, and the program for it.
pub struct Target {
    pub name: String,
    pub program: String,
    pub words: Vec<String>,
    pub environment: Vec<(String, String)>,
}

pub struct ByHand {
    pub source: PathBuf,
    pub targets: Vec<Target>,
    /// Exit statuses that are success too.
    pub accepted: &'static [i32],
    log: PathBuf,
    used: Usage,
}

impl ByHand {
    pub fn new(site: &Site<'_>, targets: Vec<Target>, accepted: &'static [i32]) -> ByHand {
        let (source, log) = (site.source.clone(), site.log("by-hand"));
        ByHand { source, targets, accepted, log, used: Usage::default() }
    }
}

impl Tool for ByHand {
    fn work(&self) -> &Path {
        &self.source
    }

    fn live(&self) -> bool {
        false
    }

    fn pass(&mut self) -> Outcome {
        let runs: Vec<Outcome<(ExitStatus, Usage)>> = std::thread::scope(|scope| {
            let log = &self.log;
            let start = |target| scope.spawn(move || run(target, log));
            let threads: Vec<_> = self.targets.iter().map(start).collect();
            threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
        });
        let mut failed = Ok(());
        for (target, run) in self.targets.iter().zip(runs) {
            let (status, used) = run?;
            self.used.cpu_seconds += used.cpu_seconds;
            self.used.peak_bytes = self.used.peak_bytes.max(used.peak_bytes);
            if !status.success() && !status.code().is_some_and(|code| self.accepted.contains(&code)) {
                let said = tail(&self.log);
                failed = Err(format!("{} for {}: {status}\n{said}", target.program, target.name));
            }
        }
        failed
    }

    fn usage(&self) -> Usage {
        self.used
    }

    fn forget_peak(&mut self) {
        self.used.peak_bytes = 0;
    }

    /// Nothing runs between passes.
    fn kill(&mut self) -> Outcome {
        Ok(())
    }

    fn restart(&mut self) -> Outcome {
        Ok(())
    }

    fn finds_changes(&self) -> bool {
        true
    }

    fn check(&mut self) -> Outcome {
        Ok(())
    }
}

/// Runs it to its end; what it and all that it waited for used.
fn run(target: &Target, log: &Path) -> Outcome<(ExitStatus, Usage)> {
    let open = || File::options().create(true).append(true).open(log);
    let failed = |error: std::io::Error| format!("{} for {}: {error}", target.program, target.name);
    let child = Command::new(&target.program)
        .args(&target.words)
        .envs(target.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(open().map_err(failed)?)
        .stderr(open().map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let mut peak_bytes = 0;
    loop {
        peak_bytes = peak_bytes.max(e2e::peak_bytes(child.id()));
        if let Some((status, cpu_seconds)) = ended(child.id()).map_err(failed)? {
            return Ok((status, Usage { cpu_seconds, peak_bytes }));
        }
        std::thread::sleep(POLL);
    }
}

/// How a child ended and what CPU time it took, once it has. (The kernel's own account of its peak begins before the program does, with
/// what this process holds.)
fn ended(pid: u32) -> std::io::Result<Option<(ExitStatus, f64)>> {
    let mut status = 0;
    // SAFETY: all of it zero is a valid one.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pid is that of a child not waited for; both structures live here.
    match unsafe { libc::wait4(pid as i32, &mut status, libc::WNOHANG, &mut used) } {
        0 => Ok(None),
        waited if waited < 0 => Err(std::io::Error::last_os_error()),
        _ => {
            let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
            Ok(Some((ExitStatus::from_raw(status), seconds(used.ru_utime) + seconds(used.ru_stime))))
        }
    }
}
