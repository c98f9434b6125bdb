//! Kerberos on the service's side (RFC 4120, RFC 4121): a ticket in, a user out.
//!
//! The realm has encrypted the ticket with a key of ours, out of a [`Keytab`]; in it stand the client's name and a
//! session key. The client proves with an authenticator that it knows that key too, and we with the reply. No word
//! goes to the realm. What it promises:
//!
//! * AES alone ([`encryption`]); DES and RC4 are refused.
//! * A ticket that has ended, a clock that is off, an authenticator that came before ([`replay`]) are refused.
//! * The SIDs of a PAC count when it carries the signature of our key and was made for this ticket. They, and not the
//!   name, are then who the user is, and the account that they are of is the one that the ticket names.
//! * The session's key is ours and fresh whenever the client wants a reply, so a replay of the whole exchange after
//!   a restart gives nobody a key.
//!
//! Channel bindings are passed over: nothing that SMB runs over has any that clients send.

pub mod encryption;

mod accept;
mod keytab;
mod membership;
mod messages;
mod mic;
mod principal;
mod replay;

pub use accept::{Accepted, Fresh, Tickets, accept};
pub use encryption::{EncryptionType, Key};
pub use keytab::{Keytab, KeytabEntry, KeytabError, MAX_KEYS, MAX_KEYTAB_LEN};
pub use membership::{MAX_GROUPS, Membership};
pub use mic::MicSigner;
pub use principal::{Principal, Realms};
pub use replay::{Fingerprint, MAX_REPLAYS, MAX_REPLAYS_PER_USER, Novelty, ReplayCache};

pub(crate) use messages::{OID_KERBEROS, OID_MS_KERBEROS};

use std::time::Duration;

/// How far a client's clock may be from ours.
pub const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// Why a ticket was refused. The client is told less: see [`crate::acceptor::Refusal::status`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A message is not what the RFCs say it must be.
    Malformed,
    /// Something that this service does not do.
    Unsupported(&'static str),
    /// The ticket is encrypted in a way that is not taken.
    Encryption(i32),
    /// No key in the keytab opens the ticket.
    NoKey {
        /// Whom the ticket is for.
        service: String,
        /// Which of that one's keys, if the ticket says so.
        version: Option<u32>,
        /// Of which type.
        kind: EncryptionType,
    },
    /// The client does not know the ticket's key, or it is somebody else's ticket.
    BadAuthenticator,
    /// The ticket begins later.
    NotYetValid,
    /// The ticket has ended.
    Expired,
    /// The client's clock is so far from ours.
    Clock(Duration),
    /// The authenticator was used before.
    Replayed,
    /// No further authenticator can be remembered for now.
    TooManyLogons,
    /// None of this user.
    TooManyLogonsOf(String),
    /// The system gives no random numbers.
    NoRandomNumbers,
    /// A ticket for nobody in particular.
    Nobody,
    /// Users of this realm may not log in.
    Realm(String),
    /// The PAC is broken, not signed with our key, or not of this ticket.
    BadPac,
    /// There is none, and the realm's tickets must have one.
    NoPac(String),
    /// The ticket is for one name and of another's account.
    AnotherAccount {
        /// In the ticket.
        name: String,
        /// In the PAC, with its domain.
        account: String,
    },
    /// The user is in more than [`MAX_GROUPS`] groups.
    TooManyGroups,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed => f.write_str("malformed Kerberos message"),
            Self::Unsupported(what) => write!(f, "{what} is not supported"),
            Self::Encryption(kind) => {
                write!(f, "ticket of encryption type {kind}; the service's account needs AES keys")
            }
            Self::NoKey { service, version: Some(version), kind } => {
                write!(f, "no key in the keytab opens the ticket for {service}, version {version}, {kind}")
            }
            Self::NoKey { service, version: None, kind } => {
                write!(f, "no key in the keytab opens the ticket for {service}, {kind}")
            }
            Self::BadAuthenticator => f.write_str("the client does not have the ticket's key"),
            Self::NotYetValid => f.write_str("ticket is not valid yet"),
            Self::Expired => f.write_str("ticket has expired"),
            Self::Clock(apart) => write!(f, "client's clock is {} s from ours", apart.as_secs()),
            Self::Replayed => f.write_str("authenticator was used before"),
            Self::TooManyLogons => f.write_str("too many log-ins to remember all of them"),
            Self::TooManyLogonsOf(user) => write!(f, "too many log-ins of {user} to remember all of them"),
            Self::NoRandomNumbers => f.write_str("no random numbers"),
            Self::Nobody => f.write_str("anonymous ticket"),
            Self::Realm(realm) => write!(f, "realm {realm} is not trusted, or the way from there is not"),
            Self::BadPac => f.write_str("PAC is broken, not signed with our key, or of another ticket"),
            Self::NoPac(client) => {
                write!(
                    f,
                    "ticket of {client} has no PAC; if the realm is no Windows domain: pac = \"optional\""
                )
            }
            Self::AnotherAccount { name, account } => {
                write!(
                    f,
                    "ticket for {name} is of the account {account}; users log in by their accounts' names"
                )
            }
            Self::TooManyGroups => write!(f, "user is in more than {MAX_GROUPS} groups"),
        }
    }
}

impl std::error::Error for Refusal {}
