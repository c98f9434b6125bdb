//! Every bound of the SMB server, with its unit. `docs/limits.md` lists them for people.

use std::time::Duration;

/// Largest READ, WRITE and other payload, bytes.
pub const PAYLOAD_MAX_BYTES: u32 = 8 * 1024 * 1024;
/// Shorter READs are copied into the socket: handing over pages would save little, bytes.
pub const PAGES_MIN_BYTES: u32 = 32 * 1024;
/// What a message may hold besides its largest payload, bytes.
pub const MESSAGE_OVERHEAD_MAX_BYTES: usize = 64 * 1024;
/// Longest message before anybody logged in, bytes.
pub const ANONYMOUS_MESSAGE_MAX_BYTES: usize = 128 * 1024;
/// A connection on which nobody is logged in is closed after this time.
pub const LOGON_PATIENCE: Duration = Duration::from_secs(20);
/// Log-ins under way, and sessions, on a connection on which no user has logged in yet.
pub const ANONYMOUS_LOGONS_MAX: usize = 16;
/// Connections at a time.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Connections of one user at a time, over all listening addresses: half of what one takes, so that others always find
/// room. One account may work on every node of a large farm, by several channels each. All guests are one user.
pub const CONNECTIONS_PER_USER_MAX: usize = CONNECTIONS_MAX / 2;
/// Sessions of one user at a time.
pub const SESSIONS_PER_USER_MAX: usize = CONNECTIONS_MAX / 2;
/// Connections at a time on which nobody has logged in yet, from one address.
pub const ANONYMOUS_CONNECTIONS_PER_ADDRESS_MAX: usize = 64;
/// Connections of one session (MS-SMB2 3.3.5.5.2 suggests 32).
pub const CHANNELS_PER_SESSION_MAX: usize = 32;
/// Legs of bindings to one session that are remembered, where it signs by AES-GMAC: about as many bindings as it ever has.
pub const BINDING_LEGS_PER_SESSION_MAX: usize = 4096;
/// Addresses that clients are told of for them.
pub const INTERFACES_MAX: usize = 128;
/// How old what is told of interfaces may be.
pub const INTERFACES_FRESH: Duration = Duration::from_secs(5);
/// Sessions on one connection.
pub const SESSIONS_PER_CONNECTION_MAX: usize = 256;
/// Tree connects of one session.
pub const TREES_PER_SESSION_MAX: usize = 1024;
/// Opens of one session.
pub const OPENS_PER_SESSION_MAX: usize = 16 * 1024;
/// Tree connects of one anonymous session, and its opens: a client has one, and asks two pipes.
pub const ANONYMOUS_TREES_MAX: usize = 4;
pub const ANONYMOUS_OPENS_MAX: usize = 4;
/// Sessions of guests at a time from one address. So that guests leave some of
/// [`ANONYMOUS_CONNECTIONS_PER_ADDRESS_MAX`], of which theirs go on to be, to users who come to log in.
pub const GUEST_SESSIONS_PER_ADDRESS_MAX: usize = 32;
/// Tree connects of one guest's session.
pub const GUEST_TREES_MAX: usize = 16;
/// Its opens.
pub const GUEST_OPENS_MAX: usize = 1024;
/// The client of a session that has no more than this part of its opens left is asked for directories that it keeps
/// open for their leases alone ...
pub const OPENS_LEFT_PART: usize = 8;
/// ... for this part of what it may have at a time, and again after half as many CREATEs.
pub const HANDLES_ASKED_PART: usize = 16;
/// Opens of one user that are kept for clients which are away.
pub const KEPT_OPENS_PER_USER_MAX: usize = 16 * 1024;
/// How long a durable open of the first form is kept (Windows: 16 min).
pub const DURABLE_TIMEOUT_V1: Duration = Duration::from_secs(16 * 60);
/// How long one of the second form is kept where the client names no time.
pub const DURABLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest time that a client can name for it.
pub const DURABLE_TIMEOUT_MAX: Duration = Duration::from_secs(300);
/// Persistent opens of one share that are opened again at a time, after a start.
pub const RESTORES_AT_ONCE: usize = 64;
/// How long opening one of them may take.
pub const RESTORE_ONE_PATIENCE: Duration = Duration::from_secs(10);
/// How long others wait until all of a share are back.
pub const RESTORE_PATIENCE: Duration = Duration::from_secs(20);
/// Between two attempts at those that are not.
pub const RESTORE_PAUSE: Duration = Duration::from_secs(1);
/// A break that has not reached its client after this time is told on another channel: TCP has sent it three times
/// again by then, after 0.2 s, 0.6 s and 1.4 s.
pub const BREAK_DELIVERY: Duration = Duration::from_millis(1500);
/// A connection ends on which a break is on its way that somebody waits for, and whose client has acknowledged nothing for
/// this time: two looks before who waits gives up.
pub const BREAK_PATIENCE: Duration =
    vfs::BREAK_TIMEOUT.saturating_sub(BREAK_DELIVERY).saturating_sub(BREAK_DELIVERY);
