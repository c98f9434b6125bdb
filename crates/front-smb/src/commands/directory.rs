//! QUERY_DIRECTORY (MS-SMB2 3.3.5.18, MS-FSA 2.1.5.6.3).

use crate::change_times::ChangeTimes;
use crate::commands::{apple, extended, file_info, posix};
use crate::config::{Share, Symlinks};
use crate::open::{FileOpen, Walk};
use crate::pace::Pace;
use crate::reply::Answer;
use crate::request::Request;
use crate::session::Target;
use crate::status::failed;
use smb_wire::create::apple::AppleServerCapabilities;
use smb_wire::fscc::FileAttributes;
use smb_wire::fscc::directory::{AppleAttributes, DirectoryClass, DirectoryEntry, DirectoryPage};
use smb_wire::fscc::posix::{POSIX_LEVEL, PosixDirectoryPage, PosixInformation};
use smb_wire::query_directory::{QueryDirectoryFlags, QueryDirectoryRequest, QueryDirectoryResponse};
use smb_wire::{AccessMask, NtStatus};
use std::borrow::Cow;
use std::sync::Arc;
use vfs::{Access, DirCursor, DirEntry, Links};
use volume::{Attr, Carries, Cx};

/// What a user needs on an entry to see it where a share hides what is not readable: all that reading is.
pub(super) const READABLE: Access =
    Access::READ_DATA.union(Access::READ_EA).union(Access::READ_ATTRIBUTES).union(Access::READ_CONTROL);

pub(super) async fn query(request: &Request) -> Result<Answer, NtStatus> {
    let decoded = QueryDirectoryRequest::decode(&request.message).map_err(|error| error.status())?;
    let open = request.open(decoded.file_id)?;
    let file = open.file()?;
    if !file.vfs.is_dir() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    if decoded.output_buffer_length > request.payload_max() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    request.check_charge(decoded.output_buffer_length)?;
    open.needs_any(AccessMask::LIST_DIRECTORY)?;
    let room = request.answer_room(decoded.output_buffer_length).await?;
    let class = Class::of(decoded.information_class, file)?;
    if decoded.pattern.is_empty() && file.walk.lock().await.is_none() {
        return Err(NtStatus::OBJECT_NAME_INVALID);
    }
    if (decoded.output_buffer_length as usize) < class.fixed_len() {
        return Err(NtStatus::INFO_LENGTH_MISMATCH);
    }
    let cx = request.cx();
    let mut place = file.walk.lock().await;
    let walk = begin(&mut place, file, &decoded, links(request, file)?)?;
    let single = decoded.flags.contains(QueryDirectoryFlags::RETURN_SINGLE_ENTRY);
    let page = class.page(decoded.output_buffer_length as usize);
    let tree = request.tree()?;
    let told_of = request.session()?.apple().contains(AppleServerCapabilities::READ_DIR_ATTR);
    let how = Shown {
        share: tree.share(),
        change_times: &request.connection.server.change_times,
        single,
        apple: (told_of && class.is_apples()).then_some(tree.maximal_access),
    };
    let data = fill(&cx, walk, page, &how).await?;
    let response = QueryDirectoryResponse { data: data.into() };
    Ok(room.with(Answer::ok(|body| response.encode(body))))
}

/// How a client wants the entries.
#[derive(Clone, Copy)]
enum Class {
    Of(DirectoryClass),
    Posix,
}

impl Class {
    fn of(code: u8, file: &FileOpen) -> Result<Class, NtStatus> {
        match code {
            POSIX_LEVEL if file.posix => Ok(Class::Posix),
            code => DirectoryClass::from_code(code).map(Class::Of).ok_or(NtStatus::INVALID_INFO_CLASS),
        }
    }

    /// Where Apple's clients find attributes of theirs.
    fn is_apples(self) -> bool {
        matches!(self, Class::Of(DirectoryClass::IdBothDirectory))
    }

    fn fixed_len(self) -> usize {
        match self {
            Class::Of(class) => class.fixed_len(),
            Class::Posix => PosixInformation::FIXED_LEN,
        }
    }

    fn page(self, max_length: usize) -> Page {
        match self {
            Class::Of(class) => Page::Of(DirectoryPage::new(class, max_length)),
            Class::Posix => Page::Posix(PosixDirectoryPage::new(max_length)),
        }
    }
}

/// One answer as it grows.
enum Page {
    Of(DirectoryPage),
    Posix(PosixDirectoryPage),
}

impl Page {
    /// A stored name as the client is to see it.
    fn name<'a>(&self, stored: &'a str) -> Cow<'a, str> {
        match self {
            Page::Of(_) => vfs::names::to_smb(stored),
            Page::Posix(_) => Cow::Borrowed(stored),
        }
    }

    /// Adds an entry; false when it does not fit any more.
    fn push(&mut self, name: &str, leads_to_dir: bool, attr: &Attr, extra: Extra) -> bool {
        match self {
            Page::Of(page) => {
                let Extra { ea_size, apple } = extra;
                page.push(&DirectoryEntry { ea_size, apple, ..directory_entry(name, leads_to_dir, attr) })
            }
            Page::Posix(page) => page.push(name, &posix::information(attr)),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Page::Of(page) => page.is_empty(),
            Page::Posix(page) => page.is_empty(),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Page::Of(page) => page.finish(),
            Page::Posix(page) => page.finish(),
        }
    }
}

