//! One persistent open as a row of the database: `docs/formats/smb-opens.md`.

use crate::kept::Durability;
use crate::lock_replays::LockName;
use crate::open::Open;
use crate::session::Session;
use bytes::{Buf, BufMut, Bytes};
use smb_core::access::{Privileges, Token};
use smb_wire::create::CreateAction;
use smb_wire::{AccessMask, Sid};
use std::iter;
use std::time::Duration;
use store::Schema;
use store::rusqlite::types::Type;
use store::rusqlite::{self, Connection, OptionalExtension, Params, Row, params};
use vfs::{Access, Caching, Former, Lease, LeaseId, OpenRequest, Owner, Range, Share, Vfs};
use volume::{FileId, Ticket, VPath};

pub(super) const SCHEMA: Schema = Schema {
    // "fsOp"
    kind: 0x6673_4f70,
    steps: &["
CREATE TABLE open(
    id INTEGER PRIMARY KEY, share TEXT NOT NULL, user TEXT NOT NULL, path TEXT NOT NULL, file BLOB NOT NULL,
    dir INTEGER NOT NULL, ticket BLOB, access INTEGER NOT NULL, granted INTEGER NOT NULL,
    sharing INTEGER NOT NULL, mode INTEGER NOT NULL, action INTEGER NOT NULL, delete_on_close INTEGER NOT NULL,
    client BLOB NOT NULL, create_guid BLOB NOT NULL, timeout_ms INTEGER NOT NULL, lease_key BLOB, parent_key BLOB,
    caching INTEGER NOT NULL, epoch INTEGER, locks BLOB NOT NULL);
CREATE INDEX open_by_lease ON open(client, lease_key);
",
"
ALTER TABLE open ADD COLUMN delete_pending INTEGER NOT NULL DEFAULT 0;
CREATE INDEX open_by_file ON open(file);
",
"
ALTER TABLE open ADD COLUMN token BLOB;
CREATE INDEX open_by_path ON open(share, path);
",
"
ALTER TABLE open ADD COLUMN lock_sequences BLOB NOT NULL DEFAULT x'';
"],
};

/// What a SID in `token` is.
const USER: u8 = 1;
const GROUP: u8 = 2;
const DENY_ONLY: u8 = 3;

/// Bytes of one lock in `locks`.
const LOCK_BYTES: usize = 17;

/// Bytes of one request in `lock_sequences`.
const NAME_BYTES: usize = 2;

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(super) id: u64,
    pub(super) share: String,
    pub(super) user: String,
    pub(super) granted: AccessMask,
    pub(super) mode: u32,
    pub(super) action: CreateAction,
    pub(super) durability: Durability,
    pub(super) dir: bool,
    /// Who its user is to security descriptors, where a ticket said so: nobody does after a start.
    pub(super) token: Option<Token>,
    pub(super) former: Former,
    /// LOCK requests that were done.
    pub(super) lock_names: Vec<LockName>,
}

impl Record {
    /// Of an open that is about to be told and has a name of its client's; `None` when it cannot come back: the volume
    /// has no name for it.
    pub(crate) fn of(
        open: &Open,
        session: &Session,
        share: &str,
        request: &OpenRequest,
        durability: Durability,
    ) -> Option<Record> {
        let file = open.file().ok()?;
        let ticket = file.vfs.ticket();
        if file.vfs.has_content() && ticket.is_none() {
            return None;
        }
        let granted = file.vfs.granted();
        let mut request =
            OpenRequest { path: file.vfs.path().ok()?, caching: granted.caching, ..request.clone() };
        request.access = file.vfs.access();
        if let Some(lease) = &mut request.lease {
            lease.epoch = granted.epoch;
        }
        Some(Record {
            id: open.id.persistent,
            share: share.to_lowercase(),
            user: session.user.to_string(),
            granted: open.granted,
            mode: file.mode().bits(),
            action: file.action,
            durability,
            dir: file.vfs.is_dir(),
            token: session.principal.is_some().then(|| Token::clone(&session.token)),
            former: Former {
                request,
                file: file.vfs.file_id(),
                ticket,
                locks: file.vfs.locks(),
                delete_pending: false,
            },
            lock_names: file.lock_replays.all_made(),
        })
    }

