//! `farshare status`, `stop`, `reload`, `cache`, `mirror`, `tasks`, `retry`: what is said to a running node, over its unix socket.

use crate::cli::{CacheCommand, MirrorCommand, NodeArgs, OneMirror, StatusArgs, TasksArgs};
use crate::command::state_dir;
use crate::failure::Failure;
use crate::status_text;
use front_admin::{CacheAction, CacheRequest, Client, MirrorAction, MirrorRequest, Status};
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

pub async fn mirror(command: &MirrorCommand) -> Result<(), Failure> {
    let (action, of, contents) = match command {
        MirrorCommand::List(args) => return tasks_of(args, None, false).await,
        MirrorCommand::Pause(of) => (MirrorAction::Pause, of, false),
        MirrorCommand::Resume(of) => (MirrorAction::Resume, of, false),
        MirrorCommand::Verify(of) => (MirrorAction::Verify, &of.mirror, of.contents),
        MirrorCommand::Resync(of) => (MirrorAction::Resync, &of.mirror, of.contents),
    };
    let (client, request) = steer_request(of, contents)?;
    let done = client.mirror(action, &request).await?;
    println!("{}", done.message);
    match action == MirrorAction::Verify && done.message.lines().any(|line| !line.ends_with(": equal")) {
        true => Err(Failure::silent(1)),
        false => Ok(()),
    }
}

pub async fn retry(of: &OneMirror) -> Result<(), Failure> {
    let (client, request) = steer_request(of, false)?;
    println!("{}", client.mirror(MirrorAction::Retry, &request).await?.message);
    Ok(())
}

/// What is not sent yet, and what was given up.
pub async fn tasks(args: &TasksArgs) -> Result<(), Failure> {
    tasks_of(&args.status, args.mirror.as_deref(), true).await
}

async fn tasks_of(args: &StatusArgs, only: Option<&str>, parked: bool) -> Result<(), Failure> {
    let status: Status = client(&args.node)?.status().await?;
    let of = |volume: &front_admin::VolumeStatus| {
        let wanted = volume.mirrors.iter().filter(|mirror| only.is_none_or(|only| mirror.name == only));
        wanted.map(|mirror| (volume.name.clone(), mirror.clone())).collect::<Vec<_>>()
    };
    let mirrors: Vec<_> = status.volumes.iter().flat_map(of).collect();
    if let Some(only) = only.filter(|_| mirrors.is_empty()) {
        return Err(Failure::failed(format_args!("no mirror {only:?}; `farshare mirror list` shows them")));
    }
    if args.json {
        let rows: Vec<_> = mirrors
            .iter()
            .map(|(volume, mirror)| serde_json::json!({ "volume": volume, "mirror": mirror }))
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows).map_err(Failure::failed)?);
        return Ok(());
    }
    for (volume, mirror) in &mirrors {
        println!("{volume} -> {}", status_text::mirror_line(mirror));
        for (path, error) in mirror.parked.iter().filter(|_| parked) {
            println!("  given up: {path}: {error}");
        }
    }
    if mirrors.is_empty() {
        println!("no volume has mirrors");
    }
    Ok(())
}

fn steer_request(of: &OneMirror, contents: bool) -> Result<(Client, MirrorRequest), Failure> {
    let (volume, mirror) = (of.volume.clone(), of.mirror.clone().unwrap_or_default());
    Ok((client(&of.node)?, MirrorRequest { volume, mirror, contents }))
}
