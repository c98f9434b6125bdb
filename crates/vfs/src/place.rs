//! The place that an open takes in the registry before the volume is asked: it excludes others from then on, and goes
//! back by itself where the open fails on its way.

use crate::accounts::Account;
use crate::caching::{Caching, Contest, Granted};
use crate::contend::Breaking;
use crate::core::Core;
use crate::open::Open;
use crate::registry::{Admission, Ask, Coming, Node, Record};
use crate::streams::StreamPart;
use crate::{Access, Action, Error, OpenId, OpenRequest, Opened, Result};
use std::sync::Arc;
use std::time::Instant;
use volume::{Attr, FileId, VPath};

/// A place in the registry, given back unless it becomes an open.
pub(crate) struct Place {
    pub core: Arc<Core>,
    pub node: Arc<Node>,
    pub file: FileId,
    pub id: OpenId,
    pub account: Arc<Account>,
    pub path: VPath,
    granted: Granted,
    taken: bool,
}

pub(crate) enum Taken {
    Place(Place),
    Wait(Breaking),
}

impl Place {
    pub(crate) fn take(
        core: &Arc<Core>,
        request: &OpenRequest,
        path: VPath,
        attr: &Attr,
        needs: Access,
        coming: Coming,
    ) -> Result<Taken> {
        let id = OpenId(core.new_id());
        let has_content = request.access.intersects(Access::READING | Access::WRITING);
        let record = Record {
            id,
            owner: request.owner,
            account: request.account.clone(),
            access: request.access,
            share: request.share,
            path: path.clone(),
            delete_on_close: request.delete_on_close,
            unlinks: request.delete_on_close && request.posix_deletion && request.stream.is_none(),
            unnamed: false,
            content: attr.is_file() && (has_content || request.disposition.empties()),
            lease: request.lease.map(|lease| lease.id),
            parent_lease: request.parent_lease,
            for_stream: request.stream.is_some(),
        };
        let can_cache = attr.is_file() || (attr.is_dir() && request.lease.is_some_and(|lease| lease.dirs));
        let caching = match coming {
            _ if !can_cache => Caching::empty(),
            // It keeps others out, whatever is promised; its client is not to go on with it.
            Coming::Returns => request.caching,
            Coming::Opens | Coming::Empties => request.caching & core.cacheable(),
        };
        let ask = Ask { needs, coming, caching, epoch: request.lease.and_then(|lease| lease.epoch) };
        let (admission, account) = core.decide(|registry, told| {
            let admission = registry.admit(attr.id, attr.is_dir(), record, ask, told)?;
            Ok::<_, Error>((admission, registry.account(request.account.as_ref())))
        })?;
        if coming != Coming::Returns && !core.cacheable().contains(caching) {
            // The promise on freshness was taken back since, and what was granted under it broken before this.
            core.decide(|registry, told| drop(registry.contend(attr.id, None, Contest::Foreign, told)));
        }
        Ok(match admission {
            Admission::In(node, granted) => Taken::Place(Place {
                core: core.clone(),
                node,
                file: attr.id,
                id,
                account,
                path,
                granted,
                taken: true,
            }),
            Admission::Wait(file, node) => Taken::Wait(Breaking::new(core, node, file)),
        })
    }

    /// The file was emptied for this open: who has found it by another name meanwhile, and may have read what was
    /// there, is told.
    pub(crate) fn has_emptied(&self) {
        self.node.write_time.moves();
        self.core.decide(|registry, told| registry.contend_emptied(self.file, self.id, told));
    }

    /// The place becomes an open of what is in this state, as was `asked` for then.
    pub(crate) fn opened(
        mut self,
        request: &OpenRequest,
        file: Option<Arc<dyn volume::File>>,
        action: Action,
        asked: Instant,
        attr: Attr,
        first: Option<bytes::Bytes>,
    ) -> Opened {
        self.taken = false;
        self.core.meets_in(&self.node, asked, &self.path, &attr, None);
        if action == Action::Opened && (request.access.may_change() || request.stream.is_some()) {
            self.core.finds(&self.path, &attr);
        }
        let open = Open::new(&self, request, attr.kind, file);
        Opened { open: Arc::new(open), action, attr, first, granted: self.granted, maximal: None }
    }

    /// The place of a stream becomes an open of it.
    pub(crate) fn opened_stream(
        mut self,
        request: &OpenRequest,
        part: StreamPart,
        action: Action,
        attr: Attr,
    ) -> Opened {
        self.taken = false;
        let content: Arc<dyn volume::File> = part.file.clone();
        let mut open = Open::new(&self, request, attr.kind, Some(content));
        open.stream = Some(part);
        Opened { open: Arc::new(open), action, attr, first: None, granted: self.granted, maximal: None }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.taken {
            return;
        }
        let doomed = {
            let mut registry = self.core.registry.lock();
            registry.spare(self.file, self.id);
            registry.leave(self.file, self.id)
        };
        if let Some(removal) = doomed {
            // Another open doomed the name and left while this one was on its way.
            crate::close::remove_later(&self.core, self.file, removal);
        }
    }
}