    /// Where the file is by now, and whether it is to go; false when the open is closed.
    pub(super) fn is_still(&mut self, open: &vfs::Open, vfs: &Vfs) -> bool {
        let Ok(path) = open.path() else { return false };
        let former = &mut self.former;
        former.delete_pending = vfs.is_going(former.file, &path);
        (former.request.path, former.ticket) = (path, open.ticket());
        true
    }

    pub(super) fn insert(&self, db: &Connection) -> rusqlite::Result<()> {
        let request = &self.former.request;
        let lease = request.lease;
        // A guest's or a stranger's is known by a number of this process.
        let parent_lease = request.parent_lease.filter(|lease| lease.client == self.durability.client);
        db.prepare_cached(
            "INSERT OR REPLACE INTO open VALUES
             (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24)",
        )?
        .execute(params![
            self.id as i64,
            self.share,
            self.user,
            request.path.as_str(),
            encode_file(self.former.file),
            self.dir,
            self.former.ticket.as_ref().map(|ticket| ticket.0.to_vec()),
            request.access.bits(),
            self.granted.bits(),
            request.share.bits(),
            self.mode,
            self.action as u32,
            request.delete_on_close,
            self.durability.client.to_le_bytes(),
            self.durability.create_guid,
            self.durability.timeout.as_millis() as i64,
            lease.map(|lease| lease.id.key.to_le_bytes()),
            parent_lease.map(|lease| lease.key.to_le_bytes()),
            request.caching.bits(),
            lease.and_then(|lease| lease.epoch),
            encode_locks(&self.former.locks),
            self.former.delete_pending,
            self.token.as_ref().map(encode_token),
            encode_names(&self.lock_names),
        ])?;
        let Some(lease) = lease else { return Ok(()) };
        // It may have grown by this open: as far as its client has seen it. By the same name another volume has another.
        let sql = "UPDATE open SET caching = caching | ?4, epoch = ?5
                   WHERE client = ?1 AND lease_key = ?2 AND file = ?3";
        let (client, key) = (lease.id.client.to_le_bytes(), lease.id.key.to_le_bytes());
        let of_lease =
            params![client, key, encode_file(self.former.file), request.caching.bits(), lease.epoch];
        db.prepare_cached(sql)?.execute(of_lease).map(drop)
    }

    /// Those of a share, and the ids of such as are damaged: these come back nowhere.
    pub(super) fn of_share(db: &Connection, share: &str) -> rusqlite::Result<(Vec<Record>, Vec<i64>)> {
        let mut select = db.prepare_cached("SELECT * FROM open WHERE share = ?1 ORDER BY id")?;
        let (mut whole, mut damaged) = (Vec::new(), Vec::new());
        let mut rows = select.query([share])?;
        while let Some(row) = rows.next()? {
            match Record::read(row) {
                Ok(record) => whole.push(record),
                Err(error) => {
                    let id = row.get("id")?;
                    tracing::error!(share, open = id, %error, "the record of a persistent open is damaged");
                    damaged.push(id);
                }
            }
        }
        Ok((whole, damaged))
    }

