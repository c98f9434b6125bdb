//! A man in the middle: passes every frame on, edited.

use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    ToServer,
    ToClient,
}

/// Edits the frame of this number on its way; an emptied one is swallowed.
pub type Edit = Arc<dyn Fn(Way, usize, &mut Vec<u8>) + Send + Sync>;

/// Stands before `server`; clients come to the address returned.
pub async fn stand_before(server: SocketAddr, edit: Edit) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(server).await else { return };
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(pass(from_client, to_server, Way::ToServer, Arc::clone(&edit)));
            tokio::spawn(pass(from_server, to_client, Way::ToClient, Arc::clone(&edit)));
        }
    });
    address
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Way, edit: Edit) {
    for number in 0.. {
        let mut header = [0; 4];
        if from.read_exact(&mut header).await.is_err() {
            return;
        }
        let mut message = vec![0; u32::from_be_bytes(header) as usize];
        if from.read_exact(&mut message).await.is_err() {
            return;
        }
        edit(way, number, &mut message);
        let frame = [&(message.len() as u32).to_be_bytes(), &message[..]].concat();
        if !message.is_empty() && to.write_all(&frame).await.is_err() {
            return;
        }
    }
}
