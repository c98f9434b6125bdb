//! `[smb.kerberos]`, `[smb] ntlm` and `anonymous`: how users log in, and whether nobody may.

use super::raw;
use super::secret::read_private_bytes;
use super::settle::{Source, beside};
use super::*;
use serde::Deserialize;
use smb_core::kerberos::{Keytab, MAX_KEYTAB_LEN, Realms};
use toml::Spanned;

/// `[smb.kerberos] pac`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pac {
    /// A ticket without one is refused: in a domain it would be somebody whom nothing there speaks of.
    #[default]
    Required,
    Optional,
}

/// `[smb.kerberos]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KerberosSettings {
    /// The keys of this server.
    pub keytab: PathBuf,
    /// Whose users may log in.
    pub realms: Realms,
}

impl KerberosSettings {
    /// Reads the keytab, as it is now.
    pub fn load(&self) -> Result<Keytab, String> {
        let bytes = read_private_bytes(&self.keytab, MAX_KEYTAB_LEN as u64)?;
        Keytab::parse(&bytes).map_err(|why| format!("{}: {why}", self.keytab.display()))
    }
}

/// Whether users log in by password.
pub(super) fn ntlm(
    source: &Source<'_>,
    kerberos: Option<&raw::Kerberos>,
    wanted: Option<Spanned<bool>>,
) -> Result<bool, ConfigError> {
    match wanted {
        Some(wanted) if !*wanted.get_ref() && kerberos.is_none() => {
            let mend = "add [smb.kerberos] with keytab and realm, or take this out";
            source.wrong(wanted.span(), format!("without NTLM nobody could log in; {mend}"))
        }
        wanted => Ok(wanted.is_none_or(Spanned::into_inner)),
    }
}

/// Whether nobody may log in, where that is of any effect.
pub(super) fn anonymous(
    source: &Source<'_>,
    smb: &SmbSettings,
    wanted: Option<Spanned<bool>>,
) -> Result<bool, ConfigError> {
    let Some(wanted) = wanted.filter(|wanted| *wanted.get_ref()) else { return Ok(false) };
    let why = match (smb.ntlm, smb.encryption) {
        (false, _) => "anonymous log-in is one by NTLM, which is switched off; leave one of them out",
        (true, Encryption::Required) => {
            "anonymous log-in has no key to encrypt with, which encryption requires; leave one of them out"
        }
        (true, Encryption::Accepted | Encryption::Desired) => return Ok(true),
    };
    source.wrong(wanted.span(), why)
}

pub(super) fn settle(source: &Source<'_>, raw: raw::Kerberos) -> Result<KerberosSettings, ConfigError> {
    for realm in [&raw.realm].into_iter().chain(&raw.trust) {
        let text = realm.get_ref();
        let breaks = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '@' | '/' | '\\');
        if text.is_empty() || text.contains(breaks) {
            let mend = "write it as the KDC does, for example \"EXAMPLE.COM\"";
            return source.wrong(realm.span(), format!("{text:?} is not a realm's name; {mend}"));
        }
    }
    let realms = Realms {
        own: raw.realm.into_inner(),
        trusted: raw.trust.into_iter().map(Spanned::into_inner).collect(),
        needs_pac: raw.pac == Pac::Required,
        local_names: raw.local_names,
    };
    let kerberos = KerberosSettings { keytab: beside(source.file, raw.keytab.get_ref()), realms };
    match kerberos.load() {
        Ok(_) => Ok(kerberos),
        Err(why) => source.wrong(raw.keytab.span(), why),
    }
}