    /// Where the file of the open with this id is by now.
    pub(super) fn path(db: &Connection, id: u64) -> rusqlite::Result<Option<VPath>> {
        let mut row = db.prepare_cached("SELECT path FROM open WHERE id = ?1")?;
        row.query_row([id as i64], path_of).optional()
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Record> {
        let client = u128::from_le_bytes(row.get("client")?);
        let path = path_of(row)?;
        let access = Access::from_bits_truncate(row.get("access")?);
        let lease_key: Option<[u8; 16]> = row.get("lease_key")?;
        let parent_key: Option<[u8; 16]> = row.get("parent_key")?;
        let epoch: Option<u16> = row.get("epoch")?;
        let id = |key| LeaseId { client, key: u128::from_le_bytes(key) };
        let ticket: Option<Vec<u8>> = row.get("ticket")?;
        let (locks, names): (Vec<u8>, Vec<u8>) = (row.get("locks")?, row.get("lock_sequences")?);
        let timeout: i64 = row.get("timeout_ms")?;
        let action: u32 = row.get("action")?;
        Ok(Record {
            id: row.get::<_, i64>("id")? as u64,
            share: row.get("share")?,
            user: row.get("user")?,
            granted: AccessMask::from_bits_retain(row.get("granted")?),
            mode: row.get("mode")?,
            action: action_of(action),
            durability: Durability {
                timeout: Duration::from_millis(timeout.unsigned_abs()),
                create_guid: Some(row.get("create_guid")?),
                client,
                persistent: true,
                resilient: false,
            },
            dir: row.get("dir")?,
            token: token_of(row)?,
            former: Former {
                request: OpenRequest {
                    share: Share::from_bits_truncate(row.get("sharing")?),
                    delete_on_close: row.get("delete_on_close")?,
                    caching: Caching::from_bits_truncate(row.get("caching")?),
                    lease: lease_key.map(|key| Lease { id: id(key), epoch, dirs: true }),
                    parent_lease: parent_key.map(id),
                    ..OpenRequest::new(path, access, Owner(0))
                },
                file: decode_file(row.get("file")?),
                ticket: ticket.map(|ticket| Ticket(Bytes::from(ticket))),
                locks: decode_locks(&locks),
                delete_pending: row.get("delete_pending")?,
            },
            lock_names: decode_names(&names),
        })
    }
}

/// Brings what is written down of an open in line with what is to become of its name.
pub(super) fn put_deletion(db: &Connection, id: u64, vfs: &Vfs, file: FileId) -> rusqlite::Result<()> {
    put_pending(db, "id = ?1", params![id as i64], vfs, file)
}

/// The same for all opens of a file that are written down of a share.
pub(super) fn put_deletions(db: &Connection, share: &str, vfs: &Vfs, file: FileId) -> rusqlite::Result<()> {
    put_pending(db, "file = ?1 AND share = ?2", params![encode_file(file), share], vfs, file)
}

fn put_pending(
    db: &Connection,
    which: &str,
    named: impl Params,
    vfs: &Vfs,
    file: FileId,
) -> rusqlite::Result<()> {
    let sql = format!("SELECT id, path, delete_pending FROM open WHERE {which}");
    let mut select = db.prepare_cached(&sql)?;
    let rows = select.query_map(named, |row| {
        Ok((row.get::<_, i64>("id")?, path_of(row)?, row.get::<_, bool>("delete_pending")?))
    })?;
    for (id, path, written) in rows.collect::<rusqlite::Result<Vec<_>>>()? {
        let pending = vfs.is_going(file, &path);
        if pending != written {
            let sql = "UPDATE open SET delete_pending = ?2 WHERE id = ?1";
            db.prepare_cached(sql)?.execute(params![id, pending])?;
        }
    }
    Ok(())
}

/// Writes down where an open is by now, and by what it is found there. One that is closed is no more.
pub(super) fn put_place(db: &Connection, id: u64, open: &vfs::Open) -> rusqlite::Result<()> {
    let Ok(path) = open.path() else { return Ok(()) };
    let ticket = open.ticket().map(|ticket| ticket.0.to_vec());
    let sql = "UPDATE open SET path = ?2, ticket = coalesce(?3, ticket) WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![id as i64, path.as_str(), ticket]).map(drop)
}

/// Moves what is written down of a share to where `moved` says that it is; `None`: it has stayed.
pub(super) fn move_all(
    db: &Connection,
    share: &str,
    moved: impl Fn(&VPath) -> Option<VPath>,
) -> rusqlite::Result<()> {
    let mut select = db.prepare_cached("SELECT id, path FROM open WHERE share = ?1")?;
    let rows =
        select.query_map([share], |row| Ok((row.get::<_, i64>("id")?, row.get::<_, String>("path")?)))?;
    let mut update = db.prepare_cached("UPDATE open SET path = ?2 WHERE id = ?1")?;
    for (id, path) in rows.collect::<rusqlite::Result<Vec<_>>>()? {
        // One that is none comes back nowhere.
        if let Some(to) = VPath::parse(&path).ok().and_then(|path| moved(&path)) {
            update.execute(params![id, to.as_str()])?;
        }
    }
    Ok(())
}

fn token_of(row: &Row<'_>) -> rusqlite::Result<Option<Token>> {
    let bytes: Option<Vec<u8>> = row.get("token")?;
    let damaged = || rusqlite::Error::FromSqlConversionFailure(22, Type::Blob, "no token".into());
    bytes.map(|bytes| decode_token(&bytes).ok_or_else(damaged)).transpose()
}

fn path_of(row: &Row<'_>) -> rusqlite::Result<VPath> {
    let path: String = row.get("path")?;
    VPath::parse(&path)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(3, Type::Text, error.into()))
}

