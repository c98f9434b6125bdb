//! What the operator decides: addresses, shares, users, and how strictly to sign and encrypt.

use crate::accounts::KnownUser;
use crate::identity;
use crate::interfaces::InterfaceChoice;
use crate::limits;
use crate::people::People;
use crate::persistent::OpenRecords;
use crate::snapshots::SnapshotPattern;
use crate::tickets::KerberosConfig;
use crate::transport::quic::Certificate;
use crate::veto::Veto;
use smb_core::access::Token;
use smb_core::algorithm::{Cipher, SigningAlgorithm};
use smb_core::ntlm::NtHash;
use smb_core::spnego::Offer;
use smb_wire::negotiate::Dialect;
use smb_wire::tree::ShareFlags;
use smb_wire::{AccessMask, Sid};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a read-only share and a snapshot give: FILE_GENERIC_READ and EXECUTE.
pub(crate) const READ_ONLY_ACCESS: AccessMask =
    AccessMask::FILE_GENERIC_READ.union(AccessMask::FILE_GENERIC_EXECUTE);

/// Where users are looked up.
pub trait Users: Send + Sync + 'static {
    /// The NT hash of a user's password. Names compare without case; `domain` is what the client sent and
    /// may be empty.
    fn nt_hash(&self, user: &str, domain: &str) -> Option<NtHash>;

    /// The user's number among the server's users, for ever: descriptors name people by it. Never given to
    /// somebody else; from 1000 on, as Windows counts, to [`crate::USER_NUMBER_MAX`].
    fn number(&self, user: &str) -> Option<u32>;

    /// Whether all users are known now: else a name that is not known may be a user's, and nobody becomes a guest by it.
    fn are_known(&self) -> bool;

    /// All users; the same list again as long as nothing has changed, for it is looked at often.
    fn all(&self) -> Arc<[KnownUser]>;
}

/// Users under one name, which descriptors may name too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    pub name: String,
    pub members: Vec<String>,
}

impl Group {
    /// The last part of the SID: made of the name, so that all servers of a volume agree on it. Above all numbers of
    /// users ([`crate::USER_NUMBER_MAX`]); two names may meet in one, which is for the operator to be told of.
    pub fn number(&self) -> u32 {
        Group::number_of(&self.name)
    }

    /// The number of a group with such a name.
    pub fn number_of(name: &str) -> u32 {
        identity::group_number(name)
    }
}

/// Whether clients must sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signing {
    /// Whoever can, signs.
    Enabled,
    /// An unsigned request in a session is refused.
    Required,
}

/// Whether sessions are encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encryption {
    /// Only where the client encrypts by itself.
    Accepted,
    /// With every client that can.
    Desired,
    /// Clients that cannot are refused.
    Required,
}

/// SMB over QUIC.
#[derive(Clone, Debug)]
pub struct QuicConfig {
    pub listen: Vec<SocketAddr>,
    pub certificate: Certificate,
}

/// One server.
#[derive(Clone)]
pub struct ServerConfig {
    /// Over TCP.
    pub listen: Vec<SocketAddr>,
    /// Over QUIC too, with dialect 3.1.1 alone.
    pub quic: Option<QuicConfig>,
    /// NetBIOS-style name told to clients, at most 15 characters.
    pub server_name: String,
    /// The same on every start, so that clients know the server again.
    pub server_guid: [u8; 16],
    pub min_dialect: Dialect,
    pub max_dialect: Dialect,
    pub signing: Signing,
    pub encryption: Encryption,
    /// For 3.1.1, preferred ones first. Clients that have none of them, and those of other dialects, sign as their
    /// dialect does by itself.
    pub signing_algorithms: Vec<SigningAlgorithm>,
    /// Preferred ones first; 3.0 and 3.0.2 have AES-128-CCM alone.
    pub ciphers: Vec<Cipher>,
    /// Whether one session may have several connections.
    pub multichannel: bool,
    /// The interfaces told to clients for these; `None`: all that lead to other machines.
    pub interfaces: Option<Vec<InterfaceChoice>>,
    /// Whether messages may be compressed, in dialect 3.1.1: data of WRITEs as clients like, that of READs where they
    /// ask for it.
    pub compression: bool,
    pub users: Arc<dyn Users>,
    /// Log-in by password.
    pub ntlm: bool,
    /// Log-in by NTLM without a name, for `IPC$` and its lists of shares alone. It has no key to encrypt with, so of no
    /// effect where encryption is required.
    pub anonymous: bool,
    /// Log-in by ticket.
    pub kerberos: Option<KerberosConfig>,
    /// Where persistent opens are written down; without it no share is continuously available.
    pub records: Option<OpenRecords>,
    /// How long nobody opens anything in a share, after a start, until its persistent opens are back.
    pub restore_patience: Duration,
    /// FSCTLs of conformance tests are served, which bring connections into states that no client could. Never for
    /// a server that people use.
    pub protocol_tests: bool,
    /// The domain of the users' security identifiers, `S-1-5-21-a-b-c`; `None`: made of `server_guid`. Servers of one
    /// volume need the same, and the same numbers for users, to understand each other's descriptors.
    pub sid: Option<Sid>,
    /// Users who may take ownership of anything and open anything for backup.
    pub administrators: People,
    /// Groups of users that descriptors may name.
    pub groups: Vec<Group>,
    pub per_user: PerUser,
}

