//! File systems that are mounted for one test.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Something mounted, until it is dropped.
pub struct Mount {
    at: PathBuf,
}

impl Mount {
    /// By `mount` with these words and the place; what it says when it fails.
    pub fn by(command: &mut Command, at: &Path) -> Result<Mount, String> {
        run(command.arg(at)).map(|()| Mount { at: at.to_owned() })
    }

    /// A test that mounts needs root, and fails without.
    pub fn new(words: &[&str], at: &Path) -> Mount {
        Mount::by(Command::new("mount").args(words), at)
            .unwrap_or_else(|why| panic!("mount {words:?}: {why}"))
    }

    pub fn at(&self) -> &Path {
        &self.at
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A volume's watching thread lets go of it a moment after the volume is gone.
        let unmounted = || run(Command::new("umount").arg(&self.at)).is_ok();
        let pause = Duration::from_millis(50);
        let done = (0..100).any(|_| {
            unmounted() || {
                std::thread::sleep(pause);
                false
            }
        });
        assert!(done, "{} stays mounted", self.at.display());
    }
}

/// A file system in this process (FUSE) that has one directory, `x`, until it falls silent: then whoever touches it waits.
pub struct Served {
    at: PathBuf,
    device: Option<File>,
    goes_on: Arc<AtomicBool>,
    serves: Option<JoinHandle<()>>,
}

impl Served {
    pub fn at(at: &Path) -> Result<Served, String> {
        let device =
            File::options().read(true).write(true).open("/dev/fuse").map_err(|why| why.to_string())?;
        let stdin = Stdio::from(device.try_clone().unwrap());
        let words = ["-i", "-t", "fuse", "none", "-o", "fd=0,rootmode=40000,user_id=0,group_id=0"];
        run(Command::new("mount").stdin(stdin).args(words).arg(at))?;
        let (goes_on, served) = (Arc::new(AtomicBool::new(true)), device.try_clone().unwrap());
        let lasts = goes_on.clone();
        let serves = Some(std::thread::spawn(move || serve(served, &lasts)));
        Ok(Served { at: at.to_owned(), device: Some(device), goes_on, serves })
    }

    /// From now on nobody answers.
    pub fn falls_silent(&mut self) {
        self.goes_on.store(false, Ordering::SeqCst);
        self.serves.take().into_iter().for_each(|thread| thread.join().unwrap());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.falls_silent();
        // Whoever waits for an answer hears that there will be none.
        self.device = None;
        let unmounted = run(Command::new("umount").args(["-i", "-c", "-l"]).arg(&self.at));
        assert_eq!(unmounted, Ok(()), "{} stays mounted", self.at.display());
    }
}

fn serve(mut device: File, goes_on: &AtomicBool) {
    const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
    let mut request = vec![0; 1 << 17];
    while goes_on.load(Ordering::SeqCst) {
        if poll(&mut [PollFd::new(&device, PollFlags::IN)], Some(&TICK)) == Ok(0) {
            continue;
        }
        let length = device.read(&mut request).unwrap();
        if let Some((error, body)) = answer(&request[..length]) {
            let total = 16 + body.len() as u32;
            let head = [&total.to_le_bytes()[..], &error.to_le_bytes(), &request[8..16]].concat();
            device.write_all(&[head, body].concat()).unwrap();
        }
    }
}

/// What is answered to a request (`linux/fuse.h`): an error, or a body. Nothing is valid for any time: each look asks.
fn answer(request: &[u8]) -> Option<(i32, Vec<u8>)> {
    const X: u64 = 2;
    let number = |at: usize| u64::from_le_bytes(request[at..at + 8].try_into().unwrap());
    let attr = |node: u64| {
        let mut attr = vec![0; 88];
        attr[..8].copy_from_slice(&node.to_le_bytes());
        attr[60..64].copy_from_slice(&0o40755_u32.to_le_bytes());
        attr[64..68].copy_from_slice(&2_u32.to_le_bytes());
        attr
    };
    match number(0) >> 32 {
        // FUSE_INIT: version 7.31, writes of 4 KiB.
        26 => {
            let mut body = vec![0; 64];
            body[..8].copy_from_slice(&[7, 0, 0, 0, 31, 0, 0, 0]);
            body[20..24].copy_from_slice(&4096_u32.to_le_bytes());
            Some((0, body))
        }
        // FUSE_GETATTR, FUSE_LOOKUP.
        3 => Some((0, [vec![0; 16], attr(number(16))].concat())),
        1 if &request[40..] == b"x\0" => Some((0, [X.to_le_bytes().to_vec(), vec![0; 32], attr(X)].concat())),
        1 => Some((-Errno::NOENT.raw_os_error(), Vec::new())),
        // FUSE_FORGET, FUSE_INTERRUPT, FUSE_BATCH_FORGET.
        2 | 36 | 42 => None,
        _ => Some((-Errno::NOSYS.raw_os_error(), Vec::new())),
    }
}

/// Runs a command; what it says when it fails.
pub fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(why) => Err(why.to_string()),
    }
}
