//! A session: one logged-in user, over one connection or several (MS-SMB2 3.3.1.8).
//!
//! The layering is session -> channels -> connections: what a user has (tree connects, opens, the keys that
//! encrypt) belongs to the session and lives as long as one channel does; what a connection needs to prove
//! that it belongs here (its signing key) is a [`Channel`] and lives in that connection.
//!
//! A session belongs for ever to the user who made it, or to nobody: an anonymous log-in may make one, whose keys are no
//! secret. A guest's is nobody's too, and files of shares that admit guests are open to it. A user may log in again as
//! nobody, and later again as himself: in between the session opens nothing, what is open stays open with the rights of
//! then, and everything else (keys, the ticket's end) is as it was.
//!
//! Lock order: a session's tables are locked one at a time and never across an await.

mod bindings;
mod opens;

use crate::commands::file_info;
use crate::connection::Connection;
use crate::handles::Handles;
use crate::limits;
use crate::open::Open;
use crate::server::Share;
pub(crate) use bindings::Bindings;
use opens::Opens;
use parking_lot::{Mutex, RwLock};
use smb_core::acceptor::Established;
use smb_core::access::Token;
use smb_core::algorithm::{Cipher, SigningAlgorithm};
use smb_core::names::{folded_user, same_user};
use smb_core::sealing::{Opener, Sealer};
use smb_core::signing::Signer;
use smb_wire::create::apple::AppleServerCapabilities;
use smb_wire::ids::Guid;
use smb_wire::negotiate::Dialect;
use smb_wire::{AccessMask, FileTime, NtStatus, Sid};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use volume::Time;

/// Which connection, among all of this server's life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// Keys that encrypt: one pair for all channels.
pub(crate) struct Sealing {
    pub(crate) opener: Opener,
    pub(crate) sealer: Sealer,
}

/// What a channel must have in common with its session (MS-SMB2 3.3.5.5.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    pub(crate) dialect: Dialect,
    pub(crate) cipher: Option<Cipher>,
    pub(crate) signing: SigningAlgorithm,
    /// ClientGuid.
    pub(crate) client: Guid,
}

pub(crate) struct Session {
    pub(crate) id: u64,
    /// Empty where it is nobody's; all guests have one name.
    pub(crate) user: Arc<str>,
    /// The same in the form that tells users apart: on whose account opens and sessions are. Nobody's are on none.
    pub(crate) account: Option<Arc<str>>,
    /// Who that is to security descriptors.
    pub(crate) token: Arc<Token>,
    /// It was a ticket that said so, for this name with its realm.
    pub(crate) principal: Option<Arc<str>>,
    /// Made by a log-in that proved nothing, an anonymous one or a guest's: its keys are no secret, or none.
    pub(crate) nobodys: bool,
    /// It is nobody's, but a guest's; where he comes from.
    pub(crate) guest_from: Option<IpAddr>,
    /// Its user has last logged in as nobody.
    left_by_user: AtomicBool,
    pub(crate) terms: Terms,
    /// Unsigned requests are refused.
    pub(crate) signing_required: bool,
    /// Unencrypted requests are refused.
    pub(crate) encrypt: AtomicBool,
    /// Signs for the session itself: a request that binds a channel carries this signature.
    pub(crate) signer: Arc<Signer>,
    pub(crate) bindings: Bindings,
    pub(crate) sealing: Option<Sealing>,
    /// [`AppleServerCapabilities`] that its client was told of: from then on it counts on them.
    apple: AtomicU64,
    trees: RwLock<HashMap<u32, Arc<Tree>>>,
    opens: RwLock<Opens>,
    /// Opens that are on their way in.
    coming: AtomicUsize,
    pub(crate) handles: Handles,
    /// What its pipes keep.
    pub(crate) pipe_bytes: Arc<AtomicUsize>,
    channels: Mutex<Vec<(ConnectionId, Weak<Connection>)>>,
    next_tree: AtomicU32,
    gone: AtomicBool,
    /// When the user has to prove himself again, as FILETIME; [`NEVER`].
    expires: AtomicU64,
}

/// Later than any time there is.
const NEVER: u64 = u64::MAX;