/// A break that waited for its client to come back is told this much after the answer that gives the open back.
pub const BREAK_AFTER_TAKE_UP: Duration = Duration::from_millis(100);
/// A break of a directory's lease is told no earlier than this after the answer that gives the lease.
pub const BREAK_AFTER_DIRECTORY: Duration = Duration::from_millis(10);
/// How long a resilient open is kept where the client names no time.
pub const RESILIENT_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest time that a client can name for it.
pub const RESILIENT_TIMEOUT_MAX: Duration = Duration::from_secs(300);
/// Snapshots that are told of one share.
pub const SNAPSHOTS_MAX: usize = 4096;
/// Requests of one chain.
pub const COMPOUND_MAX: usize = 64;
/// Requests of one connection that may wait with an interim response (Windows: 511).
pub const ASYNC_MAX: usize = 511;
/// The same before anybody logged in: of an anonymous session's few pipes.
pub const ANONYMOUS_ASYNC_MAX: usize = 16;
/// A request that takes longer is answered STATUS_PENDING first, so that the client goes on waiting.
pub const INTERIM_AFTER: Duration = Duration::from_millis(1000);
/// Bytes of one step of a copy without chunks: each has the whole patience, and CANCEL is heard before the next.
pub const COPY_PIECE_BYTES: u64 = 16 << 20;
/// How long one request may take at the volume before it fails.
pub const REQUEST_PATIENCE: Duration = Duration::from_secs(45);
/// Different names among the changes that one CHANGE_NOTIFY tells where a share hides what a user may not read: each is
/// looked at. For more the client lists again.
pub const CHANGES_JUDGED_MAX: usize = 64;
/// Steps of work without a wait, before others on the thread have their turn. Holding a name of a directory against one
/// unit of a pattern is one.
pub const STEPS_AT_ONCE: usize = 4096;
/// Steps that one element of a LOCK counts as: it may be held against all that wait for locks of the file.
pub const LOCK_ELEMENT_STEPS: usize = 128;
/// No further requests are read from a connection while this much waits to be sent to it, bytes.
pub const OUTBOX_HIGH_BYTES: usize = 32 * 1024 * 1024;
/// The same before anybody logged in.
pub const ANONYMOUS_OUTBOX_HIGH_BYTES: usize = 256 * 1024;
/// So much is sent before the next request is looked at: it is still in the processor's cache, and the client has
/// something to do. Less waits for the answers of other requests that have come, bytes.
pub const SEND_AT_ONCE_BYTES: usize = 256 * 1024;
/// Bytes of READ payloads that one connection may have read and not yet sent; further READs wait.
pub const READ_ROOM_BYTES: u32 = 16 * 1024 * 1024;
/// Bytes that other answers than those of READs may take up on one connection until they are sent; further requests for
/// such wait.
pub const ANSWER_ROOM_BYTES: u32 = 16 * 1024 * 1024;
/// When the answers of a chain are so long together, they are sent before the rest of it is looked at, bytes.
pub const CHAIN_TOGETHER_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of requests under way on one connection, as much as they keep from others; no further ones are taken from its
/// socket beyond.
pub const AT_WORK_MAX_BYTES: usize = 16 * 1024 * 1024;
/// The same before anybody logged in.
pub const ANONYMOUS_AT_WORK_MAX_BYTES: usize = 256 * 1024;
/// Bytes of compressed messages that one connection may have restored and not yet answered; further ones wait.
pub const RESTORED_ROOM_BYTES: u32 = 16 * 1024 * 1024;
/// The same before anybody logged in.
pub const ANONYMOUS_RESTORED_ROOM_BYTES: u32 = 256 * 1024;
/// What a compressed message may become besides the largest payload, bytes (MS-SMB2 3.3.5.2.1.2).
pub const RESTORED_OVERHEAD_MAX_BYTES: usize = 256 + 16;
/// Larger messages are compressed and restored on a thread of their own, so that other clients need not wait, bytes.
pub const COMPRESSED_HERE_MAX_BYTES: usize = 64 * 1024;
/// A client that takes nothing of what waits for it for so long is dropped.
pub const SEND_PATIENCE: Duration = Duration::from_secs(60);
/// No further requests are read while so many are under way on the connection.
pub const REQUESTS_AT_WORK_MAX: usize = 8192;
/// Bytes that all pipes of one session keep: of answers not read yet, and of requests that are not whole.
pub const PIPES_MAX_BYTES: usize = 4 * 1024 * 1024;
/// The same in an anonymous session and a guest's.
pub const ANONYMOUS_PIPES_MAX_BYTES: usize = 64 * 1024;
/// A silent client is asked for a sign of life after this time ...
pub const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(60);
/// ... then so often ...
pub const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(10);
/// ... and taken for dead after so many questions without an answer.
pub const KEEP_ALIVE_MISSES: u32 = 6;
/// Longest delay of a log-in after wrong passwords; well under [`LOGON_PATIENCE`], so that the right one gets in.
pub const LOGON_DELAY_MAX: Duration = Duration::from_secs(8);
/// Wrong passwords from one place, for whatever users, before its log-ins are spaced.
pub const FREE_FAILURES_PER_PLACE: u32 = 10;
/// Space between two log-ins from a place after that.
pub const GUESS_SPACING: Duration = Duration::from_millis(500);
/// Opens that are closed at a time when a client is gone.
pub const CLOSES_AT_ONCE: usize = 64;
/// How long a client that comes back for an open waits for the end of the connection that it had it on.
pub const RETURN_PATIENCE: Duration = Duration::from_secs(1);
/// How long LOGOFF, and a client that comes back for an open, wait for what the former session has begun there.
pub const LANDING_PATIENCE: Duration = REQUEST_PATIENCE;
/// How long stopping takes at most before what is left is closed by force.
pub const STOP_PATIENCE: Duration = Duration::from_secs(13);
/// How long a stopping server waits for requests under way.
pub const DRAIN_PATIENCE: Duration = Duration::from_secs(10);
/// Credits of a connection before anybody logged in.
pub const ANONYMOUS_CREDITS_MAX: u32 = 64;
/// Credits of a connection after that.
pub const CREDITS_MAX: u32 = 8192;
/// QUIC clients that shake hands at a time, on one address of ours; further ones are refused.
pub const QUIC_HANDSHAKES_MAX: usize = 256;
/// From so many on, a client must first show that its address is its own.
pub const QUIC_HANDSHAKES_UNPROVED_MAX: usize = 32;
/// The same from one place (IPv6: one /64).
pub const QUIC_HANDSHAKES_PER_ADDRESS_MAX: usize = 16;
/// How long a QUIC client may take from its first packet to the first bytes on its stream.
pub const QUIC_HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// A QUIC connection on which nothing comes for so long is dead.
pub const QUIC_IDLE_MAX: Duration = Duration::from_secs(120);
/// So often a silent client is asked for a sign of life, which also keeps the way through a NAT open.
pub const QUIC_KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Bytes of one QUIC connection on their way in each direction, not taken or not acknowledged yet.
pub const QUIC_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// The same before anybody logged in: what comes out of order lies in memory until what is missing comes.
pub const ANONYMOUS_QUIC_WINDOW_BYTES: u32 = 128 * 1024;
/// Buffers asked of the system for a UDP socket, bytes.
pub const QUIC_SOCKET_BYTES: usize = 4 * 1024 * 1024;
/// How long the end of a QUIC connection may take.
pub const QUIC_END_PATIENCE: Duration = Duration::from_secs(1);

/// Answers of WS-Discovery that are begun in a second, on one interface and by one family of addresses.
pub const WS_ANSWERS_PER_SECOND: u32 = 20;

/// Answers of WS-Discovery that are on their way there.
pub const WS_ANSWERS_AT_ONCE: usize = 32;

/// Messages there that are known to be answered, should they come again.
pub const WS_MESSAGES_KNOWN: usize = 128;

/// Connections for metadata there.
pub const WS_CONNECTIONS_MAX: usize = 16;

/// How long one of them may last.
pub const WS_EXCHANGE_PATIENCE: Duration = Duration::from_secs(5);

/// How long it is believed which interfaces there are to announce the server on.
pub const WS_INTERFACES_FRESH: Duration = Duration::from_secs(10);

/// How long saying goodbye may take.
pub const WS_END_PATIENCE: Duration = Duration::from_secs(1);
