//! The peers: a file for each, and how programs that are run by hand are run.

mod by_hand;
mod lsyncd;
mod rsync;
mod tar;
mod unison;

use super::site::Site;
use super::tool::Tool;
use crate::run::Outcome;

/// Who takes part.
pub struct Peer {
    pub name: &'static str,
    pub start: fn(&Site<'_>) -> Outcome<Box<dyn Tool>>,
    /// The floor for copying: what it costs at least to bring the bytes there. It mirrors nothing.
    pub floor: bool,
}

pub const PEERS: [Peer; 4] = [
    Peer { name: "tar", start: tar::start, floor: true },
    Peer { name: "rsync", start: rsync::start, floor: false },
    Peer { name: "lsyncd", start: lsyncd::start, floor: false },
    Peer { name: "unison", start: unison::start, floor: false },
];

/// Words that a shell takes as one each.
fn quoted(words: &[String]) -> String {
    let quote = |word: &String| format!("'{}'", word.replace('\'', "'\\''"));
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}