/// A connection's part in a session.
#[derive(Clone)]
pub(crate) struct Channel {
    pub(crate) session: Arc<Session>,
    pub(crate) signer: Arc<Signer>,
}

/// A share as one session has connected to it.
pub(crate) struct Tree {
    pub(crate) id: u32,
    pub(crate) target: Target,
    /// The most that the user gets here.
    pub(crate) maximal_access: AccessMask,
}

/// What a tree connect leads to.
pub(crate) enum Target {
    Disk(Arc<Share>),
    /// `IPC$`
    Pipes,
}

/// What a new session is made of.
pub(crate) struct NewSession {
    pub(crate) id: u64,
    pub(crate) user: Arc<str>,
    pub(crate) token: Token,
    pub(crate) principal: Option<Arc<str>>,
    pub(crate) nobodys: bool,
    pub(crate) guest_from: Option<IpAddr>,
    pub(crate) terms: Terms,
    pub(crate) signing_required: bool,
    pub(crate) encrypt: bool,
    pub(crate) signer: Arc<Signer>,
    pub(crate) bindings: Bindings,
    pub(crate) sealing: Option<Sealing>,
    pub(crate) connection: Arc<Connection>,
    /// When the user has to prove himself again.
    pub(crate) expires: Option<FileTime>,
}

/// Room for an open that is on its way into its session.
pub(crate) struct Coming(Arc<Session>);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.coming.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Tree {
    /// Of `IPC$` none.
    pub(crate) fn share(&self) -> Option<&Arc<Share>> {
        match &self.target {
            Target::Disk(share) => Some(share),
            Target::Pipes => None,
        }
    }
}

/// On whose account a session is.
fn account_of(user: &str, nobodys: bool) -> Option<Arc<str>> {
    (!nobodys).then(|| folded_user(user).into())
}

impl Session {
    pub(crate) fn new(new: NewSession) -> Arc<Session> {
        Arc::new(Session {
            id: new.id,
            account: account_of(&new.user, new.nobodys && new.guest_from.is_none()),
            user: new.user,
            token: Arc::new(new.token),
            principal: new.principal,
            nobodys: new.nobodys,
            guest_from: new.guest_from,
            left_by_user: AtomicBool::new(false),
            terms: new.terms,
            signing_required: new.signing_required,
            encrypt: AtomicBool::new(new.encrypt),
            signer: new.signer,
            bindings: new.bindings,
            sealing: new.sealing,
            apple: AtomicU64::new(0),
            trees: RwLock::default(),
            opens: RwLock::default(),
            coming: AtomicUsize::new(0),
            handles: Handles::default(),
            pipe_bytes: Arc::default(),
            channels: Mutex::new(vec![(new.connection.id, Arc::downgrade(&new.connection))]),
            next_tree: AtomicU32::new(1),
            gone: AtomicBool::new(false),
            expires: AtomicU64::new(new.expires.map_or(NEVER, |time| time.0)),
        })
    }

    /// Whether requests must come encrypted.
    pub(crate) fn encrypts(&self) -> bool {
        self.encrypt.load(Ordering::Relaxed)
    }

    /// Whether no user is logged in: no list of users is told, and no channel joins.
    pub(crate) fn is_strangers(&self) -> bool {
        self.nobodys || self.left_by_user.load(Ordering::Relaxed)
    }

    /// Whether a guest is logged in: what shares that admit guests have is open to him.
    pub(crate) fn is_guest(&self) -> bool {
        self.guest_from.is_some()
    }

