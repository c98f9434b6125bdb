//! Processes that a rig started, and what they use. Each is ended by its pid, never by name.

use crate::Outcome;
use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to end by itself.
const END_PATIENCE: Duration = Duration::from_secs(15);

/// Where a process runs: on the host, or in a network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Net {
    #[default]
    Host,
    Namespace(String),
}

impl Net {
    /// A command that will run there.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        match self {
            Net::Host => Command::new(program),
            Net::Namespace(name) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{name}")).arg("--").arg(program);
                command
            }
        }
    }
}

/// CPU time that a process has used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    pub seconds: f64,
}

/// A process of a rig. Dropping it asks it to end, then ends it.
pub struct Running {
    child: Child,
    what: String,
    log: PathBuf,
}

impl Running {
    /// Starts `command`; its standard error is added to the file `log`, its standard output goes to the rig.
    pub fn start(what: &str, mut command: Command, log: &Path) -> Outcome<Running> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|error| format!("{}: {error}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .map_err(|error| format!("cannot start {what}: {error}"))?;
        Ok(Running { child, what: what.to_owned(), log: log.to_path_buf() })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The pipe that its output comes through; taken once.
    pub fn take_output(&mut self) -> Outcome<impl Read + use<>> {
        self.child.stdout.take().ok_or_else(|| format!("{}: its output is taken already", self.what))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it has written to its standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_else(|error| format!("(no log: {error})"))
    }

    /// CPU time of the process and the children that it has waited for, and of those still running.
    pub fn cpu(&self) -> Cpu {
        let mut ticks = 0;
        for pid in family(self.pid()) {
            ticks += cpu_ticks(pid).unwrap_or(0);
        }
        // SAFETY: asks for a constant of the system.
        let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
        Cpu { seconds: ticks as f64 / per_second }
    }

    /// Memory that the process holds at this moment, bytes.
    pub fn resident_bytes(&self) -> u64 {
        memory(self.pid(), "VmRSS:")
    }

    /// The most memory that it has held, bytes.
    pub fn peak_bytes(&self) -> u64 {
        peak_bytes(self.pid())
    }

    /// Memory that it and all below it hold, bytes; what several of them share is counted once.
    pub fn family_bytes(&self) -> u64 {
        family(self.pid()).into_iter().filter_map(proportional_bytes).sum()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: the pid is that of a child not waited for, so it names no other process.
        unsafe { libc::kill(self.pid() as i32, signal) };
    }

    /// Asks it to end and waits; false when it had to be killed.
    pub fn end(&mut self) -> bool {
        if !self.is_running() {
            return true;
        }
        self.signal(libc::SIGTERM);
        if wait_until(END_PATIENCE, || !self.is_running()) {
            return true;
        }
        // Its state is lost anyway: a rig that cannot be ended is a failed rig.
        self.child.kill().ok();
        self.child.wait().ok();
        false
    }

    /// Waits until it ends by itself; its exit status, where no signal ended it.
    pub fn wait(&mut self, patience: Duration) -> Outcome<Option<i32>> {
        let mut status = None;
        let ended = wait_until(patience, || match self.child.try_wait() {
            Ok(Some(end)) => {
                status = end.code();
                true
            }
            _ => false,
        });
        match ended {
            true => Ok(status),
            false => Err(format!("{} still runs after {patience:?}:\n{}", self.what, self.log())),
        }
    }

    /// Ends it and all below it at once: a server that forks a process for each client.
    pub fn kill_family(&mut self) {
        for pid in family(self.pid()) {
            // SAFETY: the first is a child not waited for; those below it are its own, and were there a moment ago.
            unsafe { libc::kill(pid as i32, libc::SIGKILL) };
        }
        self.kill();
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// A process and all below it.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut at = 0;
    while at < all.len() {
        let path = format!("/proc/{0}/task/{0}/children", all[at]);
        let children = fs::read_to_string(path).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        at += 1;
    }
    all
}

/// The most memory that a process has held, bytes; none when it has ended.
pub fn peak_bytes(pid: u32) -> u64 {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// A process's memory, what it shares with others divided among them (proc(5), smaps_rollup).
fn proportional_bytes(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// This process may hold so many files open.
pub fn raise_open_files(count: u64) -> Outcome {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls work on a structure that lives here.
    let raised = unsafe {
        let known = libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0;
        limit.rlim_cur = limit.rlim_cur.max(count);
        limit.rlim_max = limit.rlim_max.max(count);
        known && libc::setrlimit(libc::RLIMIT_NOFILE, &limit) == 0
    };
    match raised {
        true => Ok(()),
        false => Err(format!("{count} open files: {}", std::io::Error::last_os_error())),
    }
}

/// utime + stime + those of children waited for (proc(5), fields 14 to 17 of stat).
fn cpu_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(") ")?.1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum()
}

/// Waits until `done`, asking every 20 ms; false when it took longer than `patience`.
pub fn wait_until(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + patience;
    loop {
        if done() {
            return true;
        }
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// What a command prints; an error with its words when it fails.
pub fn output(mut command: Command) -> Outcome<String> {
    let said = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    if said.status.success() {
        return Ok(text);
    }
    Err(format!("{command:?}: {}\n{text}{}", said.status, String::from_utf8_lossy(&said.stderr)))
}

/// A directory of a rig, removed with it.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Outcome<Scratch> {
        let dir = tempfile::Builder::new().prefix("farshare-rig-").tempdir();
        dir.map(Scratch).map_err(|error| format!("a scratch directory: {error}"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A new directory inside.
    pub fn dir(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.path().join(name);
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// A file inside with this content.
    pub fn file(&self, name: &str, content: &str) -> Outcome<PathBuf> {
        let path = self.path().join(name);
        fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}
