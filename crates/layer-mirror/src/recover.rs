//! What was under way when the process before ended.
//!
//! Nobody has changed anything since, so what is here now is what was here at the end of the log. A name tells whether its change
//! was made. A file of whose content that is not known is written down once more as it is, so that mirrors get it in its
//! place; one that is too long for that is compared.

use crate::core::{Core, if_there};
use crate::file::RECORD_DATA_MAX;
use crate::record::{Outcome, Record, Stamp};
use volume::{Attr, Change, Cx, OpenHow, Priority, Result, SetAttr, VPath};

/// Longest file that is written down once more, bytes.
const AGAIN_MAX_BYTES: u64 = 64 << 20;

/// Settles records that have no outcome.
pub async fn settle(core: &Core, open: Vec<(u64, Record)>) -> Result<()> {
    for (number, record) in open {
        let outcome = found(core, &record).await?;
        core.log.settle(number, outcome);
    }
    Ok(())
}

async fn found(core: &Core, record: &Record) -> Result<Outcome> {
    match record {
        Record::Change(change) => match change {
            Change::MakeDir { path, .. }
            | Change::MakeNode { path, .. }
            | Change::Symlink { path, .. }
            | Change::Link { to: path, .. } => Ok(made(look(core, path).await?)),
            Change::Remove { path, .. } => match look(core, path).await? {
                Some(_) => Ok(Outcome::Nothing),
                None => Ok(Outcome::Done(None)),
            },
            Change::Rename { from, to, .. } => match look(core, from).await? {
                Some(_) => Ok(Outcome::Nothing),
                None => Ok(made(look(core, to).await?)),
            },
            Change::SetAttr { path, set, .. } if set.size.is_none() => {
                if let Some(attr) = look(core, path).await? {
                    let set = Stamp::of(&attr).attributes(attr.kind);
                    note(
                        core,
                        Record::Change(Change::SetAttr { path: path.clone(), set, expect: None }),
                        None,
                    )
                    .await?;
                }
                Ok(Outcome::Nothing)
            }
            Change::SetAttr { path, .. } => again(core, path).await,
            Change::SetNamed { path, name, .. } => {
                if look(core, path).await?.is_some() {
                    let (path, name) = (path.clone(), name.clone());
                    let value = core.inner.named(&cx(), &path, None, &name).await?;
                    note(core, Record::Change(Change::SetNamed { path, name, value, expect: None }), None)
                        .await?;
                }
                Ok(Outcome::Nothing)
            }
        },
        Record::Create { path }
        | Record::Write { path, .. }
        | Record::Zero { path, .. }
        | Record::SetAttr { path, .. } => again(core, path).await,
        Record::Cut { .. } | Record::Unknown { .. } | Record::Restart => Ok(Outcome::Done(None)),
    }
}

fn made(attr: Option<Attr>) -> Outcome {
    attr.map_or(Outcome::Nothing, |attr| Outcome::Done(Some(Stamp::of(&attr))))
}

/// Writes a file down as it is.
async fn again(core: &Core, path: &VPath) -> Result<Outcome> {
    let Some(attr) = look(core, path).await?.filter(Attr::is_file) else { return Ok(Outcome::Nothing) };
    if attr.size > AGAIN_MAX_BYTES {
        return Ok(Outcome::Doubt);
    }
    let stamp = Some(Stamp::of(&attr));
    let file = core.inner.open(&cx(), path, OpenHow::read()).await?.file;
    note(core, Record::SetAttr { path: path.clone(), set: SetAttr::size(0) }, stamp).await?;
    let mut offset = 0;
    while offset < attr.size {
        let data = file.read_at(&cx(), offset, RECORD_DATA_MAX as u32).await?;
        if data.is_empty() {
            break;
        }
        let read = data.len() as u64;
        note(core, Record::Write { path: path.clone(), offset, data }, None).await?;
        offset += read;
    }
    core.begin("recover", Record::Cut { path: path.clone(), stamp }).await?;
    Ok(Outcome::Nothing)
}

async fn note(core: &Core, record: Record, stamp: Option<Stamp>) -> Result<()> {
    let number = core.begin("recover", record).await?;
    core.log.settle(number, Outcome::Done(stamp));
    Ok(())
}

async fn look(core: &Core, path: &VPath) -> Result<Option<Attr>> {
    if_there(core.inner.stat(&cx(), path).await)
}

fn cx() -> Cx {
    Cx::system(Priority::Interactive)
}
