//! What the node can be told while it runs: stop, reload, tend a cache.

use super::places::{Place, offers};
use super::{Node, shares, status::cache_status};
use crate::config::{Config, Size, VolumeSettings};
use crate::status_text::cache_lines;
use async_trait::async_trait;
use front_admin::{
    CacheAction, CacheRequest, Control, Done, MirrorAction, MirrorRequest, Refused, Reloaded, Status,
};
use layer_cache::CacheVolume;
use layer_mirror::{Mirrors, Order};
use link::certs;
use std::sync::{Arc, PoisonError};
use volume::VPath;

#[async_trait]
impl Control for Node {
    async fn status(&self) -> Status {
        self.look()
    }

    fn stop(&self) {
        self.stop.send_replace(true);
    }

    async fn reload(&self) -> Result<Reloaded, Refused> {
        let Some(file) = &self.file else {
            return Err(Refused::Invalid("`farshare try` has no configuration to read again".into()));
        };
        // It may lie in a mount of ours, by mistake: then it is this very process that answers.
        let file = file.clone();
        let new = tokio::task::spawn_blocking(move || Config::load(&file)).await;
        let new = new.map_err(|why| Refused::Failed(why.to_string()))?;
        let new = new.map_err(|error| Refused::Invalid(error.to_string()))?;
        let mut done = Reloaded::default();
        self.reload_certificates(&mut done)?;
        self.reload_quic(&mut done)?;
        self.reload_keytab(&mut done)?;
        self.reload_shares(&new, &mut done);
        self.reload_groups(&new, &mut done);
        self.reload_rights(&new, &mut done);
        self.reload_mirrors(&new, &mut done).await?;
        done.needs_restart = self.differences(&new);
        Ok(done)
    }

    async fn cache(&self, action: CacheAction, request: CacheRequest) -> Result<Done, Refused> {
        let place = self.volumes.iter().find(|place| place.name() == request.volume);
        let place = place.ok_or_else(|| {
            let known: Vec<_> = self.volumes.iter().map(|place| place.name()).collect();
            Refused::NotFound(format!("no volume {:?}; there is: {}", request.volume, known.join(", ")))
        })?;
        if let Some(waiting) = place.waiting() {
            return Err(Refused::Failed(format!("{} is not served yet: {}", request.volume, waiting.why)));
        }
        let Some(cache) = place.served.get().and_then(|served| served.stack.cache.as_ref()) else {
            return Err(Refused::NotFound(format!("the volume {} has no cache", request.volume)));
        };
        let path = VPath::parse(&request.path)
            .map_err(|error| Refused::Invalid(format!("{:?}: {error}", request.path)))?;
        let message = tend(place, cache, action, &path, request.bytes).await;
        message.map(|message| Done { message }).map_err(|error| match error.kind {
            volume::ErrorKind::NotFound => Refused::NotFound(error.to_string()),
            _ => Refused::Failed(error.to_string()),
        })
    }

    async fn mirror(&self, action: MirrorAction, request: MirrorRequest) -> Result<Done, Refused> {
        let place = self.volumes.iter().find(|place| place.name() == request.volume);
        let mirrors = place.and_then(|place| place.served.get()?.stack.mirrors.clone()).ok_or_else(|| {
            let mirrored = |place: &&Arc<Place>| place.settings.mirrors.is_some();
            let known: Vec<_> = self.volumes.iter().filter(mirrored).map(|place| place.name()).collect();
            let known = if known.is_empty() { "none has mirrors".into() } else { known.join(", ") };
            Refused::NotFound(format!("no mirrors of a volume {:?}; with mirrors: {known}", request.volume))
        })?;
        let all: Vec<String> = mirrors.status().into_iter().map(|mirror| mirror.name).collect();
        let names = match request.mirror.as_str() {
            "" => all,
            name if all.iter().any(|known| known == name) => vec![name.to_owned()],
            name => {
                let message =
                    format!("{} has no mirror {name:?}; there is: {}", request.volume, all.join(", "));
                return Err(Refused::NotFound(message));
            }
        };
        let mut lines = Vec::with_capacity(names.len());
        for name in &names {
            let line = steer(&mirrors, name, action, request.contents).await;
            lines.push(line.map_err(|error| Refused::Failed(error.to_string()))?);
        }
        Ok(Done { message: lines.join("\n") })
    }
}

