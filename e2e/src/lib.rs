//! Rigs: farshare, Samba, clients and a WAN as processes on one machine, each ended when its value is dropped.
//!
//! The tests in `tests/` and the benchmarks in `xtask` stand on these. Nothing here knows farshare's code: it
//! sees what a user sees.

mod domain;
mod farshare;
mod kdc;
mod lan;
pub mod order;
mod over_quic;
mod pair;
mod process;
mod samba;
pub mod samba_newest;
mod secluded;
mod smbclient;
mod solo;
mod sshd;
mod vm;
mod wan;
mod wire;

pub use domain::Domain;
pub use farshare::{Farshare, Node, Plan, Sites, program};
pub use kdc::{Kdc, RealmUser};
pub use lan::Lan;
pub use over_quic::build as build_over_quic;
pub use pair::{Pair, Shared};
pub use process::{Cpu, Net, Running, Scratch, free_port, output, peak_bytes, raise_open_files, wait_until};
pub use samba::Samba;
pub use samba_newest::SambaNewest;
pub use secluded::{Mounted, seclude};
pub use smbclient::{SmbClient, fetch};
pub use solo::Solo;
pub use sshd::{Servers, client_options};
pub use vm::{Guest, Wires, rig as vm_rig};
pub use wan::{Shape, Side, Wan};
pub use wire::{Far, Wire};

/// Anything that stops a rig, told in words.
pub type Outcome<T = ()> = Result<T, String>;
