//! Share modes: whether a new open and one that is there can stand together. Plain functions.

use crate::{Access, Share};

/// Whether two opens of one file exclude each other (MS-FSA 2.1.5.1.2.2): each must share what the other
/// does. An open that reads only attributes takes no part.
pub(crate) fn conflict(there: (Access, Share), new: (Access, Share)) -> bool {
    if !there.0.intersects(Access::SHARED) || !new.0.intersects(Access::SHARED) {
        return false;
    }
    refuses(there.1, new.0) || refuses(new.1, there.0)
}

fn refuses(share: Share, access: Access) -> bool {
    (!share.contains(Share::READ) && access.intersects(Access::READING))
        || (!share.contains(Share::WRITE) && access.intersects(Access::WRITING))
        || (!share.contains(Share::DELETE) && access.contains(Access::DELETE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_must_share_what_the_other_does() {
        let (read, write, delete) = (Access::READ_DATA, Access::WRITE_DATA, Access::DELETE);
        let (none, all) = (Share::empty(), Share::all());
        let cases = [
            (read, Share::READ, read, Share::READ, false),
            (read, Share::READ, write, all, true),
            (read, Share::WRITE, write, Share::READ, false),
            (read, Share::WRITE, write, none, true),
            (read, Share::READ, delete, all, true),
            (read, Share::READ | Share::DELETE, delete, Share::READ, false),
            (read, none, Access::EXECUTE, all, true),
            (read, Share::READ, Access::APPEND_DATA, all, true),
            (read, none, Access::READ_ATTRIBUTES | Access::SYNCHRONIZE, none, false),
            (Access::WRITE_ATTRIBUTES | Access::READ_EA, none, write | delete, none, false),
            (write, none, Access::empty(), none, false),
            (read | write, all, read | write | delete, all, false),
        ];
        for (a, share_a, b, share_b, expect) in cases {
            assert_eq!(conflict((a, share_a), (b, share_b)), expect, "{a:?}/{share_a:?}, {b:?}/{share_b:?}");
            assert_eq!(conflict((b, share_b), (a, share_a)), expect, "the other way round");
        }
    }
}