async fn tend(
    place: &Place,
    cache: &CacheVolume,
    action: CacheAction,
    path: &VPath,
    bytes: u64,
) -> volume::Result<String> {
    Ok(match action {
        CacheAction::Stat => {
            cache_status(place).map(|cache| cache_lines(&cache).join("\n")).unwrap_or_default()
        }
        CacheAction::Pin => {
            cache.pin(path).await?;
            format!("pinned {path}; `farshare cache warm` fetches what is not here yet")
        }
        CacheAction::Unpin => {
            cache.unpin(path).await?;
            format!("{path} is no longer pinned")
        }
        CacheAction::Warm => {
            let warmed = cache.warm(path).await?;
            format!("{} files with {} are in the cache", warmed.files, Size(warmed.bytes))
        }
        CacheAction::Evict => format!("made room: {}", Size(cache.evict(bytes).await?)),
        CacheAction::Flush => format!("dropped {}", Size(cache.flush().await?)),
    })
}

/// Does it to one mirror; a line that says what.
async fn steer(
    mirrors: &Mirrors,
    name: &str,
    action: MirrorAction,
    contents: bool,
) -> volume::Result<String> {
    let order = |order, line: &str| mirrors.order(name, order).map(|()| format!("{name}: {line}"));
    match action {
        MirrorAction::Pause => order(Order::Pause, "paused; what changes is kept in the log"),
        MirrorAction::Resume => order(Order::Resume, "goes on"),
        MirrorAction::Retry => order(Order::Retry, "tries what was given up"),
        MirrorAction::Resync => order(Order::Resync { contents }, "is compared and made equal"),
        MirrorAction::Verify => {
            let differ = mirrors.verify(name, contents).await?;
            let lines = differ.iter().map(|(path, what)| format!("\n  {path}: {what}"));
            Ok(match differ.len() {
                0 => format!("{name}: equal"),
                many => format!("{name}: {many} differ{}", lines.collect::<String>()),
            })
        }
    }
}

impl Node {
    fn reload_certificates(&self, done: &mut Reloaded) -> Result<(), Refused> {
        let (Some(link), Some(settings)) = (&self.link, self.config().link) else { return Ok(()) };
        let identity = certs::load_site(&settings.certs, &self.config().name.0);
        let identity = identity.map_err(|error| Refused::Invalid(error.to_string()))?;
        link.peers.node.reload(identity).map_err(|error| Refused::Failed(error.to_string()))?;
        done.applied.push("certificates".into());
        Ok(())
    }

    /// What QUIC clients are shown: the files in force, as they are now.
    fn reload_quic(&self, done: &mut Reloaded) -> Result<(), Refused> {
        let settings = self.config().smb.and_then(|smb| smb.quic);
        let (Some(server), Some(settings)) = (&self.smb, settings) else { return Ok(()) };
        server.renew_certificate(settings.load().map_err(Refused::Invalid)?);
        done.applied.push("certificate of SMB over QUIC".into());
        Ok(())
    }

    /// The keys of this server in Kerberos: the file in force, as it is now.
    fn reload_keytab(&self, done: &mut Reloaded) -> Result<(), Refused> {
        let settings = self.config().smb.and_then(|smb| smb.kerberos);
        let (Some(server), Some(settings)) = (&self.smb, settings) else { return Ok(()) };
        server.renew_keytab(settings.load().map_err(Refused::Invalid)?);
        done.applied.push("keytab".into());
        Ok(())
    }

    /// Shares change while running as long as their volumes are there.
    fn reload_shares(&self, new: &Config, done: &mut Reloaded) {
        let (Some(server), Some(wanted)) = (&self.smb, &new.smb) else { return };
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(present) = config.smb.as_mut() else { return };
        let known = |name: &str| self.volumes.iter().any(|place| place.name() == name);
        let can: Vec<_> = wanted.shares.iter().filter(|share| known(&share.volume)).cloned().collect();
        if can == present.shares {
            return;
        }
        server.set_shares(shares(&self.volumes, &can));
        let names: Vec<_> = can.iter().map(|share| share.name.as_str()).collect();
        done.applied.push(format!("shares: {}", names.join(", ")));
        present.shares = can;
    }