/// What an entry says besides its attributes.
#[derive(Default)]
struct Extra {
    ea_size: u32,
    apple: Option<AppleAttributes>,
}

/// What of a directory is shown, and how.
struct Shown<'a> {
    share: Option<&'a Arc<Share>>,
    change_times: &'a ChangeTimes,
    /// One entry alone.
    single: bool,
    /// Entries say what Apple's clients ask for, rights among it: at most these.
    apple: Option<AccessMask>,
}

/// What this client is told of links.
pub(super) fn links(request: &Request, file: &FileOpen) -> Result<Links, NtStatus> {
    match &request.tree()?.target {
        Target::Disk(_) if file.posix => Ok(Links::Shown),
        Target::Disk(share) => Ok(match share.symlinks {
            Symlinks::Client => Links::Marked,
            Symlinks::Server => Links::Followed,
        }),
        Target::Pipes => Err(NtStatus::INVALID_DEVICE_REQUEST),
    }
}

/// The walk to go on with: a new one at the first request and when the client starts over.
fn begin<'a>(
    place: &'a mut Option<Walk>,
    file: &FileOpen,
    decoded: &QueryDirectoryRequest,
    links: Links,
) -> Result<&'a mut Walk, NtStatus> {
    // Old programs say `*.*` and mean names without a period too.
    let pattern = if decoded.pattern == "*.*" { "*" } else { &decoded.pattern };
    let reopen = decoded.flags.contains(QueryDirectoryFlags::REOPEN);
    let restart = decoded.flags.contains(QueryDirectoryFlags::RESTART_SCANS);
    match place {
        Some(walk) if !reopen && restart && decoded.pattern.is_empty() => walk.restart(),
        Some(walk) if !reopen && restart => walk.look_for(pattern),
        Some(_) if !reopen => {}
        _ => *place = Some(Walk::new(file.vfs.list(links).map_err(failed)?, pattern)),
    }
    place.as_mut().ok_or(NtStatus::INVALID_PARAMETER)
}

async fn fill(cx: &Cx, walk: &mut Walk, mut page: Page, how: &Shown<'_>) -> Result<Vec<u8>, NtStatus> {
    let share = how.share;
    let hides = share.is_some_and(|share| share.hide_unreadable);
    let Walk { cursor, pattern, found } = walk;
    let mut cursor = cursor.answer().map_err(failed)?;
    let mut pace = Pace::new();
    loop {
        pace.take(pattern.steps()).await;
        let is_wanted = |entry: &DirEntry| {
            let name = page.name(&entry.name);
            pattern.matches(&name) && !share.is_some_and(|share| share.veto.has(&name))
        };
        let entry = match cursor.peek(cx).await.map_err(failed)? {
            None => break,
            Some(entry) if is_wanted(entry) => entry.clone(),
            Some(_) => {
                cursor.next(cx).await.map_err(failed)?;
                continue;
            }
        };
        let allowed = match hides || how.apple.is_some() {
            true => {
                let mut ahead = Pace::new();
                let is_awaited = |entry: &DirEntry| ahead.has(pattern.steps()) && is_wanted(entry);
                cursor.rights(cx, is_awaited).await.map_err(failed)?
            }
            false => Access::all(),
        };
        if !hides || allowed.contains(READABLE) {
            let extra = extra(cx, &cursor, &entry, allowed, how.apple).await?;
            let attr = how.change_times.show(entry.attr);
            if !page.push(&page.name(&entry.name), entry.leads_to_dir, &attr, extra) {
                if page.is_empty() {
                    return Err(NtStatus::BUFFER_OVERFLOW);
                }
                return Ok(page.finish());
            }
            *found = true;
        }
        cursor.next(cx).await.map_err(failed)?;
        if how.single && !page.is_empty() {
            break;
        }
    }
    if !page.is_empty() {
        return Ok(page.finish());
    }
    // Nothing at all matched: said once, then the walk is at its end.
    Err(if std::mem::replace(found, true) { NtStatus::NO_MORE_FILES } else { NtStatus::NO_SUCH_FILE })
}

async fn extra(
    cx: &Cx,
    cursor: &DirCursor,
    entry: &DirEntry,
    allowed: Access,
    apple: Option<AccessMask>,
) -> Result<Extra, NtStatus> {
    match apple {
        Some(most) => {
            let rights = AccessMask::from_bits_retain(allowed.bits()) & most;
            let apple = Some(apple::attributes(cx, cursor, entry, rights).await?);
            Ok(Extra { apple, ..Extra::default() })
        }
        None => {
            let extended = cursor.list_named(cx, entry, Carries::EXTENDED).await.map_err(failed)?;
            Ok(Extra { ea_size: extended::size(&extended), ..Extra::default() })
        }
    }
}

