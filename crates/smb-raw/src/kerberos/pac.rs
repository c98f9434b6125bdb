//! A PAC as a domain controller writes it (MS-PAC), by the domain that a test makes up.

use smb_core::kerberos::Key;
use smb_core::kerberos::encryption::Usage;
use smb_wire::{FileTime, Sid};
use std::ops::Range;

const SIGNATURE_LEN: usize = 12;

/// What stands in a PAC. Groups are numbers with attributes.
#[derive(Clone)]
pub struct PacMaker {
    /// Whom the ticket is for.
    pub name: String,
    /// Whose account it is of.
    pub account: String,
    pub authenticated: FileTime,
    pub groups: Vec<(u32, u32)>,
    /// Whether KERB_VALIDATION_INFO is in it.
    pub says_sids: bool,
}

impl PacMaker {
    /// User 1104 of the domain S-1-5-21-1-2-3, in groups of every sort.
    pub fn new(name: &str, authenticated: FileTime) -> PacMaker {
        let groups = vec![(513, 7), (1105, 7), (1107, 0x17)];
        let (name, account) = (name.to_owned(), name.to_owned());
        PacMaker { name, account, authenticated, groups, says_sids: true }
    }

    /// Where the domain's signature lies, without its kind.
    pub fn kdc_signature(&self) -> Range<usize> {
        let end = self.unsigned().len();
        end - SIGNATURE_LEN..end
    }

    /// The PAC with the signature of a service's key, and one of the domain's that nobody can verify.
    pub fn sign(&self, service: &Key) -> Vec<u8> {
        let mut pac = self.unsigned();
        let signature = service.checksum(Usage::Pac, &[&pac]);
        let kdc = self.kdc_signature();
        let server = kdc.start - 4 - SIGNATURE_LEN;
        pac[server..server + SIGNATURE_LEN].copy_from_slice(&signature);
        pac[kdc].fill(0xdd);
        pac
    }

    fn unsigned(&self) -> Vec<u8> {
        let units: Vec<u8> = self.name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let client =
            [&self.authenticated.0.to_le_bytes()[..], &(units.len() as u16).to_le_bytes(), &units].concat();
        // hmac-sha1-96-aes256
        let signature = [&16u32.to_le_bytes()[..], &[0; SIGNATURE_LEN]].concat();
        let logon = self.says_sids.then(|| (1u32, self.logon_info()));
        let buffers: Vec<(u32, Vec<u8>)> =
            logon.into_iter().chain([(10, client), (6, signature.clone()), (7, signature)]).collect();
        let mut head = [(buffers.len() as u32).to_le_bytes(), [0; 4]].concat();
        let mut body = Vec::new();
        let start = 8 + 16 * buffers.len();
        for (kind, buffer) in buffers {
            head.extend(kind.to_le_bytes());
            head.extend((buffer.len() as u32).to_le_bytes());
            head.extend(((start + body.len()) as u64).to_le_bytes());
            body.extend(buffer);
            body.resize(body.len().next_multiple_of(8), 0);
        }
        [head, body].concat()
    }

    /// KERB_VALIDATION_INFO, marshaled: the fixed part, then what its pointers point to.
    fn logon_info(&self) -> Vec<u8> {
        let extra = [("S-1-18-1", 7), ("S-1-5-32-544", 7), ("S-1-5-21-1-2-3-1105", 7)];
        let mut out = Stub::default();
        out.word(0x0002_0000);
        out.zeros(48);
        let strings = [self.account.as_str(), "Alice of Home", "", "", "", ""];
        strings.iter().for_each(|text| out.string_head(text));
        out.zeros(4);
        out.words(&[1104, 513, self.groups.len() as u32, 0x0002_0004]);
        out.zeros(20);
        out.string_head("DC1");
        out.string_head("HOME");
        out.word(0x0002_0008);
        out.zeros(40);
        out.words(&[extra.len() as u32, 0x0002_000c, 0x0002_0010, 1, 0x0002_0014]);
        strings.iter().for_each(|text| out.string(text));
        out.word(self.groups.len() as u32);
        self.groups.iter().for_each(|(id, attributes)| {
            out.word(*id);
            out.word(*attributes);
        });
        out.string("DC1");
        out.string("HOME");
        out.sid("S-1-5-21-1-2-3");
        out.word(extra.len() as u32);
        extra.iter().for_each(|(_, attributes)| {
            out.word(0x0002_0018);
            out.word(*attributes);
        });
        extra.iter().for_each(|(sid, _)| out.sid(sid));
        out.sid("S-1-5-21-9-9-9");
        out.words(&[1, 1106, 0x2000_0007]);
        let mut stub = out.0;
        stub.resize(stub.len().next_multiple_of(8), 0);
        let head = [[1, 0x10, 8, 0], [0xcc; 4], (stub.len() as u32).to_le_bytes(), [0; 4]].concat();
        [head, stub].concat()
    }
}

#[derive(Default)]
struct Stub(Vec<u8>);

impl Stub {
    fn word(&mut self, word: u32) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self.0.extend(word.to_le_bytes());
    }

    fn words(&mut self, words: &[u32]) {
        words.iter().for_each(|word| self.word(*word));
    }

    fn zeros(&mut self, count: usize) {
        self.0.resize(self.0.len() + count, 0);
    }

    /// An empty string is a null pointer.
    fn string_head(&mut self, text: &str) {
        let length = (2 * text.encode_utf16().count()) as u32;
        self.word(length << 16 | length);
        self.word(if text.is_empty() { 0 } else { 0x0002_0020 });
    }

    fn string(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let units: Vec<u16> = text.encode_utf16().collect();
        self.words(&[units.len() as u32, 0, units.len() as u32]);
        self.0.extend(units.into_iter().flat_map(u16::to_le_bytes));
    }

    fn sid(&mut self, text: &str) {
        let sid: Sid = text.parse().expect("a SID");
        self.word(sid.sub_authorities().len() as u32);
        sid.encode(&mut self.0);
    }
}
