//! Secrets stand in files of their own, never in the configuration: `password = { file = "..." }`.

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest secret, bytes.
const SECRET_MAX_BYTES: u64 = 64 * 1024;

/// Where a secret lies. Printing it shows the file's name only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecretFile(pub PathBuf);

impl SecretFile {
    /// The file's content without its last line end. Refuses a file that others may read.
    pub fn read(&self) -> Result<Zeroizing<String>, String> {
        read_secret(&self.0)
    }
}

/// As [`SecretFile::read`], for a path from the command line.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, String> {
    read_private(path, SECRET_MAX_BYTES)
}

/// As [`SecretFile::read`], for a file of up to `limit` bytes.
pub fn read_private(path: &Path, limit: u64) -> Result<Zeroizing<String>, String> {
    let shown = path.display();
    let mut bytes = read_private_bytes(path, limit)?;
    let text = String::from_utf8(std::mem::take(&mut *bytes));
    // The bytes come back with the error, to be wiped.
    let text = text.map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        format!("{shown}: not a text in UTF-8")
    });
    let mut text = Zeroizing::new(text?);
    let kept =
        text.strip_suffix('\n').map_or(text.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    text.truncate(kept);
    if text.is_empty() {
        return Err(format!("{shown}: the file is empty"));
    }
    Ok(text)
}

/// The content of a file of up to `limit` bytes. Refuses one that others may read.
pub fn read_private_bytes(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let shown = path.display();
    let mut file = File::open(path).map_err(|cause| format!("{shown}: {cause}"))?;
    let meta = file.metadata().map_err(|cause| format!("{shown}: {cause}"))?;
    if meta.is_file() && meta.mode() & 0o077 != 0 {
        let mode = meta.mode() & 0o7777;
        return Err(format!("{shown}: others may read this secret (mode {mode:04o}); chmod 600 {shown}"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let read = (&mut file).take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|cause| format!("{shown}: {cause}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("{shown}: longer than {limit} bytes"));
    }
    Ok(bytes)
}

impl<'de> Deserialize<'de> for SecretFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SecretFile, D::Error> {
        struct SecretVisitor;
        impl<'de> Visitor<'de> for SecretVisitor {
            type Value = SecretFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{ file = \"/path/of/a/file\" }")
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<SecretFile, E> {
                let mend = "put it into a file with mode 0600 and write { file = \"/path/of/it\" }";
                Err(E::custom(format_args!("a secret does not belong into this file; {mend}")))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretFile, A::Error> {
                let mut file = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key != "file" {
                        return Err(de::Error::unknown_field(&key, &["file"]));
                    }
                    file = Some(map.next_value::<PathBuf>()?);
                }
                file.map(SecretFile).ok_or_else(|| de::Error::missing_field("file"))
            }
        }
        deserializer.deserialize_any(SecretVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn check(content: &str, mode: u32, expect: Result<&str, &str>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        match (read_secret(&path), expect) {
            (Ok(got), Ok(expect)) => assert_eq!(*got, expect),
            (Err(got), Err(expect)) => assert!(got.contains(expect), "{got}"),
            (got, expect) => panic!("{:?} instead of {expect:?}", got.is_ok()),
        }
    }

    #[test]
    fn one_line_end_is_not_part_of_a_secret() {
        check("swordfish\n", 0o600, Ok("swordfish"));
        check("swordfish\r\n", 0o400, Ok("swordfish"));
        check(" two  \n\n", 0o600, Ok(" two  \n"));
        check("bare", 0o600, Ok("bare"));
    }

    #[test]
    fn what_others_may_read_is_refused() {
        check("swordfish\n", 0o644, Err("chmod 600"));
        check("swordfish\n", 0o640, Err("mode 0640"));
        check("\n", 0o600, Err("empty"));
    }
}
