//! `[fuse.NAME]`: where this node mounts which of its volumes.
//!
//! Calls of this node into a mount of its own would wait for itself. So neither a tree that it serves nor what it keeps
//! lies where it mounts, and nothing is mounted in there; and no mountpoint is asked what it is, since the node may run
//! already.

use super::raw;
use super::settle::Source;
use super::*;
use std::collections::BTreeMap;
use toml::Spanned;

/// `[fuse.NAME]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MountSettings {
    pub name: String,
    pub volume: String,
    /// The mountpoint, links followed.
    pub at: PathBuf,
    pub read_only: bool,
    /// Nobody enters but the user of this process.
    pub private: bool,
    /// Setuid bits and devices in there mean what they say.
    pub suid_and_dev: bool,
    /// How long the kernel believes names and attributes.
    pub valid: Duration,
}

/// How long the kernel believes what it was told when the file does not say.
const VALID_DEFAULT: Duration = Duration::from_secs(1);

/// Settles the sections, and marks the volumes that are mounted.
pub(super) fn settle(
    source: &Source<'_>,
    volumes: &mut [VolumeSettings],
    state: &Path,
    raw: BTreeMap<Spanned<String>, raw::Mount>,
) -> Result<Vec<MountSettings>, ConfigError> {
    let mut mounts: Vec<MountSettings> = Vec::with_capacity(raw.len());
    for (name, mount) in raw {
        if !is_volume_name(name.get_ref()) {
            let mend = "take 1 to 63 letters, digits, '.', '_' or '-', not beginning with a dot";
            return source.wrong(name.span(), format!("{:?} is not a mount's name; {mend}", name.get_ref()));
        }
        let (wanted, span) = (mount.volume.get_ref(), mount.at.span());
        let Some(volume) = volumes.iter().find(|volume| volume.name == *wanted) else {
            let known: Vec<_> = volumes.iter().map(|volume| volume.name.as_str()).collect();
            let message = format!("no [volume.{wanted}]; there is: {}", known.join(", "));
            return source.wrong(mount.volume.span(), message);
        };
        if volume.user_quotas {
            let why = "users of a mount are not those whose quotas are kept: what they make would not count";
            return source.wrong(mount.volume.span(), format!("{why}; take `quota` out, or this section"));
        }
        let at = match place(mount.at.get_ref()) {
            Ok(at) => at,
            Err(why) => return source.wrong(span, why),
        };
        let near = |other: &Path| at.starts_with(other) || other.starts_with(&at);
        if let Some(other) = mounts.iter().find(|other| near(&other.at)) {
            let (own, others) = (at.display(), other.at.display());
            let why = format!("{own}: [fuse.{}] is mounted at {others}", other.name);
            return source.wrong(span, format!("{why}; take directories of which neither lies in the other"));
        }
        if let Some((what, other)) = trees(volumes, state).into_iter().find(|(_, other)| near(other)) {
            let (own, others) = (at.display(), other.display());
            let why = format!("{own}: {what} lies at {others}, and the node would wait for itself there");
            return source.wrong(span, format!("{why}; take a directory apart from it"));
        }
        mounts.push(MountSettings {
            name: name.into_inner(),
            volume: mount.volume.into_inner(),
            at,
            read_only: mount.read_only,
            private: mount.private,
            suid_and_dev: mount.suid_and_dev,
            valid: mount.valid.map_or(VALID_DEFAULT, |valid| valid.0),
        });
    }
    for volume in volumes {
        volume.mounted = mounts.iter().any(|mount| mount.volume == volume.name);
    }
    Ok(mounts)
}

/// A mountpoint with links followed.
fn place(at: &Path) -> Result<PathBuf, String> {
    let shown = at.display();
    if !at.is_absolute() {
        return Err(format!("{shown}: a mountpoint is an absolute path, as in \"/mnt/web\""));
    }
    front_fuse::mountpoint(at).map_err(|why| match why.kind() {
        std::io::ErrorKind::NotFound => format!("{shown}: no such directory; mkdir -p {shown}"),
        std::io::ErrorKind::NotADirectory => format!("{shown}: not a directory; name one to mount over"),
        _ => format!("{shown}: {why}"),
    })
}

