//! A [`Change`] as bytes: its kind, then its fields in the order of their declaration.

use crate::WireError;
use crate::attr::{get_dos, get_set_attr, put_dos, put_set_attr};
use crate::cursor::{Reader, Writer};
use volume::Change;

const MAKE_DIR: u8 = 0;
const REMOVE: u8 = 1;
const RENAME: u8 = 2;
const LINK: u8 = 3;
const SYMLINK: u8 = 4;
const SET_ATTR: u8 = 5;

pub(crate) fn put_change(out: &mut Writer, change: &Change) {
    match change {
        Change::MakeDir { path, mode, dos } => {
            out.byte(MAKE_DIR);
            out.path(path);
            out.number(u64::from(*mode));
            put_dos(out, *dos);
        }
        Change::Remove { path, dir, expect } => {
            out.byte(REMOVE);
            out.path(path);
            out.flag(*dir);
            out.option(*expect, Writer::id);
        }
        Change::Rename { from, to, replace, expect } | Change::Link { from, to, replace, expect } => {
            out.byte(if matches!(change, Change::Link { .. }) { LINK } else { RENAME });
            out.path(from);
            out.path(to);
            out.flag(*replace);
            out.option(*expect, Writer::id);
        }
        Change::Symlink { path, target } => {
            out.byte(SYMLINK);
            out.path(path);
            out.text(target);
        }
        Change::SetAttr { path, set, expect } => {
            out.byte(SET_ATTR);
            out.path(path);
            put_set_attr(out, set);
            out.option(*expect, Writer::id);
        }
    }
}

pub(crate) fn get_change(input: &mut Reader<'_>) -> Result<Change, WireError> {
    let kind = input.byte()?;
    let path = input.path()?;
    Ok(match kind {
        MAKE_DIR => Change::MakeDir { path, mode: input.number32()?, dos: get_dos(input)? },
        REMOVE => Change::Remove { path, dir: input.flag()?, expect: input.option(Reader::id)? },
        RENAME => Change::Rename {
            from: path,
            to: input.path()?,
            replace: input.flag()?,
            expect: input.option(Reader::id)?,
        },
        LINK => Change::Link {
            from: path,
            to: input.path()?,
            replace: input.flag()?,
            expect: input.option(Reader::id)?,
        },
        SYMLINK => Change::Symlink { path, target: input.text()?.to_owned() },
        SET_ATTR => Change::SetAttr { path, set: get_set_attr(input)?, expect: input.option(Reader::id)? },
        _ => return Err(WireError::Value("a kind of change")),
    })
}
