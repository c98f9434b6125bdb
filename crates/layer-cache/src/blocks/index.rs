//! The index in SQL: contents, the claims about their blocks, pins. Layout: `docs/formats/cache.md`.
//!
//! It lags behind memory by design. What is in it is a claim that is checked against the bytes on disk, so
//! losing the last rows loses cached blocks and nothing else. Only pins are told nowhere else.

use super::map::Row;
use std::io;
use std::path::{Path, PathBuf};
use store::rusqlite::{self, Connection, OptionalExtension, params};
use store::{Durability, Schema, Store, StoreError};
use volume::{Error, ErrorKind, FileId, Result, VPath, Version};

const SCHEMA: Schema = Schema {
    // "fsCa"
    kind: 0x6673_4361,
    steps: &["
CREATE TABLE cache(identity TEXT NOT NULL);
CREATE TABLE content(
    number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, version BLOB NOT NULL, size INTEGER NOT NULL,
    path TEXT NOT NULL, used INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TABLE block_group(
    number INTEGER NOT NULL, grp INTEGER NOT NULL, claims BLOB NOT NULL, PRIMARY KEY(number, grp)) WITHOUT ROWID;
CREATE TABLE pin(path TEXT PRIMARY KEY) WITHOUT ROWID;
"],
};

/// A row of `content`.
#[derive(Debug)]
pub(crate) struct Record {
    pub number: u64,
    pub id: FileId,
    pub version: Version,
    pub size: u64,
    pub path: VPath,
    pub used: u64,
    pub bytes: u64,
}

/// What became of a content since the index was written.
pub(crate) enum Update {
    Changed { record: Record, rows: Vec<Row> },
    Gone { number: u64 },
}

/// Damaged indexes that are kept for whoever wants to look into them; the last one gives way to the next.
const DAMAGED_MAX: u32 = 4;

/// An open index and what it holds.
pub(crate) struct Opened {
    pub index: Store,
    pub records: Vec<Record>,
    pub pins: Vec<VPath>,
}

/// Why an index was not opened.
enum Refusal {
    /// It is of this origin, which is another.
    Other(String),
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(e: StoreError) -> Refusal {
        Refusal::Store(e)
    }
}

/// Opens the index in `root`; refuses one that was made for another origin or by a newer farshare. One that
/// is damaged is moved aside, and the cache begins empty.
pub(crate) fn open(root: &Path, identity: &str) -> Result<Opened> {
    let path = root.join("index.sqlite");
    let mut opened = read(&path, identity);
    if let Err(Refusal::Store(e)) = &opened
        && e.is_damaged()
    {
        let aside = set_aside(root).map_err(|e| Error::new(ErrorKind::Io, "set a damaged index aside", e))?;
        tracing::error!(
            "the cache's index is damaged ({e}) and was moved to {}: the cache begins empty, and what was \
             pinned has to be pinned again",
            aside.display()
        );
        opened = read(&path, identity);
    }
    opened.map_err(|refusal| match refusal {
        Refusal::Store(e) => Error::new(ErrorKind::Io, "open cache", e),
        Refusal::Other(found) => {
            let story = format!(
                "{} is the cache of {found:?}, not of {identity:?}: use another directory or remove this one",
                root.display()
            );
            Error::new(ErrorKind::InvalidArgument, "open cache", story)
        }
    })
}

fn read(path: &Path, identity: &str) -> Result<Opened, Refusal> {
    let index = Store::open(path, &SCHEMA, Durability::Normal)?;
    let found = index.read_blocking(|db| {
        db.query_row("SELECT identity FROM cache", [], |row| row.get::<_, String>(0)).optional()
    })?;
    if let Some(found) = found.filter(|found| found != identity) {
        return Err(Refusal::Other(found));
    }
    let (records, pins) = index.read_blocking(|db| Ok((contents(db)?, pins(db)?)))?;
    Ok(Opened { index, records, pins })
}

/// Moves the index out of the way; returns where it is now. The log goes before the database: left behind, it
/// would be replayed into the next one.
fn set_aside(root: &Path) -> io::Result<PathBuf> {
    let place = |number: u32, end: &str| root.join(format!("index.damaged-{number}{end}"));
    let number = (1..DAMAGED_MAX).find(|number| !place(*number, "").exists()).unwrap_or(DAMAGED_MAX);
    for end in ["-wal", "-shm", ""] {
        match std::fs::rename(root.join(format!("index.sqlite{end}")), place(number, end)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(place(number, ""))
}

/// Notes whose cache this is, once.
pub(crate) async fn claim(index: &Store, identity: String) -> store::Result<()> {
    let insert = "INSERT INTO cache(identity) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM cache)";
    index.write(move |db| db.execute(insert, [identity])).await.map(|_| ())
}

fn words(hi: u64, lo: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&hi.to_le_bytes());
    bytes[8..].copy_from_slice(&lo.to_le_bytes());
    bytes
}

fn halves(bytes: [u8; 16]) -> (u64, u64) {
    let whole = u128::from_le_bytes(bytes);
    (whole as u64, (whole >> 64) as u64)
}

/// All contents. Rows that make no sense are left out; their data files go with the leftovers.
fn contents(db: &Connection) -> rusqlite::Result<Vec<Record>> {
    let mut select = db.prepare("SELECT number, id, version, size, path, used, bytes FROM content")?;
    let rows = select.query_map([], |row| {
        let ((id_hi, id_lo), (hi, lo)) = (halves(row.get(1)?), halves(row.get(2)?));
        let path: String = row.get(4)?;
        let number = |at| row.get::<_, i64>(at).map(|n| n as u64);
        Ok(VPath::parse(&path).ok().and_then(|path| {
            Some(Record {
                number: number(0).ok()?,
                id: FileId { hi: id_hi, lo: id_lo },
                version: Version { hi, lo },
                size: number(3).ok()?,
                path,
                used: number(5).ok()?,
                bytes: number(6).ok()?,
            })
        }))
    })?;
    rows.filter_map(rusqlite::Result::transpose).collect()
}

/// The claims about the blocks of one content.
pub(crate) fn claims(db: &Connection, number: u64) -> rusqlite::Result<Vec<(u64, Vec<u8>)>> {
    let mut select = db.prepare_cached("SELECT grp, claims FROM block_group WHERE number = ?1")?;
    let rows = select.query_map([number as i64], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))?;
    rows.collect()
}

/// Writes what changed, as one change.
pub(crate) fn update(db: &Connection, updates: &[Update]) -> rusqlite::Result<()> {
    let mut put = db.prepare_cached(
        "INSERT INTO content(number, id, version, size, path, used, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT(number) DO UPDATE SET version = ?3, size = ?4, path = ?5, used = ?6, bytes = ?7",
    )?;
    let mut forget = db.prepare_cached("DELETE FROM content WHERE number = ?1")?;
    let mut forget_claims = db.prepare_cached("DELETE FROM block_group WHERE number = ?1")?;
    let mut put_claims =
        db.prepare_cached("INSERT OR REPLACE INTO block_group(number, grp, claims) VALUES (?1, ?2, ?3)")?;
    let mut forget_group = db.prepare_cached("DELETE FROM block_group WHERE number = ?1 AND grp = ?2")?;
    let mut forget_others_claims = db.prepare_cached(
        "DELETE FROM block_group WHERE number IN (SELECT number FROM content WHERE id = ?2 AND number <> ?1)",
    )?;
    let mut forget_others = db.prepare_cached("DELETE FROM content WHERE id = ?2 AND number <> ?1")?;
    // What is gone first: another content of the same file may take its place.
    for update in updates {
        if let Update::Gone { number } = update {
            forget.execute([*number as i64])?;
            forget_claims.execute([*number as i64])?;
        }
    }
    for update in updates {
        let Update::Changed { record: r, rows } = update else { continue };
        let (id, version) = (words(r.id.hi, r.id.lo), words(r.version.hi, r.version.lo));
        let number = r.number as i64;
        // A file has one content. Should word of the end of an older one be lost, it ends here.
        forget_others_claims.execute(params![number, id])?;
        forget_others.execute(params![number, id])?;
        put.execute(params![
            number,
            id,
            version,
            r.size as i64,
            r.path.as_str(),
            r.used as i64,
            r.bytes as i64
        ])?;
        for (group, claims) in rows {
            match claims {
                Some(claims) => put_claims.execute(params![number, *group as i64, claims])?,
                None => forget_group.execute(params![number, *group as i64])?,
            };
        }
    }
    Ok(())
}

fn pins(db: &Connection) -> rusqlite::Result<Vec<VPath>> {
    let mut select = db.prepare("SELECT path FROM pin ORDER BY path")?;
    let rows = select.query_map([], |row| row.get::<_, String>(0))?;
    rows.filter_map(|row| row.map(|path| VPath::parse(&path).ok()).transpose()).collect()
}

pub(crate) fn set_pin(db: &Connection, path: &VPath, pinned: bool) -> rusqlite::Result<()> {
    let change = if pinned {
        "INSERT OR IGNORE INTO pin(path) VALUES (?1)"
    } else {
        "DELETE FROM pin WHERE path = ?1"
    };
    db.execute(change, [path.as_str()]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(number: u64) -> Update {
        let record = Record {
            number,
            id: FileId { hi: 1, lo: 2 },
            version: Version { hi: 0, lo: number },
            size: 10,
            path: VPath::parse("f").unwrap(),
            used: 1,
            bytes: 4096,
        };
        Update::Changed { record, rows: vec![(0, Some(vec![number as u8]))] }
    }

    #[tokio::test]
    async fn a_content_takes_the_place_of_one_whose_end_was_not_told() {
        let dir = tempfile::tempdir().unwrap();
        let index = open(dir.path(), "mem").unwrap().index;
        for number in [1, 2] {
            index.write(move |db| update(db, &[changed(number)])).await.unwrap();
        }
        let numbers = |db: &Connection| Ok(contents(db)?.iter().map(|r| r.number).collect::<Vec<_>>());
        assert_eq!(index.read_blocking(numbers).unwrap(), [2]);
        assert_eq!(index.read_blocking(|db| claims(db, 1)).unwrap(), []);
        assert_eq!(index.read_blocking(|db| claims(db, 2)).unwrap(), [(0, vec![2])]);
    }
}
