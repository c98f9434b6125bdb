//! `[[volume.NAME.mirror]]`: where the changes of a volume go.

use super::raw;
use super::settle::{Source, beside};
use super::*;
use serde::Deserializer;
use serde::de;
use std::fmt;

/// Room that the log of changes may take when the file does not say.
pub const MIRROR_LOG_DEFAULT: Size = Size(4 << 30);
/// Two segments of the log: less would be given up while it is written.
const MIRROR_LOG_MIN: Size = Size(256 << 20);

/// The mirrors of a volume.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MirrorsSettings {
    /// Longest log of changes; a mirror that lacks more is compared whole.
    pub log: Size,
    pub mirrors: Vec<MirrorSettings>,
}

/// `[[volume.NAME.mirror]]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MirrorSettings {
    pub name: String,
    pub to: MirrorTo,
    /// For `sftp://`: a private key, the agent's keys, a password; at least one of them.
    pub key: Option<PathBuf>,
    pub agent: bool,
    /// For `sftp://`: keys of servers.
    pub known_hosts: PathBuf,
    pub password: Option<SecretFile>,
    /// For `smb://`.
    pub login: Option<Login>,
}

/// The URL after `to =`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MirrorTo {
    /// `sftp://copy@mirror.example:22/srv/web`
    Sftp { user: String, host: String, port: u16, root: String },
    /// `file:///mnt/disk2/web`, `smb://...`, `peer://...`
    Volume(Origin),
}

impl MirrorTo {
    pub fn parse(text: &str) -> Result<MirrorTo, String> {
        match text.split_once("://") {
            Some(("sftp", rest)) => sftp(rest),
            Some(("file" | "smb" | "peer", _)) => Origin::parse(text).map(MirrorTo::Volume),
            Some((scheme @ ("s3" | "swift"), _)) => {
                Err(format!("{scheme}:// mirrors are not in this version of farshare; {KNOWN}"))
            }
            Some(_) | None => Err(format!("{text:?} is no place for a mirror; {KNOWN}")),
        }
    }

    /// What it is called when the file does not say.
    fn name(&self) -> String {
        match self {
            MirrorTo::Sftp { host, .. } | MirrorTo::Volume(Origin::Smb { host, .. }) => host.clone(),
            MirrorTo::Volume(Origin::Peer { peer, .. }) => peer.0.clone(),
            MirrorTo::Volume(Origin::File { root }) => {
                root.file_name().map_or("disk".into(), |name| name.to_string_lossy().into_owned())
            }
        }
    }
}

const KNOWN: &str = "write sftp://USER@HOST/DIR, file:///DIR, peer://NODE/VOLUME or smb://SERVER/SHARE";

fn sftp(rest: &str) -> Result<MirrorTo, String> {
    let mend = || format!("sftp://{rest}: write sftp://USER@HOST/DIR or sftp://USER@HOST:PORT/DIR");
    let (user, rest_of) = rest.split_once('@').ok_or_else(mend)?;
    let (server, dir) = rest_of.split_once('/').ok_or_else(mend)?;
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !server.ends_with(']') => (host, port.parse().ok().ok_or_else(mend)?),
        _ => (server, origin_sftp::SSH_PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if user.is_empty() || user.contains(':') || host.is_empty() || dir.is_empty() {
        return Err(mend());
    }
    let root = format!("/{}", dir.trim_end_matches('/'));
    Ok(MirrorTo::Sftp { user: user.to_owned(), host: host.to_owned(), port, root })
}

impl fmt::Display for MirrorTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MirrorTo::Volume(origin) => origin.fmt(f),
            MirrorTo::Sftp { user, host, port, root } => {
                let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
                write!(f, "sftp://{user}@{open}{host}{close}")?;
                if *port != origin_sftp::SSH_PORT {
                    write!(f, ":{port}")?;
                }
                f.write_str(root)
            }
        }
    }
}

