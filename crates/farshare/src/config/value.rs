//! The values that a configuration file holds: sizes, durations, names, listening addresses. Each says in its
//! error what it takes.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// A number of bytes: `"500GiB"`, `"64 KiB"`, `"2TB"`, or a bare integer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size(pub u64);

/// A length of time: `"250ms"`, `"2s"`, `"5m"`, `"1h"`, `"90d"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span(pub Duration);

/// The name of a node: 1 to 63 of `a-z`, `0-9`, `-`, beginning with a letter, not ending with `-`. It is the site
/// name in the node's certificate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NodeName(pub String);

/// One address or several: `"0.0.0.0:445"` or `["192.0.2.1:445", "[2001:db8::1]:445"]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listen(pub Vec<SocketAddr>);

/// A peer to dial: `"dc1=gateway.example:7440"`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dial {
    pub peer: NodeName,
    /// `host:port`.
    pub address: String,
}

const SIZE_UNITS: [(&str, u64); 10] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

const SPAN_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A whole number and one of `units`, multiplied out.
pub(super) fn number_with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim();
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*factor)
}

impl Size {
    /// Takes what the configuration file takes.
    pub fn parse(text: &str) -> Result<Size, String> {
        let bytes = number_with_unit(text.trim(), &SIZE_UNITS);
        let bytes = bytes.or_else(|| text.trim().parse().ok());
        bytes
            .map(Size)
            .ok_or_else(|| format!("{text:?} is not a size; write for example \"500GiB\" or \"64MB\""))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut best = ("B", 1);
        for (name, factor) in &SIZE_UNITS[..6] {
            if self.0 >= *factor {
                best = (name, *factor);
            }
        }
        if self.0.is_multiple_of(best.1) {
            write!(f, "{} {}", self.0 / best.1, best.0)
        } else {
            write!(f, "{:.1} {}", self.0 as f64 / best.1 as f64, best.0)
        }
    }
}

impl Span {
    fn parse(text: &str) -> Result<Span, String> {
        let ms = number_with_unit(text.trim(), &SPAN_UNITS);
        ms.map(|ms| Span(Duration::from_millis(ms))).ok_or_else(|| {
            format!("{text:?} is not a duration; write for example \"2s\", \"250ms\" or \"5m\"")
        })
    }
}

impl NodeName {
    pub fn parse(text: &str) -> Result<NodeName, String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let inside = text.len() <= link::certs::MAX_SITE_NAME && text.chars().all(fits);
        if !inside || !text.starts_with(|c: char| c.is_ascii_lowercase()) || text.ends_with('-') {
            let why = "take 1 to 63 of a-z, 0-9 and -, beginning with a letter and not ending with -";
            return Err(format!("{text:?} is not a node's name; {why}"));
        }
        if text == "ca" {
            return Err("a node cannot be called \"ca\": that is the certificate authority's name".into());
        }
        Ok(NodeName(text.to_owned()))
    }
}

impl Dial {
    fn parse(text: &str) -> Result<Dial, String> {
        let wrong = || format!("{text:?} is not NAME=HOST:PORT, for example \"dc1=gateway.example:7440\"");
        let (peer, address) = text.split_once('=').ok_or_else(wrong)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        if host.is_empty() || !port.parse::<u16>().is_ok_and(|port| port != 0) {
            return Err(wrong());
        }
        Ok(Dial { peer: NodeName::parse(peer)?, address: address.to_owned() })
    }
}

pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "{text:?} is not ADDRESS:PORT with a numeric address, for example \"0.0.0.0:445\" or \"[::]:445\""
        )
    })
}

/// Deserializes through one of the `parse` functions above.
macro_rules! from_text {
    ($type:ty, $parse:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $parse(&text).map_err(de::Error::custom)
            }
        }
    };
}

from_text!(Span, Span::parse);
from_text!(NodeName, NodeName::parse);
from_text!(Dial, Dial::parse);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size like \"500GiB\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                Size::parse(text).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
                u64::try_from(bytes).map(Size).map_err(|_| E::custom("a size cannot be negative"))
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Listen, D::Error> {
        struct ListenVisitor;
        impl<'de> Visitor<'de> for ListenVisitor {
            type Value = Listen;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address like \"0.0.0.0:445\", or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Listen, E> {
                address(text).map(|one| Listen(vec![one])).map_err(E::custom)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Listen, A::Error> {
                let mut all = Vec::new();
                while let Some(text) = seq.next_element::<String>()? {
                    all.push(address(&text).map_err(de::Error::custom)?);
                }
                if all.is_empty() {
                    return Err(de::Error::custom("at least one address is needed"));
                }
                Ok(Listen(all))
            }
        }
        deserializer.deserialize_any(ListenVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(Size::parse(text).ok().map(|size| size.0), expect, "{text:?}");
        };
        check("0", Some(0));
        check("4096", Some(4096));
        check("500GiB", Some(500 << 30));
        check("64 KiB", Some(64 << 10));
        check("2TB", Some(2_000_000_000_000));
        check("1gib", Some(1 << 30));
        check("", None);
        check("GiB", None);
        check("1.5GiB", None);
        check("-1", None);
        check("10 cows", None);
        check("99999999PiB", None);
        check("18446744073709551616", None);
    }

    #[test]
    fn sizes_are_shown_in_the_unit_that_fits() {
        for (bytes, expect) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (500 << 30, "500 GiB")]
        {
            assert_eq!(Size(bytes).to_string(), expect);
        }
    }

    #[test]
    fn durations() {
        let check = |text: &str, expect: Option<u64>| {
            let got = Span::parse(text).ok().map(|span| span.0.as_millis() as u64);
            assert_eq!(got, expect, "{text:?}");
        };
        check("250ms", Some(250));
        check("2s", Some(2_000));
        check("5m", Some(300_000));
        check("1 h", Some(3_600_000));
        check("90d", Some(90 * 86_400_000));
        check("2", None);
        check("s", None);
        check("-2s", None);
        check("2 weeks", None);
    }

    #[test]
    fn names_and_addresses_to_dial() {
        assert!(NodeName::parse("dc-1").is_ok());
        for bad in ["", "DC1", "-a", "1a", "a-", "a.b", "a b", "ca", &"x".repeat(64)] {
            assert!(NodeName::parse(bad).is_err(), "{bad:?}");
        }
        let dial = Dial::parse("dc1=[2001:db8::1]:7440").unwrap();
        assert_eq!((dial.peer.0.as_str(), dial.address.as_str()), ("dc1", "[2001:db8::1]:7440"));
        for bad in ["dc1", "dc1=", "dc1=host", "dc1=host:", "dc1=host:0", "dc1=:7440", "=host:1", "DC=host:1"]
        {
            assert!(Dial::parse(bad).is_err(), "{bad:?}");
        }
    }
}
