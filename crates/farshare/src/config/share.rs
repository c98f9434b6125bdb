//! `[smb.share.NAME]` and `[groups]`: what a share is called, who may connect to it, what it does not show.

use super::account::{check_account_name, check_person, check_sid};
use super::raw;
use super::settle::Source;
use super::*;
use smb_core::names::same_user;
use smb_core::wildcard::MAX_PATTERN_UNITS;
use std::collections::BTreeMap;
use toml::Spanned;

/// Most patterns in one `veto`.
const VETO_MAX: usize = 64;

/// The members of each group, by its name.
pub(super) type Groups = BTreeMap<String, Vec<String>>;

pub(super) fn groups(
    source: &Source<'_>,
    raw: BTreeMap<Spanned<String>, Spanned<Vec<Spanned<String>>>>,
) -> Result<Groups, ConfigError> {
    let mut groups = Groups::new();
    for (name, members) in raw {
        if let Err(why) = check_account_name(name.get_ref()) {
            return source.wrong(name.span(), why.replace("a user's name", "a group's name"));
        }
        if members.get_ref().is_empty() {
            return source.wrong(members.span(), "nobody is in this group; name its users, or take it out");
        }
        for member in members.get_ref() {
            if let Err(why) = check_person(member.get_ref()) {
                return source.wrong(member.span(), why);
            }
        }
        let members = members.into_inner().into_iter().map(Spanned::into_inner).collect();
        let (span, name) = (name.span(), name.into_inner());
        let number = front_smb::Group::number_of(&name);
        if let Some(other) = groups.keys().find(|other| front_smb::Group::number_of(other) == number) {
            let why = format!("clients could not tell the groups {name:?} and {other:?} apart; rename one");
            return source.wrong(span, why);
        }
        groups.insert(name, members);
    }
    Ok(groups)
}

pub(super) fn settle(
    source: &Source<'_>,
    volumes: &[VolumeSettings],
    groups: &Groups,
    smb: &SmbSettings,
    raw: BTreeMap<Spanned<String>, raw::Share>,
) -> Result<Vec<ShareSettings>, ConfigError> {
    let mut shares: Vec<ShareSettings> = Vec::with_capacity(raw.len());
    for (name, share) in raw {
        let (span, name) = (name.span(), name.into_inner());
        if !is_share_name(&name) {
            let mend = "1 to 80 characters, none of \\ / : * ? \" < > | [ ] + ; , = and not IPC$";
            return source.wrong(span, format!("{name:?} is not a share's name; take {mend}"));
        }
        if shares.iter().any(|earlier| earlier.name.to_lowercase() == name.to_lowercase()) {
            return source
                .wrong(span, format!("the share {name:?} is there twice; case does not matter in SMB"));
        }
        if !volumes.iter().any(|volume| volume.name == *share.volume.get_ref()) {
            let known: Vec<_> = volumes.iter().map(|volume| volume.name.as_str()).collect();
            let message = format!("no [volume.{}]; there is: {}", share.volume.get_ref(), known.join(", "));
            return source.wrong(share.volume.span(), message);
        }
        let users = admitted(source, groups, &share)?;
        let guests = guests(source, smb, &share)?;
        let encrypt = match share.encrypt {
            Some(encrypt)
                if *encrypt.get_ref() == ShareEncryption::Required && smb.max_dialect < Dialect::Smb300 =>
            {
                let why = "encryption begins with 3.0, which max_dialect excludes; no client could connect";
                return source.wrong(encrypt.span(), why);
            }
            encrypt => encrypt.map(Spanned::into_inner).unwrap_or_default(),
        };
        let compress = match share.compress {
            Some(compress) if *compress.get_ref() && !smb.compression => {
                let mend = "add compression = true to [smb], or take it out";
                return source.wrong(compress.span(), format!("the server does not compress; {mend}"));
            }
            compress => compress.is_some_and(Spanned::into_inner),
        };
        let time_machine = match share.time_machine {
            Some(wanted) if *wanted.get_ref() => {
                if let Some(why) = no_time_machine(smb, share.read_only, &name) {
                    return source.wrong(wanted.span(), why);
                }
                true
            }
            Some(_) | None => false,
        };
        let veto = patterns(source, share.veto)?;
        let snapshots = match share.snapshots {
            Some(raw::Snapshots { pattern }) => match front_smb::SnapshotPattern::parse(pattern.get_ref()) {
                Ok(parsed) => Some(parsed),
                Err(why) => return source.wrong(pattern.span(), format!("{:?}: {why}", pattern.get_ref())),
            },
            None => None,
        };
        shares.push(ShareSettings {
            name,
            volume: share.volume.into_inner(),
            comment: share.comment,
            read_only: share.read_only,
            hidden: share.hidden,
            hide_unreadable: share.hide_unreadable,
            continuously_available: share.continuously_available,
            snapshots,
            symlinks: match share.symlinks {
                raw::Symlinks::Server => front_smb::Symlinks::Server,
                raw::Symlinks::Client => front_smb::Symlinks::Client,
            },
            users,
            guests,
            encrypt,
            compress,
            time_machine,
            veto,
        });
    }
    Ok(shares)
}

