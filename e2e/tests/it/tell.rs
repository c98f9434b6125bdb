//! How a test ends: with nothing, or with words that keep their line breaks.

use std::fmt;

pub struct Why(String);

/// What a test returns.
pub type Proof<T = ()> = Result<T, Why>;

impl fmt::Debug for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Why {
    fn from(words: String) -> Why {
        Why(words)
    }
}

impl From<&str> for Why {
    fn from(words: &str) -> Why {
        Why(words.to_owned())
    }
}

impl From<std::io::Error> for Why {
    fn from(error: std::io::Error) -> Why {
        Why(error.to_string())
    }
}

impl From<serde_json::Error> for Why {
    fn from(error: serde_json::Error) -> Why {
        Why(error.to_string())
    }
}

/// Fails with these words unless `holds`.
pub fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Proof {
    if holds { Ok(()) } else { Err(Why(otherwise())) }
}

/// Fails unless both are the same, told without printing long contents.
pub fn same_bytes(what: &str, got: &[u8], expect: &[u8]) -> Proof {
    if got == expect {
        return Ok(());
    }
    let first = got.iter().zip(expect).position(|(a, b)| a != b).unwrap_or(got.len().min(expect.len()));
    Err(Why(format!(
        "{what}: {} bytes where {} were expected; the first difference is at {first}",
        got.len(),
        expect.len()
    )))
}
