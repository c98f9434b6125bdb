//! `[smb] interfaces`: what is told to clients for further channels, as text (`"eth0"`, `"10.0.0.5"`) or as a
//! table that knows better than the system (`{ name = "eth1", speed = "25Gbit", rss = true }`).

use super::value::number_with_unit;
use front_smb::{InterfaceChoice, Named};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::net::IpAddr;

/// Longest name of an interface in Linux, bytes.
const NAME_MAX: usize = 15;

const SPEED_UNITS: [(&str, u64); 4] =
    [("kbit", 1_000), ("Mbit", 1_000_000), ("Gbit", 1_000_000_000), ("Tbit", 1_000_000_000_000)];

/// One entry of the list.
pub struct Interface(pub InterfaceChoice);

fn name(text: &str) -> Result<Named, String> {
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && !"/:".contains(c);
    if (1..=NAME_MAX).contains(&text.len()) && text.chars().all(fits) {
        return Ok(Named::Interface(text.to_owned()));
    }
    Err(format!("{text:?} is not an interface's name; write for example \"eth0\" or \"10.0.0.5\""))
}

fn address(text: &str) -> Result<Named, String> {
    let parsed = text.parse::<IpAddr>();
    parsed.map(Named::Address).map_err(|_| format!("{text:?} is not an address, for example \"10.0.0.5\""))
}

fn speed(text: &str) -> Result<u64, String> {
    let bits = number_with_unit(text.trim(), &SPEED_UNITS).filter(|bits| *bits > 0);
    bits.ok_or_else(|| format!("{text:?} is not a speed; write for example \"25Gbit\" or \"2500Mbit\""))
}

impl<'de> Deserialize<'de> for Interface {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Interface, D::Error> {
        struct InterfaceVisitor;
        impl<'de> Visitor<'de> for InterfaceVisitor {
            type Value = Interface;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "an interface like \"eth0\", an address, or { name = \"eth0\", speed = \"25Gbit\" }",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Interface, E> {
                let what = address(text).or_else(|_| name(text)).map_err(E::custom)?;
                Ok(Interface(InterfaceChoice { what, speed: None, rss: None }))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Interface, A::Error> {
                let (mut what, mut bits, mut rss) = (None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "name" | "address" if what.is_some() => {
                            return Err(de::Error::custom("`name` or `address`, not both"));
                        }
                        "name" => what = Some(map.next_value().and_then(parsed(name))?),
                        "address" => what = Some(map.next_value().and_then(parsed(address))?),
                        "speed" => bits = Some(map.next_value().and_then(parsed(speed))?),
                        "rss" => rss = Some(map.next_value()?),
                        other => {
                            return Err(de::Error::unknown_field(
                                other,
                                &["name", "address", "speed", "rss"],
                            ));
                        }
                    }
                }
                let what = what.ok_or_else(|| de::Error::custom("missing key `name` or `address`"))?;
                Ok(Interface(InterfaceChoice { what, speed: bits, rss }))
            }
        }
        deserializer.deserialize_any(InterfaceVisitor)
    }
}

/// `parse`, with its complaint as the deserializer's.
fn parsed<T, E: de::Error>(parse: fn(&str) -> Result<T, String>) -> impl Fn(String) -> Result<T, E> {
    move |text| parse(&text).map_err(E::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct File {
        interfaces: Vec<Interface>,
    }

    #[track_caller]
    fn check(list: &str, expect: Result<InterfaceChoice, &str>) {
        let got = toml::from_str::<File>(&format!("interfaces = [{list}]"));
        match (got, expect) {
            (Ok(mut file), Ok(expect)) => assert_eq!(file.interfaces.remove(0).0, expect),
            (Err(got), Err(expect)) => assert!(got.message().contains(expect), "{got}"),
            (Ok(_), Err(expect)) => panic!("taken instead of: {expect}"),
            (Err(got), Ok(_)) => panic!("{got}"),
        }
    }

    fn named(what: Named) -> InterfaceChoice {
        InterfaceChoice { what, speed: None, rss: None }
    }

    #[test]
    fn names_addresses_and_tables() {
        let eth0 = || named(Named::Interface("eth0".into()));
        check("\"eth0\"", Ok(eth0()));
        check("\"10.0.0.5\"", Ok(named(Named::Address([10, 0, 0, 5].into()))));
        check("\"2001:db8::5\"", Ok(named(Named::Address("2001:db8::5".parse().unwrap()))));
        check("{ name = \"eth0\" }", Ok(eth0()));
        let all = InterfaceChoice { speed: Some(25_000_000_000), rss: Some(true), ..eth0() };
        check("{ name = \"eth0\", speed = \"25Gbit\", rss = true }", Ok(all));
        let address = named(Named::Address([10, 0, 0, 5].into()));
        let slow = InterfaceChoice { speed: Some(100_000_000), ..address };
        check("{ address = \"10.0.0.5\", speed = \"100 Mbit\" }", Ok(slow));
    }

    #[test]
    fn what_is_none_of_these_is_told_with_the_mend() {
        check("\"eth 0\"", Err("is not an interface's name"));
        check("\"\"", Err("is not an interface's name"));
        check("\"a-name-that-is-far-too-long\"", Err("is not an interface's name"));
        check("3", Err("expected an interface like \"eth0\""));
        check("{ speed = \"25Gbit\" }", Err("missing key `name` or `address`"));
        check("{ name = \"eth0\", address = \"10.0.0.5\" }", Err("not both"));
        check("{ address = \"eth0\" }", Err("is not an address"));
        check("{ name = \"eth0\", speed = \"25GB\" }", Err("write for example \"25Gbit\""));
        check("{ name = \"eth0\", speed = \"0Gbit\" }", Err("write for example \"25Gbit\""));
        check("{ name = \"eth0\", sped = \"1Gbit\" }", Err("unknown field `sped`"));
    }
}
