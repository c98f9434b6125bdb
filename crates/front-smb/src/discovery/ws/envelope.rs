//! What clients send, as far as it matters here: SOAP 1.2 with WS-Addressing (August 2004).
//!
//! Elements are known by their namespace, whatever the prefix. There are no entities but those of XML itself, and
//! document types are refused: nothing in here can grow.

use quick_xml::NsReader;
use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};

/// Longest message, bytes: one that fits in a datagram without fragments, thrice.
pub(super) const MESSAGE_MAX_BYTES: usize = 4096;
/// How deep elements lie in each other.
const DEPTH_MAX: usize = 12;
/// Longest text that is kept, bytes.
const TEXT_MAX_BYTES: usize = 512;

/// Namespaces, each with the letter that stands for it in a path.
const NAMESPACES: [(&str, &str); 3] = [
    ("http://www.w3.org/2003/05/soap-envelope", "s"),
    ("http://schemas.xmlsoap.org/ws/2004/08/addressing", "a"),
    ("http://schemas.xmlsoap.org/ws/2005/04/discovery", "d"),
];
pub(super) const PROBE: &str = "http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe";
pub(super) const RESOLVE: &str = "http://schemas.xmlsoap.org/ws/2005/04/discovery/Resolve";
pub(super) const GET: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get";

/// A question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    /// The client's name for its message.
    pub(super) message_id: String,
    pub(super) what: What,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// Who is there, of these types? None are named: of any.
    Probe { types: Vec<String> },
    /// Where is this one?
    Resolve { endpoint: String },
    /// What is this one?
    Get { endpoint: String },
}

/// The texts that are looked for.
#[derive(Default)]
struct Found {
    action: Option<String>,
    message_id: Option<String>,
    to: Option<String>,
    types: Option<String>,
    scopes: Option<String>,
    endpoint: Option<String>,
}

impl Found {
    fn place(&mut self, path: &str) -> Option<&mut Option<String>> {
        Some(match path {
            "/s:Envelope/s:Header/a:Action" => &mut self.action,
            "/s:Envelope/s:Header/a:MessageID" => &mut self.message_id,
            "/s:Envelope/s:Header/a:To" => &mut self.to,
            "/s:Envelope/s:Body/d:Probe/d:Types" => &mut self.types,
            "/s:Envelope/s:Body/d:Probe/d:Scopes" => &mut self.scopes,
            "/s:Envelope/s:Body/d:Resolve/a:EndpointReference/a:Address" => &mut self.endpoint,
            _ => return None,
        })
    }
}

/// Reads a message; `None` for one that is broken, or asks for nothing that there is here.
pub(super) fn read(message: &[u8]) -> Option<Asked> {
    if message.len() > MESSAGE_MAX_BYTES {
        return None;
    }
    let found = look(std::str::from_utf8(message).ok()?)?;
    let what = match found.action.as_deref()? {
        PROBE => {
            // This server is in no scope.
            if found.scopes.is_some_and(|scopes| !scopes.is_empty()) {
                return None;
            }
            let types = found.types.unwrap_or_default();
            // The prefixes are the client's: what counts is what they stand before.
            let local = |name: &str| name.rsplit(':').next().unwrap_or_default().to_owned();
            What::Probe { types: types.split_whitespace().map(local).collect() }
        }
        RESOLVE => What::Resolve { endpoint: found.endpoint? },
        GET => What::Get { endpoint: found.to? },
        _ => return None,
    };
    Some(Asked { message_id: found.message_id.filter(|id| !id.is_empty())?, what })
}

fn look(text: &str) -> Option<Found> {
    let mut reader = NsReader::from_str(text);
    let mut found = Found::default();
    let mut path = String::new();
    loop {
        let (namespace, event) = reader.read_resolved_event().ok()?;
        match event {
            Event::Start(start) => {
                path.push('/');
                path.push_str(letter(&namespace));
                path.push(':');
                path.push_str(start.local_name().as_ref());
                if path.matches('/').count() > DEPTH_MAX {
                    return None;
                }
            }
            Event::End(_) => path.truncate(path.rfind('/')?),
            Event::Text(content) => {
                if let Some(place) = found.place(&path) {
                    let content = content.xml10_content();
                    let content = content.trim();
                    // Twice the same, or broken by something: not what clients send.
                    if content.len() > TEXT_MAX_BYTES || place.replace(content.to_owned()).is_some() {
                        return None;
                    }
                }
            }
            Event::GeneralRef(_) | Event::CData(_) if found.place(&path).is_some() => return None,
            Event::DocType(_) => return None,
            Event::Eof => return path.is_empty().then_some(found),
            _ => {}
        }
    }
}

