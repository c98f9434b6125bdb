//! What `farshare try` prints when it is ready: lines to paste. No line holds the password: it would end up in
//! process lists and shell histories; each client asks for it.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

/// What a client needs.
pub struct Access<'a> {
    pub smb: SocketAddr,
    pub share: &'a str,
    pub dir: &'a Path,
    pub user: &'a str,
    pub password: &'a str,
    pub admin: Option<SocketAddr>,
    pub state: &'a Path,
}

/// One line.
pub fn json(access: &Access<'_>) -> String {
    let admin = access.admin.map(|address| address.to_string()).unwrap_or_default();
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        "{{\"smb\":{},\"share\":{},\"user\":{},\"password\":{},\"admin\":{}}}\n",
        quoted(&access.smb.to_string()),
        quoted(access.share),
        quoted(access.user),
        quoted(access.password),
        quoted(&admin)
    )
}

/// A page.
pub fn people(access: &Access<'_>) -> String {
    let (host, port) = (access.smb.ip(), access.smb.port());
    let (share, user) = (access.share, access.user);
    let unc = shell(&format!("//{host}/{share}"));
    let mut page = format!(
        "farshare serves {} as the SMB share {share}\n\n  user      {user}\n  password  {}\n\n",
        access.dir.display(),
        access.password
    );
    let mut line = |system: &str, text: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{}", format_args!("  {system:<10}{text}").to_string().trim_end());
    };
    line("smbclient", format!("smbclient {unc} -p {port} -U {}", shell(user)));
    let options = shell(&format!("port={port},username={user},uid={},vers=3.1.1", "$(id -u)"));
    let options = options.replace("$(id -u)", "'$(id -u)'");
    line("Linux", format!("sudo mount -t cifs {unc} /mnt -o {options}"));
    let url = format!("smb://{}@{}/{}", percent(user), access.smb, percent(share));
    line("macOS", format!("open {}", shell(&url)));
    let unc = format!("\\\\{host}\\{share}");
    line("Windows", format!("net use Z: \"{unc}\" * /user:{user} /tcpport:{port}"));
    if port != 445 {
        line("", "(ports other than 445: Windows 11 24H2, Windows Server 2025 and later)".into());
    }
    if access.smb.ip().is_loopback() {
        line("", "(this address is for clients on this machine; --smb 0.0.0.0:445 serves others)".into());
    }
    let state = shell(&access.state.display().to_string());
    line("", String::new());
    line("status", format!("farshare status --state {state}"));
    if let Some(admin) = access.admin {
        line("", format!("http://{admin}/status, http://{admin}/metrics"));
    }
    page.push_str("\nCtrl-C ends it.\n");
    page
}

/// Quoted for a POSIX shell where need be.
fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/.-_:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// For a URL: everything but unreserved characters becomes %XX (RFC 3986 2.1).
fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access<'a>(share: &'a str, user: &'a str) -> Access<'a> {
        Access {
            smb: "127.0.0.1:4450".parse().unwrap(),
            share,
            dir: Path::new("/srv/data"),
            user,
            password: "swordfish",
            admin: Some("127.0.0.1:7441".parse().unwrap()),
            state: Path::new("/tmp/farshare-try-x"),
        }
    }

    #[test]
    fn one_line_for_programs() {
        let expect = "{\"smb\":\"127.0.0.1:4450\",\"share\":\"da\\\"ta\",\"user\":\"me\",\"password\":\"swordfish\",\
                      \"admin\":\"127.0.0.1:7441\"}\n";
        assert_eq!(json(&access("da\"ta", "me")), expect);
    }

    #[test]
    fn lines_for_people_can_be_pasted() {
        let page = people(&access("my data", "me"));
        for expect in [
            "smbclient '//127.0.0.1/my data' -p 4450 -U me\n",
            "sudo mount -t cifs '//127.0.0.1/my data' /mnt -o 'port=4450,username=me,uid='$(id -u)',vers=3.1.1'\n",
            "open smb://me@127.0.0.1:4450/my%20data\n",
            "net use Z: \"\\\\127.0.0.1\\my data\" * /user:me /tcpport:4450\n",
            "farshare status --state /tmp/farshare-try-x\n",
        ] {
            assert!(page.contains(expect), "{expect}\n{page}");
        }
        assert_eq!(page.matches("swordfish").count(), 1, "shown once, in no command line");
    }
}
