//! A session of the client library `smb` over QUIC, against a share whose directory is DIR.
//!
//! usage: SMB_PASSWORD=... over-quic ADDRESS PORT SHARE USER ROOT DIR
//!
//! ROOT is the certificate to believe, DER. Prints what was found, `all well` at the end; whatever does not hold
//! ends it with an error.

use futures_util::StreamExt;
use smb::connection::MultiChannelConfig;
use smb::transport::config::{QuicCertValidationOptions, QuicConfig, TransportConfig};
use smb::{
    Client, ClientConfig, ConnectionConfig, CreateOptions, FileAccessMask, FileAttributes, FileCreateArgs,
    FileDirectoryInformation, ReadAtChannel, UncPath, WriteAtChannel,
};
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

/// More than one request, and no multiple of anything.
const LENGTH: usize = 3_000_017;
const PIECE: usize = 500_000;

// On one thread: with several, `smb` 0.12 at times reads the answer to its log-in before it has set up the key that
// proves it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, port, share, user, root, dir] = words.as_slice() else {
        return Err("usage: over-quic ADDRESS PORT SHARE USER ROOT DIR".into());
    };
    let password = std::env::var("SMB_PASSWORD")?;
    let quic = QuicConfig {
        local_address: None,
        cert_validation: QuicCertValidationOptions::CustomRootCerts(vec![root.clone()]),
    };
    let mut connection = ConnectionConfig {
        transport: TransportConfig::Quic(quic),
        multichannel: MultiChannelConfig::Always,
        ..ConnectionConfig::default()
    };
    connection.auth_methods.kerberos = false;
    let client = Client::new(ClientConfig { connection, dfs: false, ..ClientConfig::default() });
    let server: SocketAddr = format!("{address}:{port}").parse()?;
    client.connect_to_address(address, server).await?;
    let path = UncPath::new(address)?.with_share(share)?;
    client.share_connect(&path, user, password.clone()).await?;
    let channels: Vec<u32> = client.get_channels(&path).await?.into_keys().collect();
    println!("channels {}", channels.len());
    write_and_read(&client, &path, dir, &channels).await?;
    list(&client, &path).await?;
    let ipc = UncPath::ipc_share(address)?;
    let tree = client.get_tree(&ipc).await?;
    for interface in tree.as_ipc_tree()?.query_network_interfaces().await? {
        println!("interface {}", interface.sockaddr.socket_addr().ip());
    }
    client.close().await?;
    println!("all well");
    Ok(())
}

/// In pieces, each on the channel whose turn it is.
async fn write_and_read(
    client: &Client,
    path: &UncPath,
    dir: &str,
    channels: &[u32],
) -> Result<(), Box<dyn Error>> {
    let data: Vec<u8> = (0..LENGTH).map(|at| (at ^ (at >> 8)) as u8).collect();
    let turn = |at: usize| channels.get(at / PIECE % channels.len().max(1)).copied();
    let args = FileCreateArgs::make_overwrite(FileAttributes::new(), CreateOptions::new());
    let file = client.create_file(&path.clone().with_path("over.bin"), &args).await?.unwrap_file();
    let mut at = 0;
    while at < data.len() {
        let piece = &data[at..data.len().min(at + PIECE)];
        at += file.write_at_channel(piece, at as u64, turn(at)).await?;
    }
    file.close().await?;
    if fs::read(format!("{dir}/over.bin"))? != data {
        return Err("what was written is not what is there".into());
    }
    let args = FileCreateArgs::make_open_existing(FileAccessMask::new().with_generic_read(true));
    let file = client.create_file(&path.clone().with_path("over.bin"), &args).await?.unwrap_file();
    let mut read = vec![0; data.len()];
    let mut at = 0;
    while at < read.len() {
        let end = read.len().min(at + PIECE);
        let came = file.read_at_channel(&mut read[at..end], at as u64, turn(at)).await?;
        if came == 0 {
            return Err(format!("the file ends at {at}").into());
        }
        at += came;
    }
    file.close().await?;
    if read == data { Ok(()) } else { Err("what was read is not what was written".into()) }
}

async fn list(client: &Client, path: &UncPath) -> Result<(), Box<dyn Error>> {
    let args = FileCreateArgs::make_open_existing(FileAccessMask::new().with_generic_read(true));
    let root = Arc::new(client.create_file(path, &args).await?.unwrap_dir());
    let mut entries = smb::Directory::query::<FileDirectoryInformation>(&root, "*").await?;
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        println!("entry {} {}", entry.file_name, entry.end_of_file);
    }
    Ok(())
}
