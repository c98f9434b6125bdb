//! Upper case as NTLM and the file name rules of Windows use it: one UTF-16 unit to one unit.
//!
//! Full Unicode upper case may lengthen a string (`ß` becomes `SS`); Windows maps unit by unit and leaves alone
//! what has no single-unit upper case, and so does this.
//!
//! Users are told apart by the same table: lower case would make one name of two, such as of `k` and the Kelvin sign.

/// The upper case of one UTF-16 unit; surrogates and letters without a single-unit upper case stay as they are.
pub fn upcase_unit(unit: u16) -> u16 {
    if unit < 0x80 {
        return match unit {
            0x61..=0x7a => unit - 0x20,
            _ => unit,
        };
    }
    // Unicode upcases these to letters of other blocks, the dotless i and the long s to ASCII; Windows leaves them alone.
    if matches!(unit, 0xb5 | 0x131 | 0x17f | 0x1fbe) {
        return unit;
    }
    let Some(letter) = char::from_u32(u32::from(unit)) else { return unit };
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(only), None) => u16::try_from(u32::from(only)).unwrap_or(unit),
        _ => unit,
    }
}

/// The form under which users' names that differ only by case are equal.
pub fn folded_user(name: &str) -> String {
    let upper = |letter: char| {
        let unit = u16::try_from(u32::from(letter)).map(upcase_unit);
        unit.ok().and_then(|unit| char::from_u32(u32::from(unit))).unwrap_or(letter)
    };
    name.chars().map(upper).collect()
}

/// Whether two names are one user's.
pub fn same_user(a: &str, b: &str) -> bool {
    a == b || folded_user(a) == folded_user(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_one_unit_to_one_unit() {
        let upper = |text: &str| {
            let units: Vec<u16> = text.encode_utf16().map(upcase_unit).collect();
            String::from_utf16_lossy(&units)
        };
        assert_eq!(upper("azAZ09{`"), "AZAZ09{`");
        assert_eq!(upper("éßжσ"), "ÉßЖΣ");
        assert_eq!(upper("😀"), "😀");
        assert_eq!(upper("ıſµ"), "ıſµ");
    }

    #[test]
    fn users_differ_by_more_than_case() {
        for (a, b) in [("alice", "ALICE"), ("Jürgen", "JÜRGEN"), ("alice@HOME.TEST", "Alice@home.test")] {
            assert!(same_user(a, b), "{a}, {b}");
        }
        // The Kelvin sign, the long s, the dotless i; and what a domain writes behind the names of its machines.
        let others = [("\u{212A}ate", "kate"), ("ſam", "sam"), ("ıan", "ian"), ("root$", "root"), ("😀", "")];
        for (a, b) in others {
            assert!(!same_user(a, b), "{a}, {b}");
        }
    }
}
