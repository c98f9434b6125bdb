//! A program that brings one mirror up to date each time it is run; all mirrors at once.

use super::super::site::{Site, tail};
use super::super::tool::{Tool, Usage};
use crate::run::Outcome;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

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

/// Runs it to its end: what it says, and what it and all that it waited for used.
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
    let mut status = 0;
    // SAFETY: all of it zero is a valid one.
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pid is that of a child not waited for; both structures live here.
    let waited = unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut used) };
    if waited < 0 {
        return Err(failed(std::io::Error::last_os_error()));
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let cpu_seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
    let usage = Usage { cpu_seconds, peak_bytes: used.ru_maxrss as u64 * 1024 };
    Ok((ExitStatus::from_raw(status), usage))
}