/// What one user may have at a time, so that he leaves room to others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PerUser {
    pub connections: usize,
    pub sessions: usize,
}

impl Default for PerUser {
    fn default() -> PerUser {
        PerUser { connections: limits::CONNECTIONS_PER_USER_MAX, sessions: limits::SESSIONS_PER_USER_MAX }
    }
}

impl ServerConfig {
    /// Safe defaults: all dialects, signing required, encryption where the client wants it.
    pub fn new(listen: Vec<SocketAddr>, users: Arc<dyn Users>) -> ServerConfig {
        ServerConfig {
            listen,
            quic: None,
            server_name: "FARSHARE".to_owned(),
            server_guid: *b"farshare\0server\0",
            min_dialect: Dialect::SMB_2_0_2,
            max_dialect: Dialect::SMB_3_1_1,
            signing: Signing::Required,
            encryption: Encryption::Accepted,
            signing_algorithms: SigningAlgorithm::PREFERENCE.to_vec(),
            ciphers: Cipher::PREFERENCE.to_vec(),
            multichannel: true,
            interfaces: None,
            compression: false,
            users,
            ntlm: true,
            anonymous: false,
            kerberos: None,
            records: None,
            restore_patience: limits::RESTORE_PATIENCE,
            protocol_tests: false,
            sid: None,
            administrators: People::default(),
            groups: Vec::new(),
            per_user: PerUser::default(),
        }
    }

    /// Whether nobody may log in.
    pub(crate) fn admits_nobody(&self) -> bool {
        self.anonymous && self.encryption != Encryption::Required
    }

    /// The ways to log in.
    pub(crate) fn offer(&self) -> Offer {
        Offer { kerberos: self.kerberos.is_some(), ntlm: self.ntlm }
    }
}

/// One share: a volume under a name.
#[derive(Clone)]
pub struct Share {
    /// Compared without case; not `IPC$`.
    pub name: String,
    pub vfs: vfs::Vfs,
    /// Shown in browse lists.
    pub comment: String,
    pub read_only: bool,
    /// Who may connect; empty: everyone who can log in.
    pub users: People,
    /// Whether guests may connect besides: who gives a name that no user has, or none. Of no effect where signing or
    /// encryption is required, for a guest has no key.
    pub guests: bool,
    /// Left out of browse lists.
    pub hidden: bool,
    /// Listings leave out what the user may not read.
    pub hide_unreadable: bool,
    /// Opens survive the end of this process, where clients ask for that.
    pub continuously_available: bool,
    /// Only clients that encrypt may connect, and all that they ask for here must come encrypted.
    pub encrypt: bool,
    /// Clients that can are told to have all data compressed; of no effect without [`ServerConfig::compression`].
    pub compress: bool,
    /// Names that are not there.
    pub veto: Veto,
    pub symlinks: Symlinks,
    /// Where previous versions lie.
    pub snapshots: Option<SnapshotPattern>,
}

/// Who follows symbolic links.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Symlinks {
    /// The server: clients see what links lead to.
    #[default]
    Server,
    /// The client: it sees links, and is told of one in its way (STATUS_STOPPED_ON_SYMLINK).
    Client,
}

impl Share {
    pub fn new(name: impl Into<String>, vfs: vfs::Vfs) -> Share {
        Share {
            name: name.into(),
            vfs,
            comment: String::new(),
            read_only: false,
            users: People::default(),
            guests: false,
            hidden: false,
            hide_unreadable: false,
            continuously_available: false,
            encrypt: false,
            compress: false,
            veto: Veto::default(),
            symlinks: Symlinks::Server,
            snapshots: None,
        }
    }

    /// What is told of the share at connecting, and by `srvsvc` (MS-SMB2 2.2.10, MS-SRVS 2.2.4.29: the same bits).
    pub(crate) fn flags(&self) -> ShareFlags {
        let mut flags = ShareFlags::NO_CACHING;
        flags.set(ShareFlags::ENCRYPT_DATA, self.encrypt);
        flags.set(ShareFlags::ACCESS_BASED_DIRECTORY_ENUM, self.hide_unreadable);
        flags
    }

    /// The most that anyone gets here.
    pub(crate) fn maximal_access(&self) -> AccessMask {
        if self.read_only || self.vfs.caps().read_only { READ_ONLY_ACCESS } else { AccessMask::FILE_ALL }
    }

    pub(crate) fn admits(&self, user: &str, principal: Option<&str>, token: &Token) -> bool {
        self.users.is_empty() || self.users.has(user, principal, token)
    }
}
