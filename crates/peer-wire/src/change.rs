//! A [`Change`] as bytes: its kind, then its fields in the order of their declaration. The value of a `SetNamed` is
//! the body of the message.

use crate::WireError;
use crate::attr::{
    get_dos, get_maker, get_set_attr, get_special, put_dos, put_maker, put_set_attr, put_special,
};
use crate::cursor::{Reader, Writer};
use crate::named::{get_named, put_named};
use bytes::Bytes;
use volume::Change;

const MAKE_DIR: u8 = 0;
const REMOVE: u8 = 1;
const RENAME: u8 = 2;
const LINK: u8 = 3;
const SYMLINK: u8 = 4;
const SET_ATTR: u8 = 5;
const SET_NAMED: u8 = 6;
const MAKE_NODE: u8 = 7;

pub(crate) fn put_change(out: &mut Writer, change: &Change) {
    match change {
        Change::MakeDir { path, mode, dos, maker } => {
            out.byte(MAKE_DIR);
            out.path(path);
            out.number(u64::from(*mode));
            put_dos(out, *dos);
            out.option(*maker, put_maker);
        }
        Change::MakeNode { path, node, mode, maker } => {
            out.byte(MAKE_NODE);
            out.path(path);
            put_special(out, *node);
            out.number(u64::from(*mode));
            out.option(*maker, put_maker);
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
        Change::Symlink { path, target, maker } => {
            out.byte(SYMLINK);
            out.path(path);
            out.text(target);
            out.option(*maker, put_maker);
        }
        Change::SetAttr { path, set, expect } => {
            out.byte(SET_ATTR);
            out.path(path);
            put_set_attr(out, set);
            out.option(*expect, Writer::id);
        }
        Change::SetNamed { path, name, value, expect } => {
            out.byte(SET_NAMED);
            out.path(path);
            put_named(out, name);
            out.flag(value.is_some());
            out.option(*expect, Writer::id);
        }
    }
}

/// What of a change travels as the body.
pub(crate) fn body_of(change: &Change) -> Bytes {
    match change {
        Change::SetNamed { value, .. } => value.clone().unwrap_or_default(),
        Change::MakeDir { .. }
        | Change::MakeNode { .. }
        | Change::Remove { .. }
        | Change::Rename { .. }
        | Change::Link { .. }
        | Change::Symlink { .. }
        | Change::SetAttr { .. } => Bytes::new(),
    }
}

pub(crate) fn get_change(input: &mut Reader<'_>, body: Bytes) -> Result<Change, WireError> {
    let kind = input.byte()?;
    if kind != SET_NAMED && !body.is_empty() {
        return Err(WireError::Trailing);
    }
    let path = input.path()?;
    Ok(match kind {
        MAKE_DIR => Change::MakeDir {
            path,
            mode: input.number32()?,
            dos: get_dos(input)?,
            maker: input.option(get_maker)?,
        },
        MAKE_NODE => Change::MakeNode {
            path,
            node: get_special(input)?,
            mode: input.number32()?,
            maker: input.option(get_maker)?,
        },
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
        SYMLINK => {
            Change::Symlink { path, target: input.text()?.to_owned(), maker: input.option(get_maker)? }
        }
        SET_ATTR => Change::SetAttr { path, set: get_set_attr(input)?, expect: input.option(Reader::id)? },
        SET_NAMED => {
            let (name, has_value) = (get_named(input)?, input.flag()?);
            if !has_value && !body.is_empty() {
                return Err(WireError::Trailing);
            }
            Change::SetNamed {
                path,
                name,
                value: has_value.then_some(body),
                expect: input.option(Reader::id)?,
            }
        }
        _ => return Err(WireError::Value("a kind of change")),
    })
}
