//! What to fetch before anybody asks: decisions only, no I/O. `stream` looks at one open file, `siblings` at
//! the small files of a directory, `walk` at directories that are listed one after another; `pace` tells how
//! much it takes to keep the link busy.

pub(crate) mod pace;
pub(crate) mod siblings;
pub(crate) mod stream;
pub(crate) mod walk;
