//! What carries frames between a client and its connection (MS-SMB2 2.1): TCP, QUIC; SMB Direct can be a third.
//!
//! Two traits, and a file for each transport that fills them. A [`Listener`] hands over clients that have arrived,
//! whatever that takes (a QUIC client has shaken hands). A [`Transport`] carries the bytes of one of them. It works
//! like a non-blocking socket: whoever serves it waits until it is ready, then reads and writes without waiting.
//! So one task serves a connection, TCP costs what its system calls cost, and the writer is handed slices that
//! are not copied on the way. Why so: `docs/adr/0009-transports.md`.
//!
//! What a transport promises: bytes in order, none twice, and an end that is told from a break.

pub(crate) mod quic;
pub(crate) mod tcp;

use bytes::BytesMut;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use volume::Pages;

/// Which transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Tcp,
    Quic,
}

impl Kind {
    /// Whether bytes can go from a file to the client without coming here.
    pub(crate) fn takes_pages(self) -> bool {
        self == Kind::Tcp
    }
}

/// One client's bytes, both ways.
pub(crate) trait Transport: Send {
    /// Ready when reading (if asked for) or writing (if asked for) may get further; true when reading may.
    fn poll_ready(&mut self, cx: &mut Context<'_>, reading: bool, writing: bool) -> Poll<io::Result<bool>>;

    /// Somebody has logged in: from now on as much may be on its way as he needs. Said again it changes nothing.
    fn let_in(&mut self);

    /// Appends what has arrived to `into`, no more than fits: 0 at the end, `WouldBlock` when there is nothing.
    fn try_read(&mut self, into: &mut BytesMut) -> io::Result<usize>;

    /// Takes what it can of `slices`, in their order; `WouldBlock` when that is nothing. `more` comes right behind.
    fn try_write(&mut self, slices: &[IoSlice<'_>], more: bool) -> io::Result<usize>;

    /// The same of pages. `Unsupported` where [`Kind::takes_pages`] is false.
    fn try_send(&mut self, pages: &mut Pages) -> io::Result<usize>;

    /// Bytes that were written and have not reached the client's machine; `None` where that cannot be told.
    fn unacknowledged_bytes(&self) -> Option<u64>;

    /// The orderly end: what was written still goes out, as far as the client takes it.
    fn end(self) -> impl Future<Output = ()> + Send;
}

/// Where clients come in.
pub(crate) trait Listener: Send + 'static {
    const KIND: Kind;
    type Transport: Transport + 'static;

    /// The next client. May be given up at any time and asked again. An error is the listener's, not a client's.
    fn accept(&mut self) -> impl Future<Output = io::Result<Arrived<Self::Transport>>> + Send;

    /// Lets nobody in any more, from now on. What is returned waits until those who were let in have been told
    /// of their end.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// A client that has come.
pub(crate) struct Arrived<T> {
    pub(crate) transport: T,
    pub(crate) peer: SocketAddr,
    /// The address of ours that it came to.
    pub(crate) local: SocketAddr,
}
