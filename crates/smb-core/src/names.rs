//! Upper case as NTLM and the file name rules of Windows use it: one UTF-16 unit to one unit.
//!
//! Full Unicode upper case may lengthen a string (`ß` becomes `SS`); Windows maps unit by unit and leaves alone
//! what has no single-unit upper case, and so does this.

/// The upper case of one UTF-16 unit; surrogates and letters without a single-unit upper case stay as they are.
pub fn upcase_unit(unit: u16) -> u16 {
    if unit < 0x80 {
        return match unit {
            0x61..=0x7a => unit - 0x20,
            _ => unit,
        };
    }
    let Some(letter) = char::from_u32(u32::from(unit)) else { return unit };
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(only), None) => u16::try_from(u32::from(only)).unwrap_or(unit),
        _ => unit,
    }
}

#[cfg(test)]
mod tests {
    use super::upcase_unit;

    #[test]
    fn maps_one_unit_to_one_unit() {
        let upper = |text: &str| {
            let units: Vec<u16> = text.encode_utf16().map(upcase_unit).collect();
            String::from_utf16_lossy(&units)
        };
        assert_eq!(upper("azAZ09{`"), "AZAZ09{`");
        assert_eq!(upper("éßжσ"), "ÉßЖΣ");
        assert_eq!(upper("😀"), "😀");
    }
}
