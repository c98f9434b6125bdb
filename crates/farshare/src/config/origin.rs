//! Where a volume's truth lies: the URL after `origin =`.

use super::value::NodeName;
use serde::de::{self, Deserialize, Deserializer};
use std::fmt;
use std::path::PathBuf;

/// A parsed origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// `file:///srv/web`: a directory of this machine.
    File { root: PathBuf },
    /// `smb://fileserver/projects` or `smb://fileserver:1445/projects/below`.
    Smb { host: String, port: u16, share: String, below: String },
    /// `peer://dc1/projects`: a volume of another node.
    Peer { peer: NodeName, volume: String },
}

/// Port of SMB over TCP.
const SMB_PORT: u16 = 445;
const LATER: [&str; 6] = ["s3", "swift", "sftp", "http", "https", "nfs"];

impl Origin {
    pub fn parse(text: &str) -> Result<Origin, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("{text:?} is not an origin; {}", KNOWN));
        };
        if rest.contains('@') && scheme != "file" {
            return Err(
                "no user in an origin; write user = \"...\" and password = { file = \"...\" } beside it"
                    .into(),
            );
        }
        match scheme {
            "file" => file(rest),
            "smb" => smb(rest),
            "peer" => peer(rest),
            _ if LATER.contains(&scheme) => {
                Err(format!("{scheme}:// origins are not in this version of farshare; {KNOWN}"))
            }
            _ => Err(format!("unknown kind of origin {scheme}://; {KNOWN}")),
        }
    }

    /// The word before `://`.
    pub fn scheme(&self) -> &'static str {
        match self {
            Origin::File { .. } => "file",
            Origin::Smb { .. } => "smb",
            Origin::Peer { .. } => "peer",
        }
    }
}

const KNOWN: &str = "write file:///DIR, smb://SERVER/SHARE or peer://NODE/VOLUME";

fn file(rest: &str) -> Result<Origin, String> {
    if !rest.starts_with('/') {
        return Err(format!(
            "file://{rest}: the directory must be absolute, with three slashes: file:///DIR"
        ));
    }
    Ok(Origin::File { root: PathBuf::from(rest) })
}

fn smb(rest: &str) -> Result<Origin, String> {
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !server.ends_with(']') => (host, port.parse().ok()),
        _ => (server, Some(SMB_PORT)),
    };
    let (share, below) = path.split_once('/').unwrap_or((path, ""));
    match port {
        Some(port) if !host.is_empty() && !share.is_empty() => Ok(Origin::Smb {
            host: host.to_owned(),
            port,
            share: share.to_owned(),
            below: below.trim_end_matches('/').to_owned(),
        }),
        _ => Err(format!(
            "smb://{rest}: write smb://SERVER/SHARE, smb://SERVER:PORT/SHARE or smb://SERVER/SHARE/DIR"
        )),
    }
}

fn peer(rest: &str) -> Result<Origin, String> {
    match rest.split_once('/') {
        Some((node, volume)) if super::is_volume_name(volume) => {
            Ok(Origin::Peer { peer: NodeName::parse(node)?, volume: volume.to_owned() })
        }
        _ => Err(format!("peer://{rest}: write peer://NODE/VOLUME, the volume's name as that node has it")),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { root } => write!(f, "file://{}", root.display()),
            Origin::Smb { host, port, share, below } => {
                write!(f, "smb://{host}")?;
                if *port != SMB_PORT {
                    write!(f, ":{port}")?;
                }
                write!(f, "/{share}")?;
                if below.is_empty() { Ok(()) } else { write!(f, "/{below}") }
            }
            Origin::Peer { peer, volume } => write!(f, "peer://{}/{volume}", peer.0),
        }
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Origin, D::Error> {
        Origin::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ones_come_back_as_written() {
        for text in [
            "file:///srv/web",
            "smb://fileserver/projects",
            "smb://fileserver:1445/projects/a/b",
            "smb://[2001:db8::1]/projects",
            "smb://[2001:db8::1]:1445/projects",
            "peer://dc1/projects",
        ] {
            assert_eq!(Origin::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn bad_ones_say_what_to_write() {
        let check = |text: &str, expect: &str| {
            let error = Origin::parse(text).unwrap_err();
            assert!(error.contains(expect), "{text}: {error}");
        };
        check("/srv/web", "file:///DIR");
        check("file://srv/web", "three slashes");
        check("smb://fileserver", "smb://SERVER/SHARE");
        check("smb://fileserver:x/a", "smb://SERVER:PORT/SHARE");
        check("smb://me:pw@fileserver/a", "password = { file");
        check("peer://dc1", "peer://NODE/VOLUME");
        check("peer://DC1/a", "not a node's name");
        check("s3://archive/photos", "not in this version");
        check("ftp://x/y", "unknown kind of origin ftp://");
    }
}
