//! What this device says of itself.

use quick_xml::escape::escape;
use smb_wire::ids::Guid;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

const HEAD: &str = r#"<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:wsd="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:wsdp="http://schemas.xmlsoap.org/ws/2006/02/devprof" xmlns:wsx="http://schemas.xmlsoap.org/ws/2004/09/mex" xmlns:pub="http://schemas.microsoft.com/windows/pub/2005/07" xmlns:pnpx="http://schemas.microsoft.com/windows/pnpx/2005/10"><soap:Header>"#;
/// The start of actions.
const DISCOVERY: &str = "http://schemas.xmlsoap.org/ws/2005/04/discovery";
const GET_RESPONSE: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/GetResponse";
const DEVPROF: &str = "http://schemas.xmlsoap.org/ws/2006/02/devprof";
/// To all, and to who has asked.
const TO_ALL: &str = "urn:schemas-xmlsoap-org:ws:2005:04:discovery";
const TO_ASKER: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";
const TYPES: &str = "wsdp:Device pub:Computer";
/// What Windows calls machines that are in no domain, unless somebody says otherwise.
const WORKGROUP: &str = "WORKGROUP";

/// The server, as a device.
pub(super) struct Device {
    name: String,
    /// `urn:uuid:`, the same on every start.
    pub(super) endpoint: String,
    /// Path of the metadata.
    pub(super) path: String,
    /// A later start has a greater one.
    instance: u64,
    messages: AtomicU32,
}

impl Device {
    pub(super) fn new(name: &str, guid: Guid) -> Device {
        let uuid = uuid(guid);
        let instance = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Device {
            name: name.to_owned(),
            endpoint: format!("urn:uuid:{uuid}"),
            path: format!("/{uuid}"),
            instance,
            messages: AtomicU32::new(1),
        }
    }

    /// Whether a probe for these types means this device.
    pub(super) fn is_of(&self, types: &[String]) -> bool {
        types.iter().all(|wanted| matches!(wanted.as_str(), "Device" | "Computer"))
    }

    /// We are here.
    pub(super) fn hello(&self, at: IpAddr) -> String {
        self.discovery("Hello", TO_ALL, None, &format!("<wsd:Hello>{}</wsd:Hello>", self.place(at)))
    }

    /// We go.
    pub(super) fn bye(&self) -> String {
        self.discovery("Bye", TO_ALL, None, &format!("<wsd:Bye>{}</wsd:Bye>", self.reference()))
    }

    /// The answer to a probe.
    pub(super) fn probe_matches(&self, at: IpAddr, asked: &str) -> String {
        let body = format!(
            "<wsd:ProbeMatches><wsd:ProbeMatch>{}</wsd:ProbeMatch></wsd:ProbeMatches>",
            self.place(at)
        );
        self.discovery("ProbeMatches", TO_ASKER, Some(asked), &body)
    }

    /// The answer to a resolve.
    pub(super) fn resolve_matches(&self, at: IpAddr, asked: &str) -> String {
        let body = format!(
            "<wsd:ResolveMatches><wsd:ResolveMatch>{}</wsd:ResolveMatch></wsd:ResolveMatches>",
            self.place(at)
        );
        self.discovery("ResolveMatches", TO_ASKER, Some(asked), &body)
    }

    /// The answer to a get: a computer.
    pub(super) fn metadata(&self, asked: &str) -> String {
        let (name, reference, endpoint) = (escape(self.name.as_str()), self.reference(), &self.endpoint);
        let body = format!(
            "<wsx:Metadata>\
             <wsx:MetadataSection Dialect=\"{DEVPROF}/ThisDevice\"><wsdp:ThisDevice>\
             <wsdp:FriendlyName>{name}</wsdp:FriendlyName><wsdp:FirmwareVersion>{version}</wsdp:FirmwareVersion>\
             <wsdp:SerialNumber>1</wsdp:SerialNumber></wsdp:ThisDevice></wsx:MetadataSection>\
             <wsx:MetadataSection Dialect=\"{DEVPROF}/ThisModel\"><wsdp:ThisModel>\
             <wsdp:Manufacturer>farshare</wsdp:Manufacturer><wsdp:ModelName>farshare</wsdp:ModelName>\
             <pnpx:DeviceCategory>Computers</pnpx:DeviceCategory></wsdp:ThisModel></wsx:MetadataSection>\
             <wsx:MetadataSection Dialect=\"{DEVPROF}/Relationship\">\
             <wsdp:Relationship Type=\"{DEVPROF}/host\"><wsdp:Host>{reference}\
             <wsdp:Types>pub:Computer</wsdp:Types><wsdp:ServiceId>{endpoint}</wsdp:ServiceId>\
             <pub:Computer>{name}/Workgroup:{WORKGROUP}</pub:Computer></wsdp:Host></wsdp:Relationship>\
             </wsx:MetadataSection></wsx:Metadata>",
            version = env!("CARGO_PKG_VERSION"),
        );
        envelope(GET_RESPONSE, TO_ASKER, Some(asked), "", &body)
    }

