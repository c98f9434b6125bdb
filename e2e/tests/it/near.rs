//! `farshare try` over a directory of the test's own, and what is asked of it besides SMB.

use crate::tell::{Proof, ensure};
use e2e::{Farshare, Scratch, output, program, wait_until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub struct Near {
    pub farshare: Farshare,
    /// What is shared.
    pub data: PathBuf,
    pub scratch: Scratch,
}

impl Near {
    pub fn new(words: &[&str]) -> Proof<Near> {
        let scratch = Scratch::new()?;
        let data = scratch.dir("data")?;
        Ok(Near { farshare: Farshare::try_dir(&data, words)?, data, scratch })
    }

    pub fn status(&self) -> Proof<serde_json::Value> {
        let mut command = Command::new(program());
        command.args(["status", "--json", "--state"]).arg(self.farshare.state());
        Ok(serde_json::from_str(&output(command)?)?)
    }

    /// Returns when a file made in the directory itself is seen by clients: they are told after the change.
    pub fn told(&self, name: &str) -> Proof {
        let client = self.farshare.client();
        let seen = wait_until(Duration::from_secs(5), || client.run(&format!("ls {name}")).is_ok());
        ensure(seen, || format!("{name} is not seen"))
    }

    /// Status code and body of a GET at the admin interface.
    pub fn get(&self, path: &str) -> Proof<(u16, String)> {
        let mut stream = TcpStream::connect(&self.farshare.admin)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.farshare.admin)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("the admin interface speaks no HTTP")?;
        let code = head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or("no status code")?;
        Ok((code, body.to_owned()))
    }
}

/// Bytes that no compression shortens and that a seed makes again.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // xorshift64 (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Writes a file of noise and gives its content.
pub fn noise_file(path: &Path, seed: u64, length: usize) -> Proof<Vec<u8>> {
    let bytes = noise(seed, length);
    std::fs::write(path, &bytes)?;
    Ok(bytes)
}

/// Fails unless `text` has each of `parts`.
pub fn has(text: &str, parts: &[&str]) -> Proof {
    for part in parts {
        ensure(text.contains(part), || format!("no {part:?} in:\n{text}"))?;
    }
    Ok(())
}
