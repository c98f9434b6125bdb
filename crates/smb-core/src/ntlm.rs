//! NTLMv2 on the server's side (MS-NLMP).
//!
//! Three messages: the client's NEGOTIATE, our CHALLENGE, the client's AUTHENTICATE. [`Exchange::begin`] takes
//! the first and makes the second, [`Exchange::finish`] judges the third. What it promises:
//!
//! * The proof of the password (`NTProofStr`) is computed and compared in every exchange, in constant time.
//! * A message integrity code is checked whenever the client announces one. The announcement lies inside what
//!   the proof covers, so nobody can take it away without knowing the password.
//! * NTLMv1 and LM log-ins of users are refused.
//! * An anonymous log-in is refused unless it is asked for, and then it is one by its whole form: no user name, no
//!   response. It proves nothing, so its key is no secret, and it never becomes a user's.
//! * Guests are refused unless they are asked for. Then who gives a name that no user has is one, whatever he answers to
//!   the challenge; a user never is, right or wrong.
//! * An unknown user costs the same work as a wrong password and gets the same answer.
//!
//! The client's timestamp is not compared with our clock: each challenge is fresh, or whoever uses it again remembers the
//! responses, so an old one cannot be replayed, and clients with a wrong clock may log in.

mod av_pairs;
mod exchange;
mod keys;
mod messages;

pub use av_pairs::TargetNames;
pub use exchange::{Exchange, Identity, Login, Refusal, Strangers};
pub use keys::{MessageSigner, NtHash, SessionKey, nt_hash};
pub use messages::{NegotiateFlags, SIGNATURE};

/// Most UTF-16 units in a user, domain or workstation name (a Windows user name has at most 256).
pub const MAX_NAME_UNITS: usize = 256;
/// Longest NEGOTIATE, in bytes: its head and two names. It is kept until the client answers, by whoever asks.
pub const MAX_NEGOTIATE_LEN: usize = 1024;
