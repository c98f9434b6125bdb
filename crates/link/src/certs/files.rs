//! Certificate and key files: read with checks, written whole.

use super::{CA, file_error, hex};
use crate::LinkError;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Keys are for their owner only.
pub(super) const KEY_MODE: u32 = 0o600;
/// Certificates are public.
pub(super) const CERT_MODE: u32 = 0o644;
const DIR_MODE: u32 = 0o700;
/// Larger files are no certificates or keys of ours, bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

pub(super) fn make_dir(dir: &Path) -> Result<(), LinkError> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(dir).map_err(|error| file_error(dir, error))
}

/// `mend` completes "there is one already; ...".
pub(super) fn refuse_existing(dir: &Path, name: &str, mend: &str) -> Result<(), LinkError> {
    for suffix in ["key", "crt"] {
        let path = dir.join(format!("{name}.{suffix}"));
        if path.symlink_metadata().is_ok() {
            return Err(file_error(&path, format_args!("there is one already; {mend}")));
        }
    }
    Ok(())
}

/// Stems of the certificates in `dir`.
pub(super) fn cert_names(dir: &Path) -> Result<Vec<String>, LinkError> {
    let failed =
        |error: io::Error| file_error(dir, format_args!("{error}; make it with `farshare certs init`"));
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let file = entry.map_err(failed)?.file_name();
        if let Some(name) = file.to_str().and_then(|file| file.strip_suffix(".crt"))
            && !name.starts_with('.')
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

pub(super) fn read_cert(path: &Path) -> Result<CertificateDer<'static>, LinkError> {
    let (text, _) = read(path)?;
    CertificateDer::from_pem_slice(&text)
        .map_err(|error| file_error(path, format_args!("not a PEM certificate: {error:?}")))
}

/// The key as PEM text, wiped when dropped.
pub(super) fn read_key_text(path: &Path) -> Result<Zeroizing<String>, LinkError> {
    let (text, mode) = read(path)?;
    if mode & 0o077 != 0 {
        let what = format!("others can read this key (mode {:o}); chmod 600 it", mode & 0o777);
        return Err(file_error(path, what));
    }
    let text = std::str::from_utf8(&text).map_err(|_| file_error(path, "not a PEM key"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

pub(super) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, LinkError> {
    PrivateKeyDer::from_pem_slice(read_key_text(path)?.as_bytes())
        .map_err(|error| file_error(path, format_args!("not a PEM key: {error:?}")))
}

/// A text of lines; empty when there is no such file.
pub(super) fn read_list(path: &Path) -> Result<String, LinkError> {
    if !path.try_exists().map_err(|error| file_error(path, error))? {
        return Ok(String::new());
    }
    let (text, _) = read(path)?;
    let text = std::str::from_utf8(&text).map_err(|_| file_error(path, "not text"))?;
    Ok(text.to_owned())
}

fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), LinkError> {
    let mend = match path.file_stem().and_then(|stem| stem.to_str()) {
        Some(CA) => "make it with `farshare certs init`, or copy it here from where that was done",
        _ => "make it with `farshare certs issue NAME`, or copy it here from where that was done",
    };
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => file_error(path, format_args!("not found; {mend}")),
        _ => file_error(path, error),
    };
    let file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() || meta.len() > MAX_FILE_BYTES {
        return Err(file_error(path, format_args!("not a file of at most {MAX_FILE_BYTES} bytes")));
    }
    let mut text = Zeroizing::new(Vec::with_capacity(meta.len() as usize + 1));
    file.take(MAX_FILE_BYTES).read_to_end(&mut text).map_err(failed)?;
    Ok((text, meta.mode()))
}

/// Writes a file that must not exist.
pub(super) fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), LinkError> {
    write(path, content, mode, |temporary| {
        fs::hard_link(temporary, path)?;
        fs::remove_file(temporary)
    })
}

/// Writes a file over the one that exists.
pub(super) fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), LinkError> {
    write(path, content, mode, |temporary| fs::rename(temporary, path))
}

fn write(
    path: &Path,
    content: &[u8],
    mode: u32,
    put_in_place: impl Fn(&Path) -> io::Result<()>,
) -> Result<(), LinkError> {
    let temporary = temporary_beside(path)?;
    let attempt = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        put_in_place(&temporary)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    attempt().map_err(|error| {
        // The error below is what matters; a leftover of this name never is in the way.
        drop(fs::remove_file(&temporary));
        file_error(path, error)
    })
}

fn temporary_beside(path: &Path) -> Result<PathBuf, LinkError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| file_error(path, error))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(path.with_file_name(format!(".{name}.{}", hex(&random))))
}
