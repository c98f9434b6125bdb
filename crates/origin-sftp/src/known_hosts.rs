//! Whether a server is the one that it was: its key against a file of known keys, in OpenSSH's format (sshd(8)).
//!
//! A key that is not there is never believed: whoever stands in between would be believed, too. The refusal says how to
//! find out and what to do then.

use aws_lc_rs::hmac;
use russh::keys::{Algorithm, HashAlg, PublicKey, parse_public_key_base64};
use std::path::Path;

/// What the file says of one server.
#[derive(Debug, Default)]
pub(crate) struct Known {
    keys: Vec<(usize, PublicKey)>,
    revoked: Vec<(usize, PublicKey)>,
}

/// What is to be believed of a key.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Known,
    /// There is none of its type.
    Unknown,
    /// There is another one of its type, in this line.
    Changed(usize),
    /// The key is marked `@revoked`, in this line.
    Revoked(usize),
}

impl Known {
    /// Reads the lines about one server. Those that cannot be read say nothing; nor do authorities (`@cert-authority`):
    /// certificates are not asked for.
    pub(crate) fn read(text: &str, host: &str, port: u16) -> Known {
        let mut known = Known::default();
        for (number, line) in (1..).zip(text.lines()) {
            let mut words = line.split_ascii_whitespace().peekable();
            let marker = words.next_if(|word| word.starts_with('@'));
            let (Some(hosts), Some(_kind), Some(key)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            if hosts.starts_with('#') || !names(hosts, host, port) {
                continue;
            }
            let Ok(key) = parse_public_key_base64(key) else { continue };
            match marker {
                None => known.keys.push((number, key)),
                Some("@revoked") => known.revoked.push((number, key)),
                Some(_) => {}
            }
        }
        known
    }

    pub(crate) fn judge(&self, key: &PublicKey) -> Verdict {
        let same = |(_, other): &&(usize, PublicKey)| other.key_data() == key.key_data();
        if let Some((line, _)) = self.revoked.iter().find(same) {
            return Verdict::Revoked(*line);
        }
        if self.keys.iter().any(|known| same(&known)) {
            return Verdict::Known;
        }
        let of_its_type = self.keys.iter().find(|(_, other)| other.algorithm() == key.algorithm());
        of_its_type.map_or(Verdict::Unknown, |(line, _)| Verdict::Changed(*line))
    }

    /// Whether a key of this type is known: a server that has several is asked for one of these.
    pub(crate) fn has(&self, algorithm: &Algorithm) -> bool {
        self.keys.iter().any(|(_, key)| match algorithm {
            Algorithm::Rsa { .. } => key.algorithm().is_rsa(),
            other => key.algorithm() == *other,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// What to tell whoever has to decide about a key; `None` for one that is known.
pub(crate) fn refusal(
    verdict: &Verdict,
    key: &PublicKey,
    host: &str,
    port: u16,
    file: &Path,
) -> Option<String> {
    let name = spelled(host, port);
    let (kind, print, file) = (key.algorithm(), key.fingerprint(HashAlg::Sha256), file.display());
    let learn = format!("`ssh-keyscan -p {port} -t {} {host} >> {file}`", scan_type(&kind));
    match verdict {
        Verdict::Known => None,
        Verdict::Unknown => Some(format!(
            "the {kind} host key of {name} is not in {file}; its fingerprint is {print}. If that is what \
             `ssh-keygen -lf` says of the key at the server: {learn}"
        )),
        Verdict::Changed(line) => Some(format!(
            "the {kind} host key of {name} is another one than in {file}, line {line}; its fingerprint is {print}. \
             Somebody may be in between. If the server has a new key and that is its fingerprint: \
             `ssh-keygen -R '{name}' -f {file}`, then {learn}"
        )),
        Verdict::Revoked(line) => Some(format!(
            "the {kind} host key of {name} ({print}) is revoked by {file}, line {line}; give the server another one"
        )),
    }
}

/// The type as `ssh-keyscan -t` wants it.
fn scan_type(algorithm: &Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Ecdsa { .. } => "ecdsa",
        Algorithm::Rsa { .. } => "rsa",
        _ => "ed25519",
    }
}

/// A server as the file names it.
fn spelled(host: &str, port: u16) -> String {
    match port {
        crate::config::SSH_PORT => host.to_owned(),
        _ => format!("[{host}]:{port}"),
    }
}

/// Whether a list of patterns names a server: one of them does, and none that begins with `!`.
fn names(patterns: &str, host: &str, port: u16) -> bool {
    let name = spelled(host, port).to_ascii_lowercase();
    let mut named = false;
    for pattern in patterns.split(',') {
        if let Some(hashed) = pattern.strip_prefix("|1|") {
            named |= is_hash_of(hashed, &name);
        } else if let Some(pattern) = pattern.strip_prefix('!') {
            if matches(&pattern.to_ascii_lowercase(), &name) {
                return false;
            }
        } else {
            named |= matches(&pattern.to_ascii_lowercase(), &name);
        }
    }
    named
}

/// `SALT|HASH`: HMAC-SHA1 of the name.
fn is_hash_of(hashed: &str, name: &str) -> bool {
    let Some((salt, hash)) = hashed.split_once('|') else { return false };
    let (Some(salt), Some(hash)) = (base64(salt), base64(hash)) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    hmac::verify(&key, name.as_bytes(), &hash).is_ok()
}

/// Patterns with `*` and `?`, in time that no pattern makes long.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut of) = (0, 0);
    // Where the last star stands, and from where on it takes no more.
    let mut star: Option<(usize, usize)> = None;
    while of < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(one) if *one == b'?' || *one == name[of] => (at, of) = (at + 1, of + 1),
            Some(_) | None => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    (at, of) = (star_at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|one| *one == b'*')
}

/// Base64 of RFC 4648, section 4.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0);
    for character in text.trim_end_matches('=').bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(value)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";
    /// `example.com`.
    const HASHED: &str = "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak=";

    fn key(line: &str) -> PublicKey {
        parse_public_key_base64(line.split(' ').nth(1).unwrap()).unwrap()
    }

    fn check(file: &str, host: &str, port: u16, expect: Verdict) {
        assert_eq!(Known::read(file, host, port).judge(&key(ONE)), expect, "{file}");
    }

    #[test]
    fn hosts_are_found_by_all_their_names() {
        for (hosts, host, port) in [
            ("files", "files", 22),
            ("files,10.0.0.1", "10.0.0.1", 22),
            ("FILES", "files", 22),
            ("[files]:2222", "files", 2222),
            ("*.example.com", "a.example.com", 22),
            ("f?les", "files", 22),
            (HASHED, "example.com", 22),
            ("[::1]:2222", "::1", 2222),
        ] {
            check(&format!("# comment\n\n{hosts}\t{ONE} a comment\n"), host, port, Verdict::Known);
        }
        for (hosts, host, port) in [
            ("files", "file", 22),
            ("files", "files", 2222),
            ("[files]:2222", "files", 22),
            ("*,!files", "files", 22),
            (HASHED, "example.org", 22),
            ("|1|x|y", "files", 22),
            ("#files", "files", 22),
        ] {
            check(&format!("{hosts} {ONE}\n"), host, port, Verdict::Unknown);
        }
    }

    #[test]
    fn another_key_is_a_change_and_a_revoked_one_is_none() {
        check(&format!("x {ONE}\nfiles {OTHER}\n"), "files", 22, Verdict::Changed(2));
        check(&format!("files {OTHER}\nfiles {ONE}\n"), "files", 22, Verdict::Known);
        check(&format!("files {ONE}\n@revoked * {ONE}\n"), "files", 22, Verdict::Revoked(2));
        check(&format!("@cert-authority * {ONE}\n"), "files", 22, Verdict::Unknown);
        check("files ssh-ed25519 !!!\nfiles\n", "files", 22, Verdict::Unknown);
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let told = refusal(&Verdict::Unknown, &key(ONE), "files", 2222, Path::new("/k")).unwrap();
        assert!(
            told.contains("`ssh-keyscan -p 2222 -t ed25519 files >> /k`") && told.contains("SHA256:"),
            "{told}"
        );
        let told = refusal(&Verdict::Changed(3), &key(ONE), "files", 2222, Path::new("/k")).unwrap();
        assert!(told.contains("line 3") && told.contains("ssh-keygen -R '[files]:2222' -f /k"), "{told}");
    }

    #[test]
    fn patterns() {
        for (pattern, name, expect) in [
            ("*", "", true),
            ("a*b*c", "axxbxxbc", true),
            ("a*b*c", "axxbxx", false),
            ("?", "", false),
            ("", "a", false),
            ("**a", "ba", true),
        ] {
            assert_eq!(matches(pattern, name), expect, "{pattern} {name}");
        }
    }
}
