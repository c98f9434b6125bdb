//! Where the file server is, who logs on, and what it may cost.

use std::fmt;
use std::time::Duration;
use volume::{Error, ErrorKind, Result, VPath};
use zeroize::Zeroizing;

/// Port of SMB over TCP (MS-SMB2 2.1).
const SMB_PORT: u16 = 445;
/// First pause after a failed dial; doubles up to [`RETRY_MAX`].
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest pause between dials.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(10);
/// Pause after a refused logon: trying a wrong password again and again locks accounts.
pub(crate) const LOGON_RETRY: Duration = Duration::from_secs(60);

/// A password that no debug output shows and that is overwritten when dropped. (`smb2` makes copies of its own
/// while it logs on.)
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// A share of a file server, and the user to log on as.
#[derive(Clone, Debug)]
pub struct SmbConfig {
    /// `host`, `host:port`, `[address]:port`. The port is 445 when not given.
    pub server: String,
    pub share: String,
    /// Directory of the share that is the volume's root; components joined by `/`.
    pub subdir: Option<String>,
    pub user: String,
    /// Empty for an account of the server itself.
    pub domain: String,
    pub password: Password,
    /// How far the server's change notifications are believed.
    pub watch: Watching,
    pub limits: SmbLimits,
}

/// How far a server's change notifications are believed.
///
/// No server says whether it tells everything, and not all do: Samba (4.17) tells of names, sizes and attributes,
/// but nothing of content that is written in place below the root's own files, and nothing of changes that go
/// past it (NFS, local processes).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Watching {
    /// Notices are passed on, and the promise stays `Direct`: whoever keeps something has to ask again.
    #[default]
    Hints,
    /// Notices are taken for complete: the promise is `Notified`. For servers that tell of every write and
    /// through which alone files change.
    Trusted,
    /// None are asked for; the volume says that it has no watch.
    Off,
}

/// What the volume may use.
#[derive(Clone, Copy, Debug)]
pub struct SmbLimits {
    /// Largest single READ or WRITE, bytes; the server may allow less. Default 1 MiB.
    pub io_size: u32,
    /// Connections for file content, besides the one for names. At least 1; default 2.
    pub data_connections: usize,
    /// Requests under way on one connection; more wait their turn. At least 1; default 64.
    pub requests: usize,
    /// How long one attempt to reach the server may take. Default 10 s.
    pub dial: Duration,
    /// How long a server that says nothing is waited for in one request. Default 30 s.
    pub answer: Duration,
    /// How long after a loss calls wait for the server to come back, before they answer `Offline` at once.
    /// Default 5 s.
    pub outage: Duration,
}

impl Default for SmbLimits {
    fn default() -> SmbLimits {
        SmbLimits {
            io_size: 1024 * 1024,
            data_connections: 2,
            requests: 64,
            dial: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            outage: Duration::from_secs(5),
        }
    }
}

impl SmbConfig {
    /// A whole share with the default limits.
    pub fn new(
        server: impl Into<String>,
        share: impl Into<String>,
        user: impl Into<String>,
        password: impl Into<Password>,
    ) -> SmbConfig {
        SmbConfig {
            server: server.into(),
            share: share.into(),
            subdir: None,
            user: user.into(),
            domain: String::new(),
            password: password.into(),
            watch: Watching::default(),
            limits: SmbLimits::default(),
        }
    }

    /// `host:port`, as dialing wants it.
    pub(crate) fn address(&self) -> String {
        let bare_v6 = self.server.matches(':').count() > 1 && !self.server.starts_with('[');
        let has_port =
            !bare_v6 && self.server.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        match (has_port, bare_v6) {
            (true, _) => self.server.clone(),
            (false, true) => format!("[{}]:{SMB_PORT}", self.server),
            (false, false) => format!("{}:{SMB_PORT}", self.server),
        }
    }

    /// For messages.
    pub(crate) fn label(&self) -> String {
        match &self.subdir {
            Some(subdir) => format!("smb://{}/{}/{subdir}", self.server, self.share),
            None => format!("smb://{}/{}", self.server, self.share),
        }
    }

    /// The volume's root inside the share.
    pub(crate) fn root(&self) -> Result<VPath> {
        let subdir = self.subdir.as_deref().unwrap_or("").trim_matches('/');
        VPath::parse(subdir)
            .map_err(|why| Error::new(ErrorKind::InvalidArgument, "connect", self.label()).because(why))
    }
}

impl Password {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Password {
    fn from(text: String) -> Password {
        Password(Zeroizing::new(text))
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Password {
        Password::from(text.to_owned())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_their_port() {
        for (server, address) in [
            ("files", "files:445"),
            ("files:1445", "files:1445"),
            ("10.0.0.1", "10.0.0.1:445"),
            ("[2001:db8::1]", "[2001:db8::1]:445"),
            ("[2001:db8::1]:1445", "[2001:db8::1]:1445"),
            ("2001:db8::1", "[2001:db8::1]:445"),
        ] {
            assert_eq!(SmbConfig::new(server, "s", "u", "p").address(), address);
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let config = SmbConfig::new("files", "s", "u", "secret");
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn a_root_cannot_leave_the_share() {
        let below = |subdir: &str| SmbConfig {
            subdir: Some(subdir.to_owned()),
            ..SmbConfig::new("files", "s", "u", "p")
        };
        assert_eq!(below("/a/b/").root().unwrap().as_str(), "a/b");
        assert!(below("a/../..").root().is_err());
    }
}