/// What this node works in, and what that is.
fn trees(volumes: &[VolumeSettings], state: &Path) -> Vec<(String, PathBuf)> {
    let mut trees = vec![("the node's state".to_owned(), alone::real(state))];
    for VolumeSettings { name, origin, cache, .. } in volumes {
        if let Origin::File { root } = origin {
            trees.push((format!("the origin of [volume.{name}]"), alone::real(root)));
        }
        if let Some(cache) = cache {
            trees.push((format!("the cache of [volume.{name}]"), alone::real(&cache.directory)));
        }
    }
    trees
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node that serves the directory `web` and mounts below `mnt`.
    struct Site(tempfile::TempDir);

    impl Site {
        fn new() -> Site {
            let dir = tempfile::tempdir().unwrap();
            for name in ["web/below", "state", "mnt/web/below", "mnt/other", "mnt/projects"] {
                std::fs::create_dir_all(dir.path().join(name)).unwrap();
            }
            std::os::unix::fs::symlink("web/below", dir.path().join("link")).unwrap();
            std::fs::write(dir.path().join("file"), "").unwrap();
            Site(dir)
        }

        /// `$` is the site's directory; the sections begin in line 6.
        fn settle(&self, sections: &str) -> Result<Config, ConfigError> {
            let dir = self.0.path().canonicalize().unwrap();
            let text = format!(
                "[node]\nname = \"dc1\"\nstate = \"$/state\"\n[volume.web]\norigin = \"file://$/web\"\n{sections}"
            );
            Config::parse(Path::new("/etc/farshare.toml"), &text.replace('$', dir.to_str().unwrap()))
        }
    }

    #[test]
    fn a_volume_is_mounted_as_it_says() {
        let site = Site::new();
        let plain = "[fuse.web]\nvolume = \"web\"\nat = \"$/mnt/web/\"\n";
        let config = site.settle(plain).unwrap();
        assert!(config.volumes[0].mounted);
        let mount = MountSettings {
            name: "web".into(),
            volume: "web".into(),
            at: site.0.path().canonicalize().unwrap().join("mnt/web"),
            read_only: false,
            private: false,
            suid_and_dev: false,
            valid: VALID_DEFAULT,
        };
        assert_eq!(config.mounts, std::slice::from_ref(&mount));
        let all = format!("{plain}read_only = true\nprivate = true\nsuid_and_dev = true\nvalid = \"50ms\"");
        let valid = Duration::from_millis(50);
        let expect = MountSettings { read_only: true, private: true, suid_and_dev: true, valid, ..mount };
        assert_eq!(site.settle(&all).unwrap().mounts, [expect]);
        let both = format!("{plain}[fuse.other]\nvolume = \"web\"\nat = \"$/mnt/other\"");
        assert_eq!(site.settle(&both).unwrap().mounts.len(), 2);
        assert!(!site.settle("").unwrap().volumes[0].mounted);
    }

    #[test]
    fn what_cannot_be_mounted_is_said_with_its_place() {
        let site = Site::new();
        let check = |sections: &str, line: usize, expect: &str| {
            let error = site.settle(sections).unwrap_err();
            assert_eq!(error.line(), Some(line), "{error}");
            assert!(error.message().contains(expect), "{error}");
        };
        let section = |at: &str| format!("[fuse.web]\nvolume = \"web\"\nat = \"{at}\"\n");
        check("[fuse.web]\nvolume = \"wbe\"\nat = \"$/mnt/web\"", 7, "no [volume.wbe]; there is: web");
        check("[fuse.\"a/b\"]\nvolume = \"web\"\nat = \"$/mnt/web\"", 6, "is not a mount's name");
        check(&section("mnt/web"), 8, "a mountpoint is an absolute path");
        check(&section("$/mnt/none"), 8, "no such directory; mkdir -p");
        check(&section("$/file"), 8, "not a directory");
        let other = |at: &str| format!("[fuse.a]\nvolume = \"web\"\nat = \"$/mnt/web\"\n{}", section(at));
        check(&other("$/mnt/web"), 11, "[fuse.a] is mounted at");
        check(&other("$/mnt/web/below"), 11, "neither lies in the other");
        check(&other("$/mnt"), 11, "neither lies in the other");
        check(&section("$/web"), 8, "the origin of [volume.web] lies at");
        check(&section("$/web/below"), 8, "would wait for itself");
        check(&section("$/link"), 8, "would wait for itself");
        check(&section("$"), 8, "the node's state lies at");
        check(&section("$/state"), 8, "the node's state lies at");
        let cached = format!("cache = {{ path = \"$/mnt/web\" }}\n{}", section("$/mnt/web"));
        check(&cached, 9, "the cache of [volume.web] lies at");
        let counted = format!("quota = {{ users = true }}\n{}", section("$/mnt/web"));
        check(&counted, 8, "take `quota` out");
        check(&format!("{}valid = \"soon\"", section("$/mnt/web")), 9, "is not a duration");
        check(&format!("{}guests = true", section("$/mnt/web")), 9, "unknown key `guests`");
    }
}
