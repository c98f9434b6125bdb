//! One call of a peer: from a request to the volume, and back to an answer.

use crate::ahead;
use crate::offers::{Offers, Served};
use crate::session::{Session, close_unheard};
use peer_wire::{Answer, Ask, Failure, IO_MAX_BYTES, Request};
use std::sync::Arc;
use std::time::Instant;
use volume::{Access, Caps, Cx, Error, ErrorKind, File, OpenHow, Opened, Result, Ticket, VPath, Volume, Who};

/// What a call works with.
pub(crate) struct Call<'a> {
    pub offers: &'a Offers,
    pub session: &'a Session,
    cx: Cx,
}

impl<'a> Call<'a> {
    pub fn new(offers: &'a Offers, session: &'a Session, request: &Request) -> Call<'a> {
        let cx = Cx {
            who: Who::Site(session.site.clone()),
            priority: request.priority,
            deadline: Instant::now() + request.patience,
        };
        Call { offers, session, cx }
    }

    pub async fn answer(self, ask: Ask) -> Answer {
        match self.run(ask).await {
            Ok(answer) => answer,
            Err(error) => Answer::Failed(Failure::from(&error)),
        }
    }

    async fn run(&self, ask: Ask) -> Result<Answer> {
        let cx = &self.cx;
        let op = ask.name();
        Ok(match ask {
            // Whom the kernel of another machine has judged is not judged here: nothing of POSIX is kept for him.
            Ask::VolumeInfo { volume } => {
                Answer::Info(Caps { posix: false, ..self.volume(op, &volume)?.caps() })
            }
            Ask::Stat { volume, path } => Answer::Attr(self.volume(op, &volume)?.stat(cx, &path).await?),
            Ask::List { volume, dir, how } => {
                Answer::Listing(ahead::list(&*self.volume(op, &volume)?, cx, &dir, &how).await?)
            }
            Ask::Open { volume, path, handle, how } => {
                self.open(op, &volume, handle, Door::Path(path, how)).await?
            }
            Ask::Reopen { volume, ticket, handle } => {
                self.open(op, &volume, handle, Door::Ticket(ticket)).await?
            }
            Ask::Apply { volume, change } => {
                Answer::Applied(self.volume(op, &volume)?.apply(cx, &change).await?.attr)
            }
            Ask::ReadLink { volume, path } => {
                Answer::Target(self.volume(op, &volume)?.read_link(cx, &path).await?)
            }
            Ask::Space { volume, path } => Answer::Space(self.volume(op, &volume)?.space(cx, &path).await?),
            Ask::QuotaRules { volume } => {
                Answer::QuotaRules(self.volume(op, &volume)?.quota_rules(cx).await?)
            }
            Ask::Quotas { volume, of } => Answer::Quotas(self.volume(op, &volume)?.quotas(cx, &of).await?),
            Ask::SetQuotas { volume, change } => {
                self.volume(op, &volume)?.set_quotas(cx, &change).await?;
                Answer::Done
            }
            Ask::Named { volume, path, expect, name } => {
                let value = self.volume(op, &volume)?.named(cx, &path, expect, &name).await?;
                if value.as_ref().is_some_and(|value| value.len() > IO_MAX_BYTES as usize) {
                    return Err(Error::new(ErrorKind::FileTooLarge, op, path).because("no message holds it"));
                }
                Answer::Named(value)
            }
            Ask::ListNamed { volume, path, expect } => {
                Answer::NamedList(self.volume(op, &volume)?.list_named(cx, &path, expect).await?)
            }
            Ask::SyncDir { volume, path, expect } => {
                self.volume(op, &volume)?.sync_dir(cx, &path, expect).await?;
                Answer::Done
            }
            Ask::Watch { volume, subscription } => self.watch(op, &volume, subscription).await?,
            Ask::Check { subscription } => self.session.check(subscription)?,
            Ask::Unwatch { subscription } => {
                self.session.unwatch(subscription);
                Answer::Done
            }
            Ask::Close { handle, how } => match self.session.take_file(handle).await {
                Some(file) => Answer::Attr(file.close(cx, how).await?),
                None => Answer::UnknownHandle,
            },
            Ask::Copy { handle, offset, source, source_offset, length, how } => {
                let files = (self.session.file(handle).await, self.session.file(source).await);
                let (Some(target), Some(source)) = files else { return Ok(Answer::UnknownHandle) };
                Answer::Copied(target.copy_from(cx, offset, &source, source_offset, length, how).await?)
            }
            Ask::Read { handle, .. }
            | Ask::Ranges { handle, .. }
            | Ask::Zero { handle, .. }
            | Ask::Allocate { handle, .. }
            | Ask::Write { handle, .. }
            | Ask::FileAttr { handle, .. }
            | Ask::SetAttr { handle, .. }
            | Ask::Sync { handle, .. } => match self.session.file(handle).await {
                Some(file) => self.on_file(&*file, ask).await?,
                None => Answer::UnknownHandle,
            },
        })
    }

    async fn on_file(&self, file: &dyn File, ask: Ask) -> Result<Answer> {
        let cx = &self.cx;
        Ok(match ask {
            Ask::Read { offset, length, .. } => Answer::Data(file.read_at(cx, offset, length).await?),
            Ask::Write { offset, data, .. } => {
                file.write_at(cx, offset, data).await?;
                Answer::Done
            }
            Ask::Ranges { offset, length, .. } => Answer::Ranges(file.ranges(cx, offset, length).await?),
            Ask::Zero { offset, length, .. } => {
                file.zero(cx, offset, length).await?;
                Answer::Done
            }
            Ask::Allocate { size, .. } => Answer::Attr(file.allocate(cx, size).await?),
            Ask::FileAttr { fresh, .. } => Answer::Attr(file.attr(cx, fresh).await?),
            Ask::SetAttr { set, .. } => Answer::Attr(file.set_attr(cx, &set).await?),
            Ask::Sync { kind, .. } => {
                file.sync(cx, kind).await?;
                Answer::Done
            }
            other => return Err(Error::new(ErrorKind::Unsupported, other.name(), "a call on a handle")),
        })
    }

    async fn open(&self, op: &'static str, name: &str, handle: u64, door: Door) -> Result<Answer> {
        let cx = &self.cx;
        // In this order: whoever takes the right away afterwards finds the place.
        let place = self.session.handles.begin(handle, name).map_err(|refused| refused.into_error(op))?;
        let volume = self.volume(op, name)?;
        let (opened, wanted) = match door {
            Door::Path(path, how) => {
                let wanted = how.first.filter(|_| how.access.contains(Access::READ));
                (volume.open(cx, &path, how).await?, wanted)
            }
            Door::Ticket(ticket) => (volume.reopen(cx, &ticket).await?, None),
        };
        let Opened { file, attr, created, first } = opened;
        if let Some(left) = place.done(file.clone()) {
            close_unheard(left);
        }
        let first = match (first, wanted) {
            (None, Some((offset, length))) => match file.read_at(cx, offset, length).await {
                Ok(data) => Some(data),
                Err(why) => {
                    // The read that follows meets the same trouble and tells of it.
                    tracing::debug!(%why, "the first bytes do not come along");
                    None
                }
            },
            (first, _) => first,
        };
        Ok(Answer::Opened { attr, created, ticket: file.ticket(), first })
    }

    async fn watch(&self, op: &'static str, name: &str, subscription: u64) -> Result<Answer> {
        let feed = &self.served(op, name)?.feed;
        let answer = self.session.watch(&self.cx, subscription, name, feed).await?;
        if !self.offers.allows(&self.session.site, name) {
            // The right was taken away meanwhile.
            self.session.unwatch(subscription);
        }
        Ok(answer)
    }

    fn volume(&self, op: &'static str, name: &str) -> Result<Arc<dyn Volume>> {
        self.served(op, name).map(|served| served.volume.clone())
    }

    fn served(&self, op: &'static str, name: &str) -> Result<Arc<Served>> {
        self.offers.of(op, &self.session.site, name)
    }
}

/// The two ways to a file.
enum Door {
    Path(VPath, OpenHow),
    Ticket(Ticket),
}