impl<'de> Deserialize<'de> for MirrorTo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MirrorTo, D::Error> {
        MirrorTo::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Settles the mirrors of a volume; `None` when it has none.
pub(super) fn settle(
    source: &Source<'_>,
    has_link: bool,
    origin: &Origin,
    log: Option<Spanned<Size>>,
    raw: Vec<Spanned<raw::Mirror>>,
) -> Result<Option<MirrorsSettings>, ConfigError> {
    let Some(span) = raw.first().map(Spanned::span).or(log.as_ref().map(Spanned::span)) else {
        return Ok(None);
    };
    let Origin::File { root } = origin else {
        let why = "mirrors are kept of file:// origins: what others change elsewhere would go unseen";
        return source.wrong(span, format!("{why}; take the mirror out"));
    };
    let size = match log {
        Some(log) if log.get_ref().0 < MIRROR_LOG_MIN.0 => {
            return source.wrong(log.span(), format!("a log of changes needs at least {MIRROR_LOG_MIN}"));
        }
        log => log.map_or(MIRROR_LOG_DEFAULT, Spanned::into_inner),
    };
    let mut mirrors: Vec<MirrorSettings> = Vec::with_capacity(raw.len());
    for mirror in raw {
        let span = mirror.span();
        let mirror = settle_one(source, has_link, root, mirror.into_inner())?;
        if mirrors.iter().any(|other| other.name == mirror.name) {
            let mend = "give one of them another name = \"...\"";
            return source.wrong(span, format!("two mirrors are called {:?}; {mend}", mirror.name));
        }
        mirrors.push(mirror);
    }
    Ok(Some(MirrorsSettings { log: size, mirrors }))
}

fn settle_one(
    source: &Source<'_>,
    has_link: bool,
    own: &Path,
    raw: raw::Mirror,
) -> Result<MirrorSettings, ConfigError> {
    let span = raw.to.span();
    let to = raw.to.into_inner();
    let name = raw.name.as_ref().map_or_else(|| to.name(), |name| name.get_ref().clone());
    if !is_volume_name(&name) {
        let mend =
            "add name = \"...\" with 1 to 63 letters, digits, '.', '_' or '-', not beginning with a dot";
        let span = raw.name.map_or(span, |name| name.span());
        return source.wrong(span, format!("{name:?} is not a mirror's name; {mend}"));
    }
    let password =
        raw.password.map(|secret| (secret.span(), SecretFile(beside(source.file, &secret.get_ref().0))));
    if let Some((span, secret)) = &password
        && let Err(why) = secret.read()
    {
        return source.wrong(span.clone(), why);
    }
    let password = password.map(|(_, secret)| secret);
    let key = raw.key.map(|key| beside(source.file, &key));
    let is_sftp = matches!(to, MirrorTo::Sftp { .. });
    if !is_sftp && (key.is_some() || raw.agent || raw.known_hosts.is_some()) {
        return source.wrong(span, "key, agent and known_hosts are for sftp:// mirrors; take them out");
    }
    if let Some(key) = &key
        && let Err(why) = read_secret(key)
    {
        return source.wrong(span, why);
    }
    let mut login = None;
    match &to {
        MirrorTo::Sftp { .. } if key.is_none() && !raw.agent && password.is_none() => {
            let mend = "add key = \"/path/of/it\", agent = true, or password = { file = \"/path/of/it\" }";
            return source.wrong(span, format!("no way to log on; {mend}"));
        }
        MirrorTo::Volume(Origin::Smb { .. }) => match (&raw.user, &password) {
            (Some(user), Some(password)) => {
                let domain = raw.domain.clone().unwrap_or_default();
                login = Some(Login { user: user.clone(), domain, password: password.clone() });
            }
            _ => {
                let mend = "add user = \"NAME\" and password = { file = \"/path/of/it\" }";
                return source.wrong(span, format!("an smb:// mirror needs a login; {mend}"));
            }
        },
        MirrorTo::Volume(Origin::Peer { .. }) if !has_link => {
            return source.wrong(span, "a peer:// mirror needs a [link] section");
        }
        MirrorTo::Volume(Origin::File { root }) => {
            let (there, own) = (alone::real(root), alone::real(own));
            if there.starts_with(&own) || own.starts_with(&there) {
                let mend = "take a directory apart from it";
                return source
                    .wrong(span, format!("the mirror lies in what it mirrors, or around it; {mend}"));
            }
        }
        MirrorTo::Sftp { .. } | MirrorTo::Volume(Origin::Peer { .. }) => {}
    }
    let known_hosts = match raw.known_hosts {
        Some(file) => beside(source.file, &file),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or("/root".into())).join(".ssh/known_hosts"),
    };
    Ok(MirrorSettings { name, to, key, agent: raw.agent, known_hosts, password, login })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_as_written() {
        for text in [
            "sftp://copy@mirror1.example/srv/web",
            "sftp://copy@mirror1.example:2222/srv/web",
            "sftp://copy@[2001:db8::1]:2222/srv/web",
            "file:///mnt/disk2/web",
            "peer://dc2/web",
            "smb://nas/backup/web",
        ] {
            assert_eq!(MirrorTo::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(MirrorTo::parse("sftp://me@h:22/d/").unwrap().to_string(), "sftp://me@h/d");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_mend() {
        let check = |section: &str, line: usize, expect: &str| {
            let head =
                "[node]\nname = \"n\"\nstate = \"/var/lib/x\"\n[volume.web]\norigin = \"file:///srv/web\"\n";
            let error = Config::parse(Path::new("/etc/f.toml"), &format!("{head}{section}")).unwrap_err();
            assert!(error.message().contains(expect), "{error}");
            assert_eq!(error.line(), Some(line), "{error}");
        };
        let mirror = |lines: &str| format!("[[volume.web.mirror]]\n{lines}");
        check(&mirror("to = \"sftp://host/dir\""), 7, "sftp://USER@HOST/DIR");
        check(&mirror("to = \"s3://bucket\""), 7, "not in this version");
        check(&mirror("to = \"sftp://me@host/dir\""), 7, "no way to log on");
        check(&mirror("to = \"file:///srv/web/copy\""), 7, "apart from it");
        check(&mirror("to = \"file:///srv/copy\"\nkey = \"/k\""), 7, "for sftp:// mirrors");
        check(&mirror("to = \"peer://dc2/web\""), 7, "[link]");
        check(&mirror("to = \"smb://nas/web\""), 7, "needs a login");
        check(&mirror("name = \"a/b\"\nto = \"file:///srv/copy\""), 7, "not a mirror's name");
        check("mirror_log = \"1MiB\"", 6, "at least");
        let twice = mirror("to = \"file:///a/copy\"\n[[volume.web.mirror]]\nto = \"file:///b/copy\"");
        check(&twice, 8, "two mirrors are called \"copy\"");
    }
}
