//! Passwords between people and the program: asked for without echo, or made up. Never taken from the command
//! line, which every process on the machine can read.

use rustix::termios::{self, LocalModes, OptionalActions};
use std::io::{self, BufRead, IsTerminal, Write};
use zeroize::Zeroizing;

/// What generated passwords are made of: 32 characters that nobody mistakes for another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnopqrstuvwxyz2345678";
/// Length of a generated password, characters: 100 bits.
const GENERATED_LENGTH: usize = 20;

/// A new password.
pub fn generate_password() -> Result<Zeroizing<String>, String> {
    let mut random = Zeroizing::new([0u8; GENERATED_LENGTH]);
    getrandom::fill(random.as_mut_slice()).map_err(|cause| format!("no random numbers: {cause}"))?;
    let text = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    Ok(Zeroizing::new(text))
}

/// Asks twice on the terminal, or takes one line of stdin when that is something else.
pub fn ask_new_password(user: &str) -> Result<Zeroizing<String>, String> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return read_line();
    }
    let first = ask(&format!("New password of {user}: "))?;
    let second = ask("Once more: ")?;
    if *first == *second { Ok(first) } else { Err("the two passwords differ; nothing was changed".into()) }
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, String> {
    let mut err = io::stderr();
    // A prompt that cannot be shown is no reason to fail.
    let _ = write!(err, "{prompt}").and_then(|()| err.flush());
    let silence =
        Silence::begin().map_err(|cause| format!("the terminal's echo cannot be switched off: {cause}"))?;
    let line = read_line();
    drop(silence);
    let _ = writeln!(err);
    line
}

fn read_line() -> Result<Zeroizing<String>, String> {
    let mut line = Zeroizing::new(String::new());
    let read = io::stdin().lock().read_line(&mut line).map_err(|cause| format!("stdin: {cause}"))?;
    if read == 0 {
        return Err("no password on stdin".into());
    }
    let kept = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(kept);
    Ok(line)
}

/// Echo is off while this lives.
struct Silence(termios::Termios);

impl Silence {
    fn begin() -> io::Result<Silence> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Silence(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // Nothing better can be done than leave the terminal as it is.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_are_long_and_differ() {
        let (one, two) = (generate_password().unwrap(), generate_password().unwrap());
        assert_eq!(one.len(), GENERATED_LENGTH);
        assert_ne!(*one, *two);
        assert!(one.bytes().all(|byte| ALPHABET.contains(&byte)));
    }
}
