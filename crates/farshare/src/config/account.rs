//! What users and groups may be called.

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
