//! The task of a connection: reads, writes and probes until one of the three ends it.

use super::read::Reader;
use super::{Batch, End, Lane};
use crate::liveness::{Liveness, Seen, Verdict};
use crate::meter::Metered;
use crate::remote::Remote;
use crate::socket;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// TLS over a counted TCP stream.
pub(crate) type LinkStream = TlsStream<Metered<TcpStream>>;

/// Slices given to one write.
const MAX_SLICES: usize = 64;

/// Runs the connection to its end, which is returned. `remote` hears of everything received.
pub(crate) async fn run(stream: LinkStream, lane: &Lane, remote: &Arc<Remote>) -> End {
    let handle = match socket::handle(stream.get_ref().0.get_ref()) {
        Ok(handle) => handle,
        Err(error) => return End::Lost(error.to_string()),
    };
    let (reader, writer) = tokio::io::split(stream);
    let mut closed = lane.end.subscribe();
    let end = tokio::select! {
        end = read(reader, lane, remote) => end,
        end = write(writer, lane) => end,
        end = watch_over(handle, lane, remote) => end,
        // The sender lives in `lane`, so this cannot fail while we hold it.
        closed = closed.wait_for(Option::is_some) => match closed.ok().and_then(|end| end.clone()) {
            Some(end) => end,
            None => End::Lost("closed".into()),
        },
    };
    lane.close(end.clone());
    end
}

async fn read(io: impl AsyncRead + Unpin, lane: &Lane, remote: &Arc<Remote>) -> End {
    let mut reader = Reader::new(io);
    loop {
        match reader.next().await {
            Ok(event) => {
                if let Err(what) = remote.receive(lane, event) {
                    return End::Protocol(what);
                }
            }
            Err(end) => return end,
        }
    }
}

async fn write(mut io: impl AsyncWrite + Unpin, lane: &Lane) -> End {
    let mut batch = VecDeque::new();
    loop {
        let written = match lane.next_batch(&mut batch) {
            Batch::Write => write_all(&mut io, &mut batch).await,
            Batch::Wait => {
                lane.pushed.notified().await;
                Ok(())
            }
            Batch::Finish => {
                let ended = io.shutdown().await;
                return ended.map_or_else(|error| End::Lost(error.to_string()), |()| End::ShutDown);
            }
        };
        if let Err(error) = written {
            return End::Lost(error.to_string());
        }
    }
}

async fn write_all(io: &mut (impl AsyncWrite + Unpin), batch: &mut VecDeque<Bytes>) -> io::Result<()> {
    while !batch.is_empty() {
        let mut written = {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let filled = slices.iter_mut().zip(batch.iter());
            let count = filled.map(|(slice, bytes)| *slice = IoSlice::new(bytes)).count();
            io.write_vectored(&slices[..count]).await?
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while written > 0
            && let Some(first) = batch.front_mut()
        {
            let taken = written.min(first.len());
            first.advance(taken);
            written -= taken;
            if first.is_empty() {
                batch.pop_front();
            }
        }
    }
    io.flush().await
}

/// Probes the connection and notices its death, and the end of the peer's certificate.
async fn watch_over(handle: OwnedFd, lane: &Lane, remote: &Remote) -> End {
    let mut liveness = Liveness::new(remote.config(), Instant::now());
    loop {
        if lane.certificate.has_ended(SystemTime::now()) {
            return End::Lost("the certificate of the other side has ended".into());
        }
        let waiting = remote.has_pending() || lane.has_unconfirmed_notices() || !lane.is_flushed();
        let backlog = socket::backlog(handle.as_fd());
        let acknowledged = lane.meter.bytes_out().saturating_sub(backlog as u64);
        let seen = Seen { received: lane.meter.heard(), waiting, acknowledged, backlog };
        match liveness.judge(Instant::now(), seen) {
            Verdict::Fine => {}
            Verdict::Probe => lane.probe(remote.floor()),
            Verdict::Dead(silence) => {
                return End::Lost(format!("nothing heard for {:.1} s", silence.as_secs_f64()));
            }
        }
        tokio::time::sleep(liveness.tick()).await;
    }
}