    fn reference(&self) -> String {
        format!("<wsa:EndpointReference><wsa:Address>{}</wsa:Address></wsa:EndpointReference>", self.endpoint)
    }

    fn place(&self, at: IpAddr) -> String {
        let host = std::net::SocketAddr::new(at, super::METADATA_PORT);
        format!(
            "{}<wsd:Types>{TYPES}</wsd:Types><wsd:XAddrs>http://{host}{}</wsd:XAddrs>\
             <wsd:MetadataVersion>1</wsd:MetadataVersion>",
            self.reference(),
            self.path
        )
    }

    fn discovery(&self, action: &str, to: &str, asked: Option<&str>, body: &str) -> String {
        let number = self.messages.fetch_add(1, Ordering::Relaxed);
        let sequence =
            format!("<wsd:AppSequence InstanceId=\"{}\" MessageNumber=\"{number}\"/>", self.instance);
        envelope(&format!("{DISCOVERY}/{action}"), to, asked, &sequence, body)
    }
}

fn envelope(action: &str, to: &str, asked: Option<&str>, more: &str, body: &str) -> String {
    let mut text = HEAD.to_owned();
    let id = uuid(random());
    let relates =
        asked.map(|asked| format!("<wsa:RelatesTo>{}</wsa:RelatesTo>", escape(asked))).unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "<wsa:To>{to}</wsa:To><wsa:Action>{action}</wsa:Action>\
         <wsa:MessageID>urn:uuid:{id}</wsa:MessageID>{relates}{more}</soap:Header>\
         <soap:Body>{body}</soap:Body></soap:Envelope>"
    );
    text
}

/// A random UUID (RFC 9562, version 4). Who has no random numbers has the others' ids to tell messages apart.
fn random() -> Guid {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "no random numbers for the id of a message");
    }
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    bytes
}

fn uuid(bytes: Guid) -> String {
    let hex = |part: &[u8]| part.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let parts = [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]];
    parts.map(hex).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use quick_xml::NsReader;
    use quick_xml::events::Event;

    fn device() -> Device {
        Device::new("DEPOT", [0x12; 16])
    }

    /// The texts of a message, in their order; a message that is not well formed fails the test.
    fn texts(message: &str) -> Vec<String> {
        let mut reader = NsReader::from_str(message);
        let mut texts = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Text(text) => texts.push(text.xml10_content().into_owned()),
                Event::Eof => return texts,
                _ => {}
            }
        }
    }

    #[test]
    fn matches_say_where_the_device_is_and_to_what_they_are_the_answer() {
        let device = device();
        let here = "10.0.0.5".parse().unwrap();
        for message in [device.probe_matches(here, "urn:uuid:a"), device.resolve_matches(here, "urn:uuid:a")]
        {
            let texts = texts(&message);
            for expect in [
                TO_ASKER,
                "urn:uuid:a",
                "urn:uuid:12121212-1212-1212-1212-121212121212",
                TYPES,
                "http://10.0.0.5:5357/12121212-1212-1212-1212-121212121212",
            ] {
                assert!(texts.iter().any(|text| text == expect), "{expect} in {message}");
            }
        }
        assert!(device.hello("fe80::1".parse().unwrap()).contains("http://[fe80::1]:5357/"));
        assert!(texts(&device.bye()).iter().any(|text| text == &device.endpoint));
    }

    #[test]
    fn metadata_is_a_computer_in_a_workgroup() {
        let texts = texts(&device().metadata("urn:uuid:a"));
        assert!(texts.iter().any(|text| text == "DEPOT/Workgroup:WORKGROUP"), "{texts:?}");
    }

    #[test]
    fn what_a_client_says_is_repeated_as_text() {
        let message = device().metadata("</wsa:RelatesTo><evil/>");
        assert!(!message.contains("<evil/>"));
    }

    #[test]
    fn no_answer_is_longer_than_a_datagram_without_fragments() {
        let longest = Device::new("ABCDEFGHIJKLMNO", [0xFF; 16]);
        let at = "fe80:1111:2222:3333:4444:5555:6666:7777".parse().unwrap();
        let id = "urn:uuid:12121212-1212-1212-1212-121212121212";
        assert!(longest.probe_matches(at, id).len() < 1452, "{}", longest.probe_matches(at, id).len());
    }

    #[test]
    fn probes_for_computers_and_for_anything_mean_this_device() {
        let of =
            |types: &[&str]| device().is_of(&types.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert!(of(&[]) && of(&["Device"]) && of(&["Computer", "Device"]));
        assert!(!of(&["PrintDeviceType"]) && !of(&["Device", "PrintDeviceType"]));
    }
}
