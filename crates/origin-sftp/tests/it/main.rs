//! `SftpVolume` against a real sshd, started by each test on a port of its own.

mod connecting;
mod content;
mod contract;
mod order;
mod outage;
mod rig;
