//! The link between nodes of one process, over loopback.

mod calls;
mod certificates;
mod failures;
mod handshake;
mod notices;
mod support;
