//! The SMB2/3 server.
//!
//! ```text
//! transport -> inbox -> dispatch -> commands -> vfs
//! transport <- outbox <- reply  <-
//! ```
//!
//! * [`server`](Server): who is let in, and what all connections share;
//! * `transport`: listeners and the carriers of frames, TCP and others;
//! * `connection`: one task per connection; every request a future in it;
//! * `dispatch`: sealing, signatures, chains of requests, interim responses, cancel;
//! * `commands`: one file per command, which turns it into calls of [`vfs`];
//! * `compression`: messages that come or go compressed;
//! * `client`, `session`: clients, their users with tree connects and opens, over one connection or several;
//! * `leases`: which opens share what their client caches; `breaks`: it is wanted back;
//! * `kept`: opens that outlive their client's connections, `persistent`: and this process; `order`: what a lost channel leaves in doubt;
//! * `interfaces`: which addresses clients may open further channels to;
//! * `accounts`, `identity`: users and groups, as descriptors and pipes name them;
//! * `discovery`: announcing the server by multicast DNS and WS-Discovery;
//! * `tickets`, `people`: log-in by Kerberos, and who is meant by a name or a SID;
//! * `crowd`, `rooms`: what one user, and what one connection, may have of all there is; `handles`: what is open for a cache
//!   alone makes room for others; `pace`: long work gives way;
//! * `veto`: names that a share does not have.
//!
//! What is decided without I/O (keys, credits, log-in, patterns) is in `smb-core`; bytes are in `smb-wire`.

mod accounts;
mod breaks;
mod change_times;
mod client;
mod commands;
mod compression;
mod config;
mod connection;
mod crowd;
mod delivery;
mod discovery;
mod dispatch;
mod handles;
mod identity;
mod inbox;
mod instances;
mod interfaces;
mod kept;
mod leases;
pub mod limits;
mod lock_replays;
mod logons;
mod negotiate;
mod open;
mod order;
mod outbox;
mod pace;
mod people;
mod persistent;
mod pipe;
mod places;
mod reply;
mod request;
mod returns;
mod rights;
mod rooms;
mod server;
mod session;
mod snapshots;
mod status;
mod tally;
mod tenure;
mod tickets;
mod transport;
mod turns;
mod veto;
mod waiting;

pub use accounts::KnownUser;
pub use config::{Encryption, Group, PerUser, QuicConfig, ServerConfig, Share, Signing, Symlinks, Users};
pub use discovery::{Announced, Announcement, DISK_NAME_MAX_BYTES};
pub use identity::USER_NUMBER_MAX;
pub use interfaces::{InterfaceChoice, Named};
pub use people::People;
pub use persistent::OpenRecords;
pub use server::{Server, ServerStatus, SessionStatus};
pub use snapshots::SnapshotPattern;
pub use tickets::KerberosConfig;
pub use transport::quic::Certificate;
pub use veto::Veto;
