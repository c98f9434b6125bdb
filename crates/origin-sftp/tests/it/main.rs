//! `SftpVolume` against a real sshd, started by each test on a port of its own.

mod connecting;
mod content;
mod contract;
mod order;
mod outage;
mod rig;

use futures_util::StreamExt;

/// Most calls that a test has under way.
const CALLS_MAX: usize = 10_000;

/// All of them, polled for the first time in their order before any is waited for.
async fn at_once<T>(calls: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::stream::iter(calls).buffered(CALLS_MAX).collect().await
}
