//! Names on disk and names of the volume, see [`volume::name_from_bytes`].

pub(crate) use volume::{name_from_bytes as from_disk, name_to_bytes as to_disk};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_on_disk_comes_back() {
        let mut rng = testkit::Rng::new(7);
        let escape = "\u{ef80}x\u{efff}".as_bytes().to_vec();
        let mut names = vec![b"plain".to_vec(), "日本".into(), vec![0xff], b"a\xc3(".to_vec(), escape];
        names.extend((1..2000).map(|n| rng.bytes(n % 12 + 1)));
        for name in names {
            let text = from_disk(&name).into_owned();
            assert_eq!(to_disk(&text).unwrap(), name, "by way of {text:?}");
        }
    }

    #[test]
    fn names_that_are_utf8_stay() {
        assert_eq!(from_disk("naïve 🦀 \u{f05c}".as_bytes()), "naïve 🦀 \u{f05c}");
        assert_eq!(from_disk(b"caf\xe9"), "caf\u{efe9}");
        assert_eq!(to_disk("caf\u{efe9}").unwrap(), &b"caf\xe9"[..]);
    }

    #[test]
    fn escapes_that_spell_utf8_are_no_name() {
        assert_eq!(to_disk("\u{efc3}\u{efa9}"), Err(volume::ErrorKind::InvalidName));
    }

    #[test]
    fn the_longest_name_on_disk_fits() {
        assert_eq!(from_disk(&[0xff; 255]).len(), volume::NAME_MAX_BYTES);
    }
}
