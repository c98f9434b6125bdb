//! Where the server is, who logs on, whom to believe, and what it may cost.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// Port of SSH (RFC 4253, section 4.2).
pub const SSH_PORT: u16 = 22;

/// A directory on an SSH server, and the user to log on as.
#[derive(Clone, Debug)]
pub struct SftpConfig {
    /// A name or an address, without brackets.
    pub host: String,
    pub port: u16,
    pub user: String,
    /// The volume's root: an absolute path there. Spelled as the volume spells names, see `volume::name_to_bytes`.
    pub root: String,
    /// A private key without a passphrase: Ed25519, ECDSA or RSA.
    pub key: Option<PathBuf>,
    /// Also the keys of the agent at `SSH_AUTH_SOCK`.
    pub agent: bool,
    /// Tried last.
    pub password: Option<Password>,
    /// Keys of servers, as OpenSSH has them. A server whose key is not there is not spoken to.
    pub known_hosts: PathBuf,
    /// How long it may take until requests can be sent. Default 10 s.
    pub connect_timeout: Duration,
    /// A server that was silent for so long is asked whether it lives; after three questions it is lost. Default 15 s.
    pub keep_alive: Duration,
    /// Whether another connection follows one that was lost. If not, calls answer `Offline` from then on: for who must know that
    /// nothing went by another. Default yes.
    pub redial: bool,
    pub limits: SftpLimits,
}

/// What a connection may hold at once.
#[derive(Clone, Copy, Debug)]
pub struct SftpLimits {
    /// Requests that the server has not answered; further ones wait. At least 1; default 512.
    pub requests: usize,
    /// Content in these, bytes, read and written together; one request may always go. Default 16 MiB.
    pub data_bytes: usize,
    /// Requests that wait to be sent; beyond it `TooManyOpen`. Default 65,536.
    pub waiting: usize,
    /// Largest single READ or WRITE, bytes; the server may allow less. Default and most 255 KiB.
    pub io_size: u32,
    /// What the server may send before it hears that it was taken (RFC 4254, section 5.2), bytes. Default 8 MiB.
    pub window_bytes: u32,
    /// After a dial that failed, calls answer at once for so long, with the same reason. Default 1 s.
    pub retry_pause: Duration,
}

impl Default for SftpLimits {
    fn default() -> SftpLimits {
        SftpLimits {
            requests: 512,
            data_bytes: 16 << 20,
            waiting: 65_536,
            io_size: 255 * 1024,
            window_bytes: 8 << 20,
            retry_pause: Duration::from_secs(1),
        }
    }
}

impl SftpConfig {
    /// A directory at the usual port, with the default limits and no way to log on yet.
    pub fn new(
        host: impl Into<String>,
        user: impl Into<String>,
        root: impl Into<String>,
        known_hosts: impl Into<PathBuf>,
    ) -> SftpConfig {
        SftpConfig {
            host: host.into(),
            port: SSH_PORT,
            user: user.into(),
            root: root.into(),
            key: None,
            agent: false,
            password: None,
            known_hosts: known_hosts.into(),
            connect_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(15),
            redial: true,
            limits: SftpLimits::default(),
        }
    }

    /// For messages.
    pub(crate) fn label(&self) -> String {
        format!("sftp://{}@{}{}", self.user, self.address(), self.root)
    }

    /// `host:port`, with brackets around an IPv6 address.
    pub(crate) fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// A password that no debug output shows and that is overwritten when dropped. (`russh` makes copies of its own while
/// it logs on.)
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

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

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_tell_where_and_no_secret() {
        let mut config = SftpConfig::new("files", "me", "/srv", "known_hosts");
        config.password = Some(Password::from("secret".to_owned()));
        assert_eq!(config.label(), "sftp://me@files:22/srv");
        assert!(!format!("{config:?}").contains("secret"));
        config.host = "2001:db8::1".into();
        assert_eq!(config.address(), "[2001:db8::1]:22");
    }
}