fn letter(namespace: &ResolveResult<'_>) -> &'static str {
    let ResolveResult::Bound(Namespace(uri)) = namespace else { return "" };
    NAMESPACES.iter().find(|(known, _)| known == uri).map_or("", |(_, letter)| letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Windows 11 sends it.
    const OF_WINDOWS: &str = r#"<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:wsd="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:wsdp="http://schemas.xmlsoap.org/ws/2006/02/devprof"><soap:Header><wsa:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</wsa:To><wsa:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</wsa:Action><wsa:MessageID>urn:uuid:1c0d0b35-0bcd-4a5c-9d7e-6b0c5a8f9a11</wsa:MessageID></soap:Header><soap:Body><wsd:Probe><wsd:Types>wsdp:Device</wsd:Types></wsd:Probe></soap:Body></soap:Envelope>"#;

    fn types(text: &str) -> Option<Vec<String>> {
        match read(text.as_bytes())?.what {
            What::Probe { types } => Some(types),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_probe_of_windows() {
        let asked = read(OF_WINDOWS.as_bytes()).unwrap();
        assert_eq!(asked.message_id, "urn:uuid:1c0d0b35-0bcd-4a5c-9d7e-6b0c5a8f9a11");
        assert_eq!(types(OF_WINDOWS).unwrap(), ["Device"]);
        assert_eq!(
            types(&OF_WINDOWS.replace("wsdp:Device", " x:Device\n pub:Computer ")).unwrap(),
            ["Device", "Computer"]
        );
        assert!(
            types(&OF_WINDOWS.replace("<wsd:Types>wsdp:Device</wsd:Types>", "<wsd:Types/>"))
                .unwrap()
                .is_empty()
        );
        assert!(types(&OF_WINDOWS.replace("<wsd:Types>", "<wsd:Scopes>a</wsd:Scopes><wsd:Types>")).is_none());
    }

    #[test]
    fn prefixes_are_free_and_namespaces_are_not() {
        let other = OF_WINDOWS
            .replace("soap:", "e:")
            .replace(":soap=", ":e=")
            .replace("wsa:", "q:")
            .replace(":wsa=", ":q=");
        assert_eq!(read(other.as_bytes()), read(OF_WINDOWS.as_bytes()));
        assert!(read(OF_WINDOWS.replace("2004/08/addressing", "2005/08/addressing").as_bytes()).is_none());
    }

    #[test]
    fn what_is_broken_too_long_or_not_asked_here_is_no_question() {
        assert!(read(&OF_WINDOWS.as_bytes()[..OF_WINDOWS.len() - 4]).is_none());
        for (from, to) in [
            ("<wsa:MessageID>urn:uuid:1c0d0b35-0bcd-4a5c-9d7e-6b0c5a8f9a11</wsa:MessageID>", ""),
            ("urn:uuid:1c0d0b35-0bcd-4a5c-9d7e-6b0c5a8f9a11", ""),
            ("urn:uuid:1c0d0b35-0bcd-4a5c-9d7e-6b0c5a8f9a11", "&entity;"),
            ("urn:uuid:1c0d0b35-0bcd-4a5c-9d7e-6b0c5a8f9a11", "a&amp;b"),
            ("discovery/Probe<", "discovery/Hello<"),
            ("<soap:Envelope", "<!DOCTYPE a [<!ENTITY entity \"x\">]><soap:Envelope"),
            ("<wsd:Probe>", "<wsd:Prob>"),
        ] {
            let text = OF_WINDOWS.replacen(from, to, 1);
            assert_ne!(text, OF_WINDOWS);
            assert!(read(text.as_bytes()).is_none(), "{to}");
        }
        assert!(read(&vec![b' '; MESSAGE_MAX_BYTES + 1]).is_none());
        assert!(read("<a>".repeat(1000).as_bytes()).is_none());
        let long = OF_WINDOWS.replace("1c0d0b35", &"1".repeat(TEXT_MAX_BYTES));
        assert!(read(long.as_bytes()).is_none());
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_comes_panics(bytes in proptest::collection::vec(0u8..=255, 0..300), at in 0..900usize, with in "\\PC{0,4}") {
            let _any = read(&bytes);
            let mut text = OF_WINDOWS.to_owned();
            let at = at.min(text.len());
            text.insert_str(at, &with);
            let _any = read(text.as_bytes());
        }
    }
}