fn action_of(code: u32) -> CreateAction {
    let all =
        [CreateAction::Superseded, CreateAction::Opened, CreateAction::Created, CreateAction::Overwritten];
    all.into_iter().find(|action| *action as u32 == code).unwrap_or(CreateAction::Opened)
}

fn encode_file(id: FileId) -> [u8; 16] {
    ((u128::from(id.hi) << 64) | u128::from(id.lo)).to_be_bytes()
}

fn decode_file(bytes: [u8; 16]) -> FileId {
    let both = u128::from_be_bytes(bytes);
    FileId { hi: (both >> 64) as u64, lo: both as u64 }
}

fn encode_token(token: &Token) -> Vec<u8> {
    let mut bytes = vec![token.privileges.bits()];
    let groups = token.groups.iter().map(|group| (GROUP, group));
    let deny_only = token.deny_only.iter().map(|group| (DENY_ONLY, group));
    for (what, sid) in iter::once((USER, &token.user)).chain(groups).chain(deny_only) {
        bytes.push(what);
        sid.encode(&mut bytes);
    }
    bytes
}

/// `None`: not one, or one with what came later.
fn decode_token(mut bytes: &[u8]) -> Option<Token> {
    let privileges = Privileges::from_bits(bytes.split_off_first().copied()?)?;
    let (mut user, mut groups, mut deny_only) = (None, Vec::new(), Vec::new());
    while let Some(what) = bytes.split_off_first() {
        let sid = Sid::decode(bytes).ok()?;
        bytes = bytes.get(sid.encoded_len()..)?;
        match *what {
            USER => user = Some(sid),
            GROUP => groups.push(sid),
            DENY_ONLY => deny_only.push(sid),
            _ => return None,
        }
    }
    Some(Token { deny_only, ..Token::new(user?, groups, privileges) })
}

pub(super) fn encode_locks(locks: &[(Range, bool)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(locks.len() * LOCK_BYTES);
    for (range, exclusive) in locks {
        bytes.put_u64(range.offset);
        bytes.put_u64(range.length);
        bytes.put_u8(u8::from(*exclusive));
    }
    bytes
}

fn decode_locks(bytes: &[u8]) -> Vec<(Range, bool)> {
    let whole = bytes.chunks_exact(LOCK_BYTES);
    whole.map(|mut lock| (Range::new(lock.get_u64(), lock.get_u64()), lock.get_u8() != 0)).collect()
}

/// Of buckets that count, which are no more than a byte.
pub(super) fn encode_names(names: &[LockName]) -> Vec<u8> {
    names.iter().flat_map(|name| [name.bucket as u8, name.number]).collect()
}

fn decode_names(bytes: &[u8]) -> Vec<LockName> {
    let (whole, _) = bytes.as_chunks::<NAME_BYTES>();
    whole.iter().map(|[bucket, number]| LockName { bucket: (*bucket).into(), number: *number }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_a_user_is_survives() {
        let sid = |number| Sid::new(5, &[21, number]).unwrap();
        let groups = vec![sid(2), sid(3)];
        let plain = Token::new(sid(1), groups, Privileges::BACKUP | Privileges::RESTORE);
        for token in [Token { deny_only: vec![sid(4)], ..plain.clone() }, plain] {
            let bytes = encode_token(&token);
            let back = decode_token(&bytes).unwrap();
            assert_eq!(format!("{back:?}"), format!("{token:?}"));
            assert!(decode_token(&bytes[..bytes.len() - 1]).is_none());
            assert!(decode_token(&[&bytes[..], &[9]].concat()).is_none());
        }
    }
}