/// Why no Mac could back up to a share.
fn no_time_machine(smb: &SmbSettings, read_only: bool, name: &str) -> Option<String> {
    if !smb.mdns {
        Some("Macs hear of it by multicast DNS; add mdns = true to [smb.discovery]".into())
    } else if read_only {
        Some("nobody backs up to a share that is read only; take one of them out".into())
    } else if name.len() > front_smb::DISK_NAME_MAX_BYTES {
        let most = front_smb::DISK_NAME_MAX_BYTES;
        Some(format!("a share that Macs back up to has a name of at most {most} bytes"))
    } else {
        None
    }
}

/// Who may connect: `users` and the members of `groups`, each once.
fn admitted(source: &Source<'_>, groups: &Groups, share: &raw::Share) -> Result<Vec<String>, ConfigError> {
    let mut users = match &share.users {
        Some(users) if users.get_ref().is_empty() => {
            let mend = "leave `users` out for everybody who can log in, or take out the share";
            return source.wrong(users.span(), format!("nobody could connect to this share; {mend}"));
        }
        Some(users) => sids(source, users.get_ref().clone())?,
        None => Vec::new(),
    };
    for name in &share.groups {
        let Some(members) = groups.get(name.get_ref()) else {
            let mend = format!("add it to [groups]: {} = [\"NAME\"]", name.get_ref());
            return source.wrong(name.span(), format!("no group {:?}; {mend}", name.get_ref()));
        };
        for member in members {
            if !users.iter().any(|user| same_user(user, member)) {
                users.push(member.clone());
            }
        }
    }
    Ok(users)
}

/// Whether guests may connect. They are strangers without a key: where either is refused, so are they.
fn guests(source: &Source<'_>, smb: &SmbSettings, share: &raw::Share) -> Result<bool, ConfigError> {
    let Some(wanted) = share.guests.as_ref().filter(|wanted| *wanted.get_ref()) else { return Ok(false) };
    let encrypt = share.encrypt.as_ref().map(|encrypt| *encrypt.get_ref());
    let why = if !smb.ntlm {
        "guests log in by NTLM, which is switched off; leave one of them out"
    } else if smb.signing == Signing::Required {
        "a guest has no key to sign with; add signing = \"enabled\" to [smb], or take this out"
    } else if smb.encryption == Encryption::Required || encrypt == Some(ShareEncryption::Required) {
        "a guest has no key to encrypt with, which encryption requires; leave one of them out"
    } else if share.users.is_some() || !share.groups.is_empty() {
        "strangers could connect where users may not; leave out `users` and `groups`, or take this out"
    } else {
        return Ok(true);
    };
    source.wrong(wanted.span(), why)
}

/// The same, when what begins like a SID is one.
pub(super) fn sids(source: &Source<'_>, written: Vec<Spanned<String>>) -> Result<Vec<String>, ConfigError> {
    for person in &written {
        if let Err(why) = check_sid(person.get_ref()) {
            return source.wrong(person.span(), why);
        }
    }
    Ok(written.into_iter().map(Spanned::into_inner).collect())
}

/// Users by name, with the members of the groups that are named.
pub(super) fn members(groups: &Groups, names: Vec<String>) -> Vec<String> {
    let of = |name: String| groups.get(&name).cloned().unwrap_or_else(|| vec![name]);
    names.into_iter().flat_map(of).collect()
}

fn patterns(source: &Source<'_>, raw: Vec<Spanned<String>>) -> Result<Vec<String>, ConfigError> {
    if let Some(further) = raw.get(VETO_MAX) {
        return source.wrong(further.span(), format!("at most {VETO_MAX} patterns"));
    }
    for pattern in &raw {
        let text = pattern.get_ref();
        let reserved = |c: char| c.is_control() || "\\/:\"<>|".contains(c);
        if text.is_empty() || text.contains(reserved) || text.encode_utf16().count() > MAX_PATTERN_UNITS {
            let mend =
                "a name with * and ? in it, for example \"*.exe\"; directories are named without their path";
            return source.wrong(pattern.span(), format!("{text:?} is not a pattern; write {mend}"));
        }
    }
    Ok(raw.into_iter().map(Spanned::into_inner).collect())
}
