//! From ready to the end: the admin interface is open, signals are heard, and the end is orderly. A second request
//! to stop ends the process at once.

use crate::command::control::SOCKET;
use crate::config::AdminSettings;
use crate::failure::Failure;
use crate::node::Node;
use crate::process::{Asked, Signals};
use front_admin::{Control, Server, ServerConfig, Token};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

/// Exit status after a second request to stop (128 + SIGINT).
const CUT_OFF: u8 = 130;

/// Opens the doors of the admin interface.
pub async fn open_admin(node: &Arc<Node>, state: &Path, settings: &AdminSettings) -> Result<Server, Failure> {
    let token = match &settings.token {
        Some(secret) => {
            let text = secret.read().map_err(Failure::usage)?;
            Some(Token::new(text.as_bytes().to_vec()).map_err(Failure::usage)?)
        }
        None => None,
    };
    let config = ServerConfig { socket: Some(state.join(SOCKET)), tcp: settings.listen, token };
    let started = Server::start(config, node.clone()).await;
    started.map_err(|cause| Failure::failed(format_args!("the admin interface: {cause}")))
}

/// Serves until a signal or the admin interface asks for the end. SIGHUP reloads.
pub async fn until_asked(node: &Node, signals: &mut Signals) {
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop => break,
                Asked::Reload => reload(node).await,
            },
            () = node.asked_to_stop() => break,
        }
    }
    tell_systemd("STOPPING=1");
    tracing::info!("finishing what is under way");
}

/// Stops the nodes one after the other; another signal ends this with an error.
pub async fn drain(nodes: &[Arc<Node>], signals: &mut Signals) -> Result<(), Failure> {
    let all = async {
        for node in nodes {
            node.shutdown().await;
        }
        Ok(())
    };
    unless_cut_off(signals, all).await
}

/// Does `work` to its end, or up to a request to stop.
pub async fn unless_cut_off<T>(
    signals: &mut Signals,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        () = again(signals) => Err(Failure::cut_off(CUT_OFF)),
    }
}

async fn again(signals: &mut Signals) {
    while signals.next().await != Asked::Stop {}
}

async fn reload(node: &Node) {
    match node.reload().await {
        Ok(done) => tracing::info!(applied = ?done.applied, needs_restart = ?done.needs_restart, "reloaded"),
        Err(refused) => tracing::error!(?refused, "the configuration was not reloaded"),
    }
}

/// Tells systemd, where it asked to be told (`Type=notify`, sd_notify(3)).
pub fn tell_systemd(state: &str) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let told = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(cause) = told {
        tracing::warn!(%cause, "systemd cannot be told");
    }
}