fn directory_entry<'a>(name: &'a str, leads_to_dir: bool, attr: &Attr) -> DirectoryEntry<'a> {
    let times = file_info::times(attr);
    let mut attributes = file_info::attributes(attr);
    // Clients tell links to directories and to files apart by it.
    attributes.set(FileAttributes::DIRECTORY, attr.is_dir() || leads_to_dir);
    DirectoryEntry {
        name,
        creation_time: times.creation,
        last_access_time: times.last_access,
        last_write_time: times.last_write,
        change_time: times.change,
        end_of_file: file_info::end_of_file(attr),
        allocation_size: file_info::allocation(attr),
        file_attributes: attributes,
        reparse_tag: file_info::reparse_tag(attr),
        file_id: u128::from(attr.id.hi) << 64 | u128::from(attr.id.lo),
        ..DirectoryEntry::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use std::pin::pin;
    use std::time::Duration;
    use testkit::ease::{apply, cx, p, put};
    use testkit::{FaultVolume, MemVolume, Op};
    use tokio::time::Instant;
    use vfs::{OpenRequest, Owner, Vfs, VfsConfig};
    use volume::{Change, Named};

    const ENTRIES: usize = 1000;

    /// How often a walk that finds nothing but `.` and `..` is polled.
    async fn polls(dir: &Arc<vfs::Open>, pattern: &str, how: &Shown<'_>) -> usize {
        let mut walk = Walk::new(dir.list(Links::Followed).unwrap(), pattern);
        let class = Class::Of(DirectoryClass::BothDirectory);
        let (cx, mut polls) = (cx(), 0);
        let mut work = pin!(fill(&cx, &mut walk, class.page(65_536), how));
        let answer = std::future::poll_fn(|context| {
            polls += 1;
            work.as_mut().poll(context)
        });
        assert_eq!(answer.await, Err(NtStatus::NO_SUCH_FILE));
        polls
    }

    #[tokio::test]
    async fn a_costly_pattern_gives_way_to_others() {
        let mem = MemVolume::new();
        for number in 0..ENTRIES {
            put(&*mem, &format!("{number:0>200}"), b"").await;
        }
        let vfs = Vfs::new(mem, VfsConfig::default());
        let root = OpenRequest::new(p(""), Access::READ_DATA, Owner(1));
        let dir = vfs.open(&cx(), root).await.unwrap().open;
        let change_times = ChangeTimes::default();
        let mut share = Share::new("share", vfs);
        share.hide_unreadable = true;
        let share = Arc::new(share);
        let how = Shown { share: Some(&share), change_times: &change_times, single: false, apple: None };
        let cheap = polls(&dir, "x*", &how).await;
        assert!(cheap <= 1 + ENTRIES * 2 / limits::STEPS_AT_ONCE + 1, "{cheap}");
        let costly = polls(&dir, &format!("{}x", "*0".repeat(200)), &how).await;
        assert!(costly > ENTRIES * 200 / limits::STEPS_AT_ONCE, "{costly}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_answer_holds_up_no_listing() {
        let mem = MemVolume::new();
        for name in ["a mount", "another", "plain"] {
            put(&*mem, name, b"").await;
        }
        // They say that they may carry everything.
        for name in [Named::Descriptor, Named::extended("x"), Named::stream("y")] {
            for path in [p("a mount"), p("another")] {
                let value = Some("z".into());
                apply(&*mem, Change::SetNamed { path, name: name.clone(), value, expect: None }).await;
            }
        }
        let fault = FaultVolume::new(mem);
        let vfs = Vfs::new(fault.clone(), VfsConfig::default());
        let root = OpenRequest::new(p(""), Access::READ_DATA, Owner(1));
        let dir = vfs.open(&cx(), root).await.unwrap().open;
        let change_times = ChangeTimes::default();
        for apple in [None, Some(AccessMask::FILE_ALL)] {
            let how = Shown { share: None, change_times: &change_times, single: false, apple };
            let mut walk = Walk::new(dir.list(Links::Followed).unwrap(), "*");
            let gate = fault.gate(Op::ListNamed);
            let (began, asked) = (Instant::now(), fault.counts().of(Op::ListNamed));
            let page = Class::Of(DirectoryClass::IdBothDirectory).page(65_536);
            // The clock of deadlines stands still while that of tokio runs on.
            let cx = cx().within(Duration::from_secs(3600));
            let page = fill(&cx, &mut walk, page, &how).await.unwrap();
            assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
            assert_eq!(fault.counts().of(Op::ListNamed) - asked, 1, "the next is not asked after that");
            for name in ["a mount", "another", "plain"] {
                let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
                assert!(page.windows(name.len()).any(|part| part == name), "{name:?}");
            }
            gate.release();
        }
    }
}
