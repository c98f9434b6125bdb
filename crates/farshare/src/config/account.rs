//! What users and groups may be called, and how people are written down.

/// Longest name, characters.
const NAME_MAX: usize = 64;

/// What Windows takes as an account name, and nothing that breaks the file.
pub fn check_account_name(name: &str) -> Result<(), String> {
    let reserved = |c: char| c.is_control() || "\"/\\[]:;|=,+*?<>@".contains(c);
    let length = name.chars().count();
    if (1..=NAME_MAX).contains(&length)
        && !name.contains(reserved)
        && name.trim() == name
        && !name.starts_with('#')
    {
        return Ok(());
    }
    let mend = format!("take 1 to {NAME_MAX} characters, none of \" / \\ [ ] : ; | = , + * ? < > @");
    Err(format!("{name:?} is not a user's name; {mend}"))
}

/// Somebody as a group's member is written: a user, `user@REALM`, or a SID.
pub fn check_person(written: &str) -> Result<(), String> {
    check_sid(written)?;
    match written.split_once('@') {
        Some((name, realm)) => {
            let breaks = |c: char| c.is_control() || matches!(c, '@' | '\\');
            match name.is_empty() || realm.is_empty() || name.contains(breaks) || realm.contains(breaks) {
                true => Err(format!("{written:?} is not a user of a realm; write alice@EXAMPLE.COM")),
                false => Ok(()),
            }
        }
        None => check_account_name(written),
    }
}

/// What begins like a SID must be one: as a user's name it would never be found.
pub fn check_sid(written: &str) -> Result<(), String> {
    match written.starts_with("S-1-") && written.parse::<smb_wire::Sid>().is_err() {
        true => Err(format!("{written:?} is not a SID; write for example \"S-1-5-21-1-2-3-513\"")),
        false => Ok(()),
    }
}
