//! The decisions of an SMB2/3 server, without sockets, clock or randomness.
//!
//! Every function here is a plain function of its arguments: time comes in as `now`, random bytes come in as
//! arrays, messages come in as slices. The front end owns the sockets and asks this crate what to do:
//!
//! | question | module |
//! |---|---|
//! | which dialect, cipher and signing algorithm? | [`negotiate`] |
//! | who is the client, and what is the session key? | [`acceptor`], made of [`spnego`], [`ntlm`] and [`kerberos`] |
//! | how long must a failed log-in wait? | [`throttle`] |
//! | which keys follow from the session key? | [`preauth`], [`kdf`] |
//! | is this message authentic, how is ours signed or sealed? | [`signing`], [`sealing`] |
//! | how is a message made smaller, and restored? | [`compression`] |
//! | may the client send this message id, how many credits does it get? | [`credits`] |
//! | does this name match that search pattern? | [`wildcard`] |
//! | may this user do that with this file, and what does a new file inherit? | [`access`] |
//!
//! Parsers take hostile bytes: they never panic, never allocate more than a small multiple of their input, and
//! end in a typed refusal.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod acceptor;
pub mod access;
pub mod algorithm;
pub mod compression;
pub mod credits;
mod der;
pub mod kdf;
pub mod kerberos;
pub mod names;
pub mod negotiate;
pub mod ntlm;
pub mod preauth;
pub mod sealing;
pub mod signing;
pub mod spnego;
pub mod throttle;
pub mod wildcard;
