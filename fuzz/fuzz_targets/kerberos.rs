//! Kerberos: keytabs, PACs, and log-ins by ticket, as they come and with the encrypted parts as plain text. Nobody
//! gets in without a key of the service.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smb_core::acceptor::{Acceptor, Judges, Step};
use smb_core::kerberos::encryption::Usage;
use smb_core::kerberos::{EncryptionType, Fresh, Key, Keytab, Novelty, Realms, Tickets};
use smb_core::ntlm::{Strangers, TargetNames};
use smb_raw::kerberos::{TicketClient, first_token, with_pac};
use smb_wire::FileTime;
use smb_wire::pac::{ClientInfo, LogonInfo, Pac, PacSignature};
use std::sync::LazyLock;
use zeroize::Zeroizing;

const NOW: FileTime = FileTime(134_000_000_000_000_000);

/// Never guessed.
static SERVICE: LazyLock<Key> =
    LazyLock::new(|| Key::new(EncryptionType::Aes256Sha1, &[0x77; 32]).expect("32 bytes"));

static KEYTAB: LazyLock<Keytab> = LazyLock::new(|| {
    let counted = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let names = [counted(b"HOME.TEST"), counted(b"cifs"), counted(b"files")].concat();
    let rest =
        [&[0, 0, 0, 1, 0, 0, 0, 0, 1][..], &18u16.to_be_bytes(), &counted(SERVICE.as_bytes())].concat();
    let entry = [&2u16.to_be_bytes()[..], &names, &rest].concat();
    Keytab::parse(&[&[5, 2][..], &(entry.len() as u32).to_be_bytes(), &entry].concat()).expect("a keytab")
});

fn log_in(token: &[u8]) -> bool {
    let realms = Realms { needs_pac: false, ..Realms::only("HOME.TEST") };
    let mut enter = |_| Novelty::New;
    let mut fresh = || Some(Fresh { subkey: Zeroizing::new([1; 32]), confounder: [2; 16], sequence: 3 });
    let tickets = Some(Tickets { keytab: &KEYTAB, realms: &realms, fresh: &mut fresh, enter: &mut enter });
    let mut acceptor = Acceptor::new(TargetNames::standalone("far.example"), [7; 8]);
    let mut judges = Judges { passwords: None, tickets, strangers: Strangers::default() };
    let step = acceptor.step(token, NOW, &mut judges);
    matches!(step, Step::Done(_))
}

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, bytes) = input;
    match choice % 4 {
        0 => {
            if let Ok(keytab) = Keytab::parse(bytes) {
                assert!(!keytab.entries().is_empty());
            }
        }
        1 => {
            assert!(!log_in(bytes), "a log-in without the key");
            assert!(!log_in(&first_token(bytes)), "a log-in without the key");
        }
        // What only a KDC could have written.
        2 => {
            let mut client = TicketClient::new(&SERVICE, "alice", "HOME.TEST", NOW);
            client.authorization = Some(with_pac(bytes));
            log_in(&first_token(&client.request()));
            client.authorization = Some(bytes.to_vec());
            log_in(&first_token(&client.request()));
            log_in(&first_token(&client.request_with(&SERVICE.encrypt(Usage::Ticket, &[3; 16], bytes))));
        }
        _ => {
            // Whatever the bytes are, the answer is a value or an error.
            let _pac = Pac::decode(bytes).map(|pac| pac.buffer(smb_wire::pac::PacKind::LOGON_INFO));
            let _logon = LogonInfo::decode(bytes);
            let _client = ClientInfo::decode(bytes);
            let _signature = PacSignature::decode(bytes);
        }
    }
});
