//! farshare as its users meet it: the program built beside this test, real clients and servers, a WAN.
//!
//! All of it needs root and Debian packages, so a plain `cargo test` skips it; `cargo xtask test` installs, builds
//! and runs it. Each test has rigs of its own, ended with it. Tests across a WAN are named `wan_*` and take
//! turns, because their figures are taken on an otherwise idle link.

mod accounts;
mod cables;
mod far;
mod guests;
mod kerberos;
mod mirrors;
mod mounts;
mod near;
mod network_view;
mod node_mounts;
mod quotas;
mod security;
mod tell;
mod try_clients;
mod try_life;
mod wan_changes;
mod wan_failures;
mod wan_origin_smb;
mod wan_reading;