    /// Groups count for who logs in from now on.
    fn reload_groups(&self, new: &Config, done: &mut Reloaded) {
        let (Some(server), Some(wanted)) = (&self.smb, &new.smb) else { return };
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(present) = config.smb.as_mut() else { return };
        if wanted.groups != present.groups {
            server.set_groups(wanted.groups.clone());
            present.groups.clone_from(&wanted.groups);
            done.applied.push("groups".into());
        }
    }

    /// Who may use a volume over the link.
    fn reload_rights(&self, new: &Config, done: &mut Reloaded) {
        let Some(link) = &self.link else { return };
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Vec::new();
        for present in &mut config.volumes {
            if let Some(wanted) = new.volume(&present.name)
                && wanted.allow != present.allow
            {
                present.allow.clone_from(&wanted.allow);
                changed.push(present.name.clone());
            }
        }
        if !changed.is_empty() {
            link.server.offer(offers(&config, &self.volumes));
            done.applied.push(format!("who may use {}", changed.join(", ")));
        }
    }

    /// Mirrors come and go while the volume is served, if it had any at the start. One that is told of otherwise goes on where it was.
    async fn reload_mirrors(&self, new: &Config, done: &mut Reloaded) -> Result<(), Refused> {
        for place in &self.volumes {
            let Some(mirrors) = place.served.get().and_then(|served| served.stack.mirrors.clone()) else {
                continue;
            };
            let wanted = new.volume(place.name()).and_then(|volume| volume.mirrors.clone());
            let present = self.config().volume(place.name()).and_then(|volume| volume.mirrors.clone());
            let (Some(wanted), Some(present)) = (wanted, present) else { continue };
            let failed = |error: volume::Error| Refused::Failed(error.to_string());
            for old in present.mirrors.iter().filter(|old| !wanted.mirrors.contains(old)) {
                let stays = wanted.mirrors.iter().any(|new| new.name == old.name);
                mirrors.remove(&old.name, stays).await.map_err(failed)?;
                if !stays {
                    done.applied.push(format!("mirror {} of {} is none any more", old.name, place.name()));
                }
            }
            for mirror in wanted.mirrors.iter().filter(|new| !present.mirrors.contains(new)) {
                let peers = self.link.as_ref().map(|link| &link.peers);
                let target = crate::mirrors::target(mirror, peers).map_err(failed)?;
                mirrors.add(target).map_err(failed)?;
                done.applied.push(format!("mirror {} of {}: {}", mirror.name, place.name(), mirror.to));
            }
            let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
            let settings = config.volumes.iter_mut().find(|volume| volume.name == place.name());
            if let Some(present) = settings.and_then(|settings| settings.mirrors.as_mut()) {
                present.mirrors = wanted.mirrors;
            }
        }
        Ok(())
    }

    /// What of `new` is not in force.
    fn differences(&self, new: &Config) -> Vec<String> {
        let now = self.config();
        let mut names = Vec::new();
        let mut differs = |is: bool, what: String| {
            if is {
                names.push(what);
            }
        };
        differs(now.name != new.name, "[node] name".into());
        differs(now.state != new.state, "[node] state".into());
        differs(now.link != new.link, "[link]".into());
        differs(now.smb != new.smb, "[smb]".into());
        differs(now.mounts != new.mounts, "[fuse]".into());
        differs(now.admin != new.admin, "[admin]".into());
        differs(now.alerts != new.alerts, "[alerts]".into());
        for volume in &new.volumes {
            // That it is mounted is said of the section that mounts it.
            let as_mounted = |now: &VolumeSettings| VolumeSettings { mounted: volume.mounted, ..now.clone() };
            let same = now.volume(&volume.name).is_some_and(|now| as_mounted(now) == *volume);
            differs(!same, format!("[volume.{}]", volume.name));
        }
        for volume in &now.volumes {
            differs(new.volume(&volume.name).is_none(), format!("[volume.{}], removed", volume.name));
        }
        names
    }
}
