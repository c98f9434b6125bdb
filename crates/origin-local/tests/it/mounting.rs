//! File systems that are mounted for one test.

use std::path::{Path, PathBuf};
use std::process::Command;
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

/// Runs a command; what it says when it fails.
pub fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(why) => Err(why.to_string()),
    }
}
