//! A raw SMB2 client for tests and fuzzing: it says what it is told to say, right or wrong.
//!
//! Other clients refuse to misbehave. This one builds every message of a log-in, a binding or a chain from
//! parts that a test may bend: any dialect and context, any header field, signed, unsigned, wrongly signed or
//! sealed. It runs over any byte stream.
//!
//! * [`ntlm`]: an NTLMv2 client written apart from the acceptor, straight from MS-NLMP;
//! * [`kerberos`]: a client that makes its own tickets;
//! * [`spnego`]: what is around both;
//! * [`Message`]: one request, and chains of them as bytes;
//! * [`Session`]: the keys that a log-in gave, as one channel has them;
//! * [`requests`]: well-formed bodies;
//! * [`load`]: jobs of several requests, many in flight, for benchmarks;
//! * [`Client`]: one connection: message ids, credits, frames, replies.
//!
//! It judges nothing: what is right is said by the test. Only [`Reply::proof`] tells how a reply was protected.

mod client;
pub mod kerberos;
pub mod load;
mod logon;
mod message;
pub mod ntlm;
mod offer;
pub mod requests;
mod session;
pub mod spnego;

pub use client::{Client, Fault, Proof, Reply};
pub use logon::Logon;
pub use message::{Guard, Message, chain, compressed};
pub use offer::{CLIENT_GUID, offer};
pub use session::{Agreed, Session};
