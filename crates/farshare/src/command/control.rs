//! `farshare status`, `stop`, `reload`, `cache`: what is said to a running node, over its unix socket.

use crate::cli::{CacheCommand, NodeArgs, StatusArgs};
use crate::command::state_dir;
use crate::failure::Failure;
use crate::status_text;
use front_admin::{CacheAction, CacheRequest, Client};
use std::time::SystemTime;

/// The unix socket in the state directory.
pub const SOCKET: &str = "admin.sock";

fn client(node: &NodeArgs) -> Result<Client, Failure> {
    Ok(Client::new(state_dir(node)?.join(SOCKET)))
}

pub async fn status(args: &StatusArgs) -> Result<(), Failure> {
    let status = client(&args.node)?.status().await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&status).map_err(Failure::failed)?);
    } else {
        print!("{}", status_text::render(&status, SystemTime::now()));
    }
    Ok(())
}

pub async fn stop(node: &NodeArgs) -> Result<(), Failure> {
    client(node)?.stop().await?;
    println!("the node finishes what is under way and ends");
    Ok(())
}

/// Exit status 1 when something in the file is in force only after a restart.
pub async fn reload(node: &NodeArgs) -> Result<(), Failure> {
    let reloaded = client(node)?.reload().await?;
    for what in &reloaded.applied {
        println!("in force: {what}");
    }
    for what in &reloaded.needs_restart {
        println!("needs a restart: {what}");
    }
    match (reloaded.applied.is_empty(), reloaded.needs_restart.is_empty()) {
        (true, true) => println!("nothing has changed"),
        (_, true) => {}
        (_, false) => return Err(Failure::silent(1)),
    }
    Ok(())
}

pub async fn cache(command: &CacheCommand) -> Result<(), Failure> {
    let (action, volume, node, path, bytes) = match command {
        CacheCommand::Stat(on) => (CacheAction::Stat, &on.volume, &on.node, "", 0),
        CacheCommand::Flush(on) => (CacheAction::Flush, &on.volume, &on.node, "", 0),
        CacheCommand::Warm(on) => (CacheAction::Warm, &on.volume, &on.node, on.path.as_str(), 0),
        CacheCommand::Pin(on) => (CacheAction::Pin, &on.volume, &on.node, on.path.as_str(), 0),
        CacheCommand::Unpin(on) => (CacheAction::Unpin, &on.volume, &on.node, on.path.as_str(), 0),
        CacheCommand::Evict { size, volume } => {
            (CacheAction::Evict, &volume.volume, &volume.node, "", size.0)
        }
    };
    let path = path.trim_matches('/').to_owned();
    let request = CacheRequest { volume: volume.clone(), path, bytes };
    println!("{}", client(node)?.cache(action, &request).await?.message);
    Ok(())
}