    /// Whether nobody is logged in, not even a guest: a name of a file opens nothing.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.is_strangers() && !self.is_guest()
    }

    /// Whether it may connect to this share.
    pub(crate) fn may_connect_to(&self, share: &Share) -> bool {
        let is_admitted = match self.is_guest() {
            true => share.guests,
            false => !self.is_anonymous() && share.admits(&self.user, self.principal.as_deref(), &self.token),
        };
        // Without a cipher nothing could be asked for there (MS-SMB2 3.3.5.7).
        is_admitted && (!share.encrypt || self.sealing.is_some())
    }

    /// Whether it belongs to this user, whatever others are called.
    pub(crate) fn is_of(&self, user: &Sid) -> bool {
        !self.nobodys && self.token.user == *user
    }

    /// Whether who has logged in is who made it, by a ticket of the same principal, or by password as then: names may be
    /// the same where people are not.
    pub(crate) fn is_by(&self, established: &Established) -> bool {
        let principal = established.ticket.as_ref().map(|ticket| ticket.principal.to_string());
        let same_name = !self.nobodys && same_user(&self.user, &established.identity.user);
        match (&self.principal, &principal) {
            (Some(one), Some(other)) => same_name && same_user(one, other),
            (None, None) => same_name,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// What its client, one of Apple's, was told that this server can do.
    pub(crate) fn apple(&self) -> AppleServerCapabilities {
        AppleServerCapabilities::from_bits_retain(self.apple.load(Ordering::Relaxed))
    }

    pub(crate) fn tell_apple(&self, capabilities: AppleServerCapabilities) {
        self.apple.store(capabilities.bits(), Ordering::Relaxed);
    }

    /// Whether the session was ended: nothing may succeed in it any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Whether the user has to prove himself again before anything else (MS-SMB2 3.3.5.2.9).
    pub(crate) fn is_expired(&self) -> bool {
        let expires = self.expires.load(Ordering::Relaxed);
        expires != NEVER && file_info::file_time(Time::now()).0 >= expires
    }

    /// The user has proved himself again.
    pub(crate) fn renew(&self, expires: Option<FileTime>) {
        self.expires.store(expires.map_or(NEVER, |time| time.0), Ordering::Relaxed);
        self.left_by_user.store(false, Ordering::Relaxed);
    }

    /// Its client has logged in again as nobody. That proves nothing, so a ticket ends when it would have.
    pub(crate) fn leave_to_nobody(&self) {
        self.left_by_user.store(true, Ordering::Relaxed);
    }

    /// Another connection joins.
    ///
    /// # Errors
    /// `USER_SESSION_DELETED` when the session has ended, or its last channel is gone and it is about to;
    /// `INSUFFICIENT_RESOURCES` when there are too many.
    pub(crate) fn join(&self, id: ConnectionId, connection: Weak<Connection>) -> Result<(), NtStatus> {
        let mut channels = self.channels.lock();
        if self.is_gone() || channels.is_empty() {
            return Err(NtStatus::USER_SESSION_DELETED);
        }
        if channels.len() >= limits::CHANNELS_PER_SESSION_MAX {
            return Err(NtStatus::INSUFFICIENT_RESOURCES);
        }
        channels.push((id, connection));
        Ok(())
    }

    /// A connection is gone; true when it was the last.
    pub(crate) fn leave(&self, connection: ConnectionId) -> bool {
        let mut channels = self.channels.lock();
        channels.retain(|(id, _)| *id != connection);
        channels.is_empty()
    }

    /// The connections on which the client can be told something, oldest first.
    pub(crate) fn connections(&self) -> Vec<Arc<Connection>> {
        self.channels.lock().iter().filter_map(|(_, connection)| connection.upgrade()).collect()
    }

    /// Connects to a share.
    ///
    /// # Errors
    /// `USER_SESSION_DELETED` when the session has ended meanwhile, `INSUFFICIENT_RESOURCES` when there are too many.
    pub(crate) fn add_tree(&self, target: Target, maximal_access: AccessMask) -> Result<Arc<Tree>, NtStatus> {
        let mut trees = self.trees.write();
        // Looked at under the lock that the end takes after it has set this.
        if self.is_gone() {
            return Err(NtStatus::USER_SESSION_DELETED);
        }
        let most = [limits::TREES_PER_SESSION_MAX, limits::GUEST_TREES_MAX, limits::ANONYMOUS_TREES_MAX];
        if trees.len() >= self.most(most) {
            return Err(NtStatus::INSUFFICIENT_RESOURCES);
        }
        let id = loop {
            let id = self.next_tree.fetch_add(1, Ordering::Relaxed);
            // Zero and all ones mean "none" on the wire.
            if id != 0 && id != u32::MAX && !trees.contains_key(&id) {
                break id;
            }
        };
        let tree = Arc::new(Tree { id, target, maximal_access });
        trees.insert(id, Arc::clone(&tree));
        Ok(tree)
    }

    pub(crate) fn tree(&self, id: u32) -> Option<Arc<Tree>> {
        self.trees.read().get(&id).cloned()
    }

    pub(crate) fn all_trees(&self) -> Vec<Arc<Tree>> {
        self.trees.read().values().cloned().collect()
    }

    pub(crate) fn trees(&self) -> usize {
        self.trees.read().len()
    }

    /// Takes a tree connect out, with the opens that stand on it; the caller closes these.
    pub(crate) fn take_tree(&self, id: u32) -> Option<Vec<Arc<Open>>> {
        self.trees.write().remove(&id)?;
        Some(self.opens.write().take_tree(id))
    }

    /// How many opens are here or on their way, and how many there may be.
    pub(crate) fn crowding(&self) -> (usize, usize) {
        (self.opens() + self.coming.load(Ordering::Relaxed), self.opens_max())
    }

    fn opens_max(&self) -> usize {
        self.most([limits::OPENS_PER_SESSION_MAX, limits::GUEST_OPENS_MAX, limits::ANONYMOUS_OPENS_MAX])
    }

    /// Takes room for one more open, if it fits.
    pub(crate) fn take_room(self: &Arc<Self>) -> Option<Coming> {
        // Nobody enters one meanwhile; of those who take room the next sees it.
        let opens = self.opens.read();
        let fits = |coming| (opens.len() + coming < self.opens_max()).then_some(coming + 1);
        self.coming.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Coming(Arc::clone(self)))
    }

    /// The limit that holds here, of those for users, guests and nobody.
    fn most(&self, [user, guest, nobody]: [usize; 3]) -> usize {
        match (self.nobodys, self.is_guest()) {
            (false, _) => user,
            (true, true) => guest,
            (true, false) => nobody,
        }
    }

    /// Enters an open, into the room that was taken for it; false when the session or the tree connect has ended
    /// meanwhile.
    pub(crate) fn add_open(&self, open: Arc<Open>, room: Option<Coming>) -> bool {
        let mut opens = self.opens.write();
        if self.is_gone() || !self.trees.read().contains_key(&open.tree_id) {
            return false;
        }
        opens.insert(open);
        // Before anybody looks again: it counts once.
        drop(room);
        true
    }

    /// Puts an open in the place of another of the same id; false when that one has been closed meanwhile.
    pub(crate) fn replace_open(&self, former: &Arc<Open>, open: Arc<Open>) -> bool {
        self.opens.write().replace(former, open)
    }

    pub(crate) fn open(&self, id: smb_wire::FileId) -> Option<Arc<Open>> {
        self.opens.read().get(id).cloned()
    }

    pub(crate) fn take_open(&self, id: smb_wire::FileId) -> Option<Arc<Open>> {
        self.opens.write().remove(id)
    }

    /// Whether such an open is here.
    pub(crate) fn has_open(&self, is_meant: impl Fn(&Open) -> bool) -> bool {
        self.opens.read().all().any(|open| is_meant(open))
    }

    /// Whether one with this persistent half of its id is.
    pub(crate) fn has_persistent(&self, id: u64) -> bool {
        self.opens.read().has(id)
    }

    pub(crate) fn all_opens(&self) -> Vec<Arc<Open>> {
        self.opens.read().all().cloned().collect()
    }

    pub(crate) fn opens(&self) -> usize {
        self.opens.read().len()
    }

    /// Ends the session: its opens are handed to the caller to be closed, once.
    pub(crate) fn end(&self) -> Vec<Arc<Open>> {
        let mut opens = self.opens.write();
        self.gone.store(true, Ordering::Release);
        self.trees.write().clear();
        opens.take_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smb_core::access::Privileges;
    use smb_core::signing::Role;
    use std::iter;

    fn session() -> Session {
        let signing = SigningAlgorithm::AesCmac;
        Session {
            id: 1,
            user: "alice".into(),
            account: None,
            token: Arc::new(Token::authenticated(Sid::everyone(), Vec::new(), Privileges::empty())),
            principal: None,
            nobodys: false,
            guest_from: None,
            left_by_user: AtomicBool::new(false),
            terms: Terms { dialect: Dialect::SMB_3_1_1, cipher: None, signing, client: Guid::default() },
            signing_required: true,
            encrypt: AtomicBool::new(false),
            signer: Arc::new(Signer::new(signing, &[0; 16], Role::Server)),
            bindings: Bindings::new(signing, &[0; 16], 1, FileTime(0)).unwrap(),
            sealing: None,
            trees: RwLock::default(),
            opens: RwLock::default(),
            coming: AtomicUsize::new(0),
            handles: Handles::default(),
            pipe_bytes: Arc::default(),
            channels: Mutex::new(vec![(ConnectionId(1), Weak::new())]),
            next_tree: AtomicU32::new(1),
            gone: AtomicBool::new(false),
            apple: AtomicU64::new(0),
            expires: AtomicU64::new(NEVER),
        }
    }

    #[test]
    fn nothing_enters_a_session_that_has_ended() {
        let session = session();
        let connect = || session.add_tree(Target::Pipes, AccessMask::FILE_ALL).map(|tree| tree.id);
        assert_eq!(connect(), Ok(1));
        assert_eq!(session.join(ConnectionId(2), Weak::new()), Ok(()));
        assert!(session.end().is_empty());
        assert_eq!(connect(), Err(NtStatus::USER_SESSION_DELETED));
        assert_eq!(session.join(ConnectionId(3), Weak::new()), Err(NtStatus::USER_SESSION_DELETED));
        assert_eq!(session.trees(), 0);
    }

    #[test]
    fn a_session_that_is_left_to_nobody_stays_its_users_and_ends_with_his_ticket() {
        let session = session();
        session.renew(Some(FileTime(1)));
        session.leave_to_nobody();
        assert!(session.is_anonymous() && session.is_expired() && session.is_of(&Sid::everyone()));
        session.renew(None);
        assert!(!session.is_anonymous() && !session.is_expired());
        let nobodys = Session { nobodys: true, user: "".into(), ..session };
        nobodys.renew(None);
        assert!(nobodys.is_anonymous() && !nobodys.is_of(&Sid::everyone()));
    }

    fn open(volatile: u64, tree_id: u32) -> Arc<Open> {
        Arc::new(Open::of_nothing(smb_wire::FileId { persistent: volatile, volatile }, tree_id))
    }

    #[test]
    fn what_was_closed_is_not_replaced() {
        let session = session();
        let tree = session.add_tree(Target::Pipes, AccessMask::FILE_ALL).unwrap();
        let (first, second, third) = (open(1, tree.id), open(1, tree.id), open(1, tree.id));
        assert!(!session.replace_open(&first, Arc::clone(&second)) && session.opens() == 0);
        assert!(session.add_open(Arc::clone(&first), None));
        assert!(session.replace_open(&first, Arc::clone(&second)));
        assert!(!session.replace_open(&first, Arc::clone(&third)), "by two at once: one has come too late");
        assert!(session.take_open(first.id).is_some_and(|taken| Arc::ptr_eq(&taken, &second)));
        assert!(!session.replace_open(&second, third) && session.opens() == 0);
    }

    #[test]
    fn room_for_an_open_is_one_opens_from_when_it_is_taken_on() {
        let session = Arc::new(session());
        let tree = session.add_tree(Target::Pipes, AccessMask::FILE_ALL).unwrap();
        let mut coming: Vec<_> = iter::from_fn(|| session.take_room()).collect();
        assert_eq!(coming.len(), limits::OPENS_PER_SESSION_MAX);
        assert!(session.add_open(open(1, tree.id), coming.pop()) && session.take_room().is_none());
        assert!(!session.add_open(open(2, tree.id + 1), coming.pop()));
        let again = session.take_room();
        assert!(again.is_some() && session.take_room().is_none());
        drop((coming, again));
        let rest: Vec<_> = iter::from_fn(|| session.take_room()).collect();
        assert_eq!(rest.len(), limits::OPENS_PER_SESSION_MAX - 1);
    }

    #[test]
    fn nobody_joins_once_the_last_channel_is_gone() {
        let session = session();
        assert!(session.leave(ConnectionId(1)));
        assert_eq!(session.join(ConnectionId(2), Weak::new()), Err(NtStatus::USER_SESSION_DELETED));
    }
}
