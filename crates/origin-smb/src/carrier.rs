//! The TCP connection under `smb2`, with one word put right.
//!
//! `smb2` 0.39 offers ciphers but does not set SMB2_GLOBAL_CAP_ENCRYPTION in its NEGOTIATE (MS-SMB2 2.2.3).
//! Samba then refuses every share and every session that it would have to encrypt. The bit is set here, on the
//! way out; the hash of the negotiation, from which 3.1.1 derives all keys, is made again over what was really
//! sent.

use async_trait::async_trait;
use parking_lot::Mutex;
use smb_wire::HEADER_LEN;
use smb2::client::connection::Connection;
use smb2::crypto::kdf::PreauthHasher;
use smb2::transport::{ConnectOptions, ReceiveProgress, TcpTransport, TransportReceive, TransportSend};
use std::sync::Arc;

/// Where Capabilities stands in a NEGOTIATE request, and the bit in its first byte.
const CAPABILITIES_AT: usize = HEADER_LEN + 8;
const CAP_ENCRYPTION: u8 = 0x40;

/// Dials and negotiates.
pub(crate) async fn negotiated(
    address: &str,
    options: ConnectOptions,
    prepare: impl FnOnce(&mut Connection),
) -> Result<Connection, Failure> {
    let transport = TcpTransport::connect_with(address, options).await.map_err(Failure::Unreachable)?;
    let carrier = Arc::new(Carrier { transport, begin: Mutex::default() });
    let mut connection =
        Connection::from_transport(Box::new(carrier.clone()), Box::new(carrier.clone()), host(address));
    prepare(&mut connection);
    connection.negotiate().await.map_err(Failure::NotSmb)?;
    let (sent, received) = {
        let mut begin = carrier.begin.lock();
        (begin.sent.take(), begin.received.take())
    };
    connection.with_preauth_hasher_mut(|hash| {
        *hash = PreauthHasher::new();
        sent.iter().chain(&received).for_each(|message| hash.update(message));
    });
    Ok(connection)
}

/// At which step it ended.
pub(crate) enum Failure {
    Unreachable(smb2::Error),
    NotSmb(smb2::Error),
}

/// The host of `host:port`, as it stands in the path of a share.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

struct Carrier {
    transport: TcpTransport,
    begin: Mutex<Begin>,
}

/// The first message each way: request and answer of the negotiation.
#[derive(Default)]
struct Begin {
    sent: Option<Vec<u8>>,
    received: Option<Vec<u8>>,
    is_over: bool,
}

#[async_trait]
impl TransportSend for Carrier {
    async fn send(&self, data: &[u8]) -> smb2::Result<()> {
        let first = {
            let mut begin = self.begin.lock();
            let is_first = begin.sent.is_none() && !begin.is_over;
            is_first.then(|| {
                let mut patched = data.to_vec();
                if let Some(capabilities) = patched.get_mut(CAPABILITIES_AT) {
                    *capabilities |= CAP_ENCRYPTION;
                }
                begin.sent = Some(patched.clone());
                patched
            })
        };
        self.transport.send(first.as_deref().unwrap_or(data)).await
    }
}

#[async_trait]
impl TransportReceive for Carrier {
    async fn receive(&self) -> smb2::Result<Vec<u8>> {
        let message = self.transport.receive().await?;
        let mut begin = self.begin.lock();
        if !begin.is_over {
            begin.received = Some(message.clone());
            begin.is_over = true;
        }
        Ok(message)
    }

    fn receive_progress(&self) -> Option<Arc<ReceiveProgress>> {
        self.transport.receive_progress()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_stand_without_port_and_brackets() {
        for (address, name) in [("files:445", "files"), ("10.0.0.1:1445", "10.0.0.1"), ("[::1]:445", "::1")] {
            assert_eq!(host(address), name);
        }
    }
}
