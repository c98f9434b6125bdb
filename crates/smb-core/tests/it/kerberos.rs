//! Log-ins by ticket: published vectors, honest clients, clients that cheat. The tickets are made by `smb-raw`, with
//! the service's key in hand; real KDCs are in `e2e`.

use crate::vector_file::hex;
use smb_core::acceptor::{Acceptor, Established, Judges, Reason, Refusal, Step};
use smb_core::kerberos::encryption::Usage;
use smb_core::kerberos::{
    EncryptionType, Fresh, Key, Keytab, KeytabError, MAX_GROUPS, Novelty, Realms, Refusal as Kerberos,
    ReplayCache, Tickets,
};
use smb_core::ntlm::{Strangers, TargetNames};
use smb_raw::kerberos::{TicketClient, element, first_token, pac, with_pac};
use smb_raw::spnego::{KERBEROS, MS_KERBEROS, NTLMSSP, neg_token_init, neg_token_resp, wrap};
use smb_wire::{FileTime, NtStatus};
use std::time::Instant;
use zeroize::Zeroizing;

const NOW: FileTime = FileTime(134_000_000_000_000_000);

fn key(code: i32, bytes: &str) -> Key {
    Key::new(EncryptionType::from_code(code).unwrap(), &hex(bytes)).unwrap()
}

/// RFC 8009, appendix A.
#[test]
fn encryption_with_sha2_as_published() {
    let short = key(19, "3705D96080C17728A0E800EAB6E0D23C");
    let long = key(20, "6D404D37FAF79F9DF0D33568D320669800EB4836472EA8A026D16B7182460C52");
    let plain: Vec<u8> = (0..21).collect();
    let check = |key: &Key, len: usize, confounder: &str, expect: &str| {
        let sealed = key.encrypt(Usage::Ticket, &hex(confounder).try_into().unwrap(), &plain[..len]);
        assert_eq!(sealed, hex(expect));
        assert_eq!(*key.decrypt(Usage::Ticket, &sealed).unwrap(), plain[..len]);
    };
    check(
        &short,
        0,
        "7E5895EAF2672435BAD817F545A37148",
        "EF85FB890BB8472F4DAB20394DCA781DAD877EDA39D50C870C0D5A0A8E48C718",
    );
    check(
        &short,
        6,
        "7BCA285E2FD4130FB55B1A5C83BC5B24",
        "84D7F30754ED987BAB0BF3506BEB09CFB55402CEF7E6877CE99E247E52D16ED4421DFDF8976C",
    );
    check(
        &short,
        16,
        "56AB21713FF62C0A1457200F6FA9948F",
        "3517D640F50DDC8AD3628722B3569D2AE07493FA8263254080EA65C1008E8FC295FB4852E7D83E1E7C48C37EEBE6B0D3",
    );
    check(
        &short,
        21,
        "A7A4E29A4728CE10664FB64E49AD3FAC",
        "720F73B18D9859CD6CCB4346115CD336C70F58EDC0C4437C5573544C31C813BCE1E6D072C186B39A413C2F92CA9B8334
         A287FFCBFC",
    );
    check(
        &long,
        0,
        "F764E9FA15C276478B2C7D0C4E5F58E4",
        "41F53FA5BFE7026D91FAF9BE959195A058707273A96A40F0A01960621AC612748B9BBFBE7EB4CE3C",
    );
    check(
        &long,
        6,
        "B80D3251C1F6471494256FFE712D0B9A",
        "4ED7B37C2BCAC8F74F23C1CF07E62BC7B75FB3F637B9F559C7F664F69EAB7B6092237526EA0D1F61CB20D69D10F2",
    );
    check(
        &long,
        16,
        "53BF8A0D105265D4E276428624CE5E63",
        "BC47FFEC7998EB91E8115CF8D19DAC4BBBE2E163E87DD37F49BECA92027764F68CF51F14D798C2273F35DF574D1F932E
         40C4FF255B36A266",
    );
    check(
        &long,
        21,
        "763E65367E864F02F55153C7E3B58AF1",
        "40013E2DF58E8751957D2878BCD2D6FE101CCFD556CB1EAE79DB3C3EE86429F2B2A602AC86FEF6ECB647D6295FAE077A
         1FEB517508D2C16B4192E01F62",
    );
    assert_eq!(short.checksum(Usage::Ticket, &[&plain]), hex("D78367186643D67B411CBA9139FC1DEE"));
}

/// Texts that MIT's implementation has encrypted. Usage 2 is the one that has a name here.
#[test]
fn encryption_with_sha1_as_others_do() {
    let long = key(18, "B1AE4CD8462AFF1677053CC9279AAC30B796FB81CE21474DD3DDBCFEA4EC76D7");
    let sealed = hex("09957AA25FCAF88F7B39E4406E633012D5FEA21853F6478DA7065CAEF41FD454A40824EEC5");
    assert_eq!(long.decrypt(Usage::Ticket, &sealed).unwrap()[..], b"9 bytesss"[..]);
    for at in 0..sealed.len() {
        let mut edited = sealed.clone();
        edited[at] ^= 1;
        assert!(long.decrypt(Usage::Ticket, &edited).is_none(), "byte {at}");
    }
    assert!(long.decrypt(Usage::Reply, &sealed).is_none(), "for another purpose");
    for len in 0..28 {
        assert!(long.decrypt(Usage::Ticket, &sealed[..len]).is_none());
    }
    // RFC 3962, appendix B, through both directions for each length around a block's.
    let short = key(17, "63686963 6B656E20 74657269 79616B69");
    for len in 0..80 {
        let text: Vec<u8> = (0..len).collect();
        let sealed = short.encrypt(Usage::Ticket, &[9; 16], &text);
        assert_eq!(sealed.len(), usize::from(len) + 28);
        assert_eq!(*short.decrypt(Usage::Ticket, &sealed).unwrap(), text);
    }
}

struct Realm {
    keytab: Keytab,
    realms: Realms,
    replays: ReplayCache,
    has_random_numbers: bool,
}

fn service_key(kind: EncryptionType) -> Key {
    Key::new(kind, &vec![0x77; kind.key_len()]).unwrap()
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

/// A keytab's entry, its length before it.
fn entry(
    realm: &str,
    parts: &[&str],
    short_version: u8,
    kind: u16,
    key: &[u8],
    version: Option<u32>,
) -> Vec<u8> {
    let mut bytes = (parts.len() as u16).to_be_bytes().to_vec();
    bytes.extend(counted(realm.as_bytes()));
    parts.iter().for_each(|part| bytes.extend(counted(part.as_bytes())));
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, short_version]);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(counted(key));
    bytes.extend(version.map_or(Vec::new(), |version| version.to_be_bytes().to_vec()));
    [&(bytes.len() as i32).to_be_bytes()[..], &bytes].concat()
}

fn keytab(entries: &[Vec<u8>]) -> Vec<u8> {
    [&[5, 2][..], &entries.concat()].concat()
}

impl Realm {
    fn new(kind: EncryptionType) -> Realm {
        let key = service_key(kind);
        let other = vec![0x78; kind.key_len()];
        let code = kind.code() as u16;
        let file = keytab(&[
            entry("HOME.TEST", &["host", "files.home.test"], 1, code, &other, None),
            entry("HOME.TEST", &["cifs", "files.home.test"], 1, code, key.as_bytes(), Some(1)),
        ]);
        Realm {
            keytab: Keytab::parse(&file).unwrap(),
            realms: Realms {
                trusted: vec!["FAR.TEST".into()],
                needs_pac: false,
                ..Realms::only("HOME.TEST")
            },
            replays: ReplayCache::new(100, 10),
            has_random_numbers: true,
        }
    }

    fn step(&mut self, acceptor: &mut Acceptor, token: &[u8]) -> Step {
        let mut enter = |print| -> Novelty { self.replays.enter(Instant::now(), print) };
        let mut fresh = || {
            let subkey = Zeroizing::new([0x44; 32]);
            self.has_random_numbers.then_some(Fresh { subkey, confounder: [0x55; 16], sequence: 0x8000_0007 })
        };
        let (keytab, realms) = (&self.keytab, &self.realms);
        let tickets = Some(Tickets { keytab, realms, fresh: &mut fresh, enter: &mut enter });
        acceptor.step(token, NOW, &mut Judges { passwords: None, tickets, strangers: Strangers::default() })
    }

    fn try_once(&mut self, request: &[u8]) -> Result<Established, Refusal> {
        match self.step(&mut acceptor(), &first_token(request)) {
            Step::Done(established) => Ok(established),
            Step::Refused(refusal) => Err(refusal),
            Step::Continue(_) => panic!("goes on"),
        }
    }
}

fn acceptor() -> Acceptor {
    Acceptor::new(TargetNames::standalone("files"), [1; 8])
}

fn alice() -> TicketClient {
    TicketClient::new(&service_key(EncryptionType::Aes256Sha1), "alice", "HOME.TEST", NOW)
}

fn refusal(change: impl FnOnce(&mut TicketClient)) -> Refusal {
    let mut client = alice();
    change(&mut client);
    match Realm::new(EncryptionType::Aes256Sha1).try_once(&client.request()) {
        Err(refusal) => refusal,
        Ok(established) => panic!("{} is let in", established.identity.user),
    }
}

fn check(expect: Kerberos, change: impl FnOnce(&mut TicketClient)) {
    assert_eq!(refusal(change).reason, Reason::Kerberos(expect));
}

#[test]
fn a_ticket_lets_in_and_the_reply_proves_the_service() {
    for kind in [17, 18, 19, 20].map(|code| EncryptionType::from_code(code).unwrap()) {
        let client = TicketClient::new(&service_key(kind), "alice", "HOME.TEST", NOW);
        let established = Realm::new(kind).try_once(&client.request()).unwrap();
        assert_eq!(established.identity.user, "alice");
        let reply = client.reply(&established.token).expect("a reply that the ticket's key opens");
        assert_eq!(reply.subkey.as_bytes(), &[0x44; 32][..kind.key_len()]);
        assert_eq!(established.session_key[..], *reply.subkey.as_bytes(), "{kind}");
        assert_eq!(reply.sequence, 0x8000_0007);
        let time = "A0 11 18 0F 32303235303831383134313332305A A1 05 02 03 01E240";
        assert_eq!(reply.time, hex(time), "the client's own");
        let ticket = established.ticket.unwrap();
        assert_eq!((ticket.ends, ticket.membership), (client.end(), None));
        assert_eq!(ticket.principal.to_string(), "alice@HOME.TEST");
    }
}

/// As the kernel's client: no reply is wanted, and the key is its own.
#[test]
fn who_wants_no_reply_keeps_the_own_key() {
    let mut client = alice();
    (client.options, client.gss_flags) = (0, Some(0));
    let established = Realm::new(EncryptionType::Aes256Sha1).try_once(&client.request()).unwrap();
    assert!(client.reply(&established.token).is_none());
    assert_eq!(established.session_key[..], *client.subkey.as_ref().unwrap().as_bytes());
    client.subkey = None;
    client.clock = 1;
    let established = Realm::new(EncryptionType::Aes256Sha1).try_once(&client.request()).unwrap();
    assert_eq!(established.session_key[..], *client.session_key.as_bytes());
}

#[test]
fn times_count() {
    check(Kerberos::Expired, |client| client.ends = 0);
    check(Kerberos::Expired, |client| client.ends = -10);
    check(Kerberos::Clock(std::time::Duration::from_secs(301)), |client| client.clock = 301);
    check(Kerberos::Clock(std::time::Duration::from_secs(301)), |client| client.clock = -301);
    check(Kerberos::NotYetValid, |client| client.starts = Some(301));
    check(Kerberos::NotYetValid, |client| (client.starts, client.authenticated) = (None, 400));
    check(Kerberos::NotYetValid, |client| client.ticket_flags = 1 << 24);
    let mut client = alice();
    (client.ends, client.clock, client.starts) = (1, 300, Some(300));
    assert!(Realm::new(EncryptionType::Aes256Sha1).try_once(&client.request()).is_ok());
    assert_eq!(refusal(|client| client.clock = 301).status(), NtStatus::TIME_DIFFERENCE_AT_DC);
    assert_eq!(refusal(|client| client.ends = 0).status(), NtStatus::LOGON_FAILURE);
}

#[test]
fn keys_count() {
    let kind = EncryptionType::Aes256Sha1;
    let service = "cifs/files.home.test@HOME.TEST".to_owned();
    check(Kerberos::NoKey { service: service.clone(), version: Some(1), kind }, |client| {
        client.service_key = Key::new(kind, &[0x79; 32]).unwrap();
    });
    check(Kerberos::NoKey { service, version: Some(1), kind: EncryptionType::Aes128Sha1 }, |client| {
        client.service_key = service_key(EncryptionType::Aes128Sha1);
    });
    check(Kerberos::BadAuthenticator, |client| client.claimed = Some("root"));
    check(Kerberos::Unsupported("user-to-user authentication"), |client| client.options = 1 << 30);
    check(Kerberos::Unsupported("a log-in in the style of DCE"), |client| client.gss_flags = Some(0x1002));
    check(Kerberos::Malformed, |client| client.gss_flags = None);
    // Another name and another version of the same key are no hindrance.
    let mut client = alice();
    (client.service, client.version) = (vec!["FILES$"], Some(9));
    assert!(Realm::new(kind).try_once(&client.request()).is_ok());
    // RC4 is named, so that somebody can mend it.
    let mut request = alice().request();
    let at = request.windows(4).rposition(|window| window == [0xa0, 3, 2, 1]).unwrap();
    assert_eq!(request[at + 4], 18);
    let at = request[..at].windows(4).rposition(|window| window == [0xa0, 3, 2, 1]).unwrap();
    request[at + 4] = 23;
    let refused = Realm::new(kind).try_once(&request).err().unwrap();
    assert_eq!(refused.reason, Reason::Kerberos(Kerberos::Encryption(23)));
    assert!(refused.reason.to_string().contains("needs AES keys"));
}

#[test]
fn realms_count() {
    check(Kerberos::Realm("ELSEWHERE.TEST".into()), |client| client.realm = "ELSEWHERE.TEST");
    check(Kerberos::Realm("FAR.TEST".into()), |client| {
        (client.realm, client.path) = ("FAR.TEST", b"ELSEWHERE.TEST");
    });
    // What stands outside of the encrypted part is the client's to write.
    check(Kerberos::Realm("FAR.TEST".into()), |client| {
        (client.realm, client.path, client.service_realm) = ("FAR.TEST", b"ELSEWHERE.TEST", "FAR.TEST");
    });
    check(Kerberos::Realm("HOME.TEST".into()), |client| client.path = b"ELSEWHERE.TEST");
    check(Kerberos::Nobody, |client| client.user = vec!["WELLKNOWN", "ANONYMOUS"]);
    check(Kerberos::Malformed, |client| client.user = vec!["alice@FAR.TEST"]);
    let user = |path: &'static [u8], flags| {
        let mut client = alice();
        (client.realm, client.path, client.ticket_flags) = ("FAR.TEST", path, flags);
        let established = Realm::new(EncryptionType::Aes256Sha1).try_once(&client.request()).unwrap();
        established.identity.user
    };
    assert_eq!(user(b"", 0), "alice@FAR.TEST");
    assert_eq!(user(b"ELSEWHERE.TEST", 1 << 19), "alice@FAR.TEST", "the KDC has checked the way");
}

#[test]
fn without_random_numbers_nobody_gets_a_key() {
    let mut realm = Realm::new(EncryptionType::Aes256Sha1);
    realm.has_random_numbers = false;
    let refused = realm.try_once(&alice().request()).err().unwrap();
    assert_eq!(refused.reason, Reason::Kerberos(Kerberos::NoRandomNumbers));
    assert_eq!(refused.status(), NtStatus::INSUFFICIENT_RESOURCES);
}

#[test]
fn who_logs_in_all_the_time_shuts_out_nobody_else() {
    let mut realm = Realm::new(EncryptionType::Aes256Sha1);
    realm.replays = ReplayCache::new(100, 3);
    let mut log_in = |user, clock| {
        let client = TicketClient::new(&service_key(EncryptionType::Aes256Sha1), user, "HOME.TEST", NOW);
        realm.try_once(&TicketClient { clock, ..client }.request()).map(drop)
    };
    for (clock, spelling) in [(0, "mallory"), (1, "Mallory"), (2, "MALLORY")] {
        assert!(log_in(spelling, clock).is_ok());
    }
    let refused = log_in("mallorY", 3).expect_err("a share without an end");
    assert_eq!(refused.reason, Reason::Kerberos(Kerberos::TooManyLogonsOf("mallorY".into())));
    assert_eq!(refused.status(), NtStatus::INSUFFICIENT_RESOURCES);
    assert!(log_in("alice", 0).is_ok());
}

#[test]
fn nothing_is_taken_twice() {
    let mut realm = Realm::new(EncryptionType::Aes256Sha1);
    let request = alice().request();
    assert!(realm.try_once(&request).is_ok());
    let refused = realm.try_once(&request).err().unwrap();
    assert_eq!(refused.reason, Reason::Kerberos(Kerberos::Replayed));
    assert_eq!(refused.status(), NtStatus::LOGON_FAILURE);
    let again = TicketClient { clock: 1, ..alice() };
    assert!(realm.try_once(&again.request()).is_ok(), "another authenticator for the same ticket");
    realm.replays = ReplayCache::new(0, 1);
    let refused = realm.try_once(&TicketClient { clock: 2, ..alice() }.request()).err().unwrap();
    assert_eq!(refused.status(), NtStatus::INSUFFICIENT_RESOURCES);
}

/// Windows may put a mechanism of its own before Kerberos: its list is to be signed then.
#[test]
fn a_second_choice_is_signed() {
    let other = [0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x1e];
    let (token, list) = neg_token_init(&[&other, MS_KERBEROS, KERBEROS, NTLMSSP], Some(b"for the other"));
    let begin = |realm: &mut Realm| {
        let (mut accepting, client) = (acceptor(), alice());
        let Step::Continue(asked) = realm.step(&mut accepting, &token) else { panic!("no answer") };
        assert!(asked.windows(11).any(|window| window == MS_KERBEROS), "named as the client does");
        let request = neg_token_resp(Some(&client.request()), None);
        let Step::Continue(replied) = realm.step(&mut accepting, &request) else { panic!("no reply") };
        (accepting, client.reply(&replied).unwrap())
    };
    let mut realm = Realm::new(EncryptionType::Aes256Sha1);
    let (mut accepting, reply) = begin(&mut realm);
    let signed = neg_token_resp(None, Some(&reply.sign(&list)));
    let Step::Done(established) = realm.step(&mut accepting, &signed) else { panic!("not let in") };
    let owed = wrap(0xa3, &wrap(0x04, &reply.expect(&list)));
    assert!(established.token.windows(owed.len()).any(|window| window == owed));
    assert_eq!(established.session_key[..], *reply.subkey.as_bytes());

    for last in [
        neg_token_resp(None, None),
        neg_token_resp(None, Some(&reply.sign(b"another list"))),
        neg_token_resp(None, Some(&reply.expect(&list))),
        neg_token_resp(None, Some(b"")),
    ] {
        let mut realm = Realm::new(EncryptionType::Aes256Sha1);
        let (mut accepting, _) = begin(&mut realm);
        let Step::Refused(refused) = realm.step(&mut accepting, &last) else { panic!("let in") };
        assert_eq!(refused.reason, Reason::BadMechanismList);
    }
}

#[test]
fn ntlm_that_is_off_is_refused_by_name() {
    let mut realm = Realm::new(EncryptionType::Aes256Sha1);
    let client = smb_raw::ntlm::Client::default();
    for token in [client.negotiate(), neg_token_init(&[NTLMSSP], Some(&client.negotiate())).0] {
        let Step::Refused(refused) = realm.step(&mut acceptor(), &token) else { panic!("goes on") };
        assert_eq!((&refused.reason, refused.status()), (&Reason::NtlmBlocked, NtStatus::NTLM_BLOCKED));
    }
    // Who would rather have NTLM is led to Kerberos.
    let (token, _) = neg_token_init(&[NTLMSSP, KERBEROS], Some(&client.negotiate()));
    assert!(matches!(realm.step(&mut acceptor(), &token), Step::Continue(_)));
}

fn with(pac: Vec<u8>) -> TicketClient {
    TicketClient { authorization: Some(with_pac(&pac)), ..alice() }
}

fn good_pac() -> pac::PacMaker {
    pac::PacMaker::new("alice", alice().at(-60))
}

#[test]
fn a_pac_says_who_it_is() {
    let kind = EncryptionType::Aes256Sha1;
    let pac = good_pac().sign(&service_key(kind));
    let established = Realm::new(kind).try_once(&with(pac).request()).unwrap();
    let membership = established.ticket.unwrap().membership.unwrap();
    assert_eq!(membership.user.to_string(), "S-1-5-21-1-2-3-1104");
    let groups: Vec<_> = membership.groups.iter().map(ToString::to_string).collect();
    assert_eq!(
        groups,
        ["S-1-5-21-1-2-3-513", "S-1-5-21-1-2-3-1105", "S-1-18-1", "S-1-5-21-9-9-9-1106"],
        "the primary one first, each once, none of the machine's, none that only denies"
    );
    let denies: Vec<_> = membership.deny_only.iter().map(ToString::to_string).collect();
    assert_eq!(denies, ["S-1-5-21-1-2-3-1107"]);
    // A KDC that is no domain controller signs a PAC, but says nothing of SIDs in it.
    let mut bare = good_pac();
    bare.says_sids = false;
    let established = Realm::new(kind).try_once(&with(bare.sign(&service_key(kind))).request()).unwrap();
    assert_eq!(established.ticket.unwrap().membership, None);
}

/// Any user of a domain may make the machine `root$` there and ask for a ticket for `root`.
#[test]
fn a_ticket_for_one_name_and_of_another_account_is_refused() {
    let kind = EncryptionType::Aes256Sha1;
    let attempt = |name: &'static str, account: &str| {
        let mut client = TicketClient::new(&service_key(kind), name, "HOME.TEST", NOW);
        let maker = pac::PacMaker { account: account.into(), ..pac::PacMaker::new(name, client.at(-60)) };
        client.authorization = Some(with_pac(&maker.sign(&service_key(kind))));
        Realm::new(kind).try_once(&client.request())
    };
    for (name, account) in [("root", "root$"), ("alice", "bob"), ("alice", ""), ("kate", "\u{212A}ate")] {
        let refused = attempt(name, account).err().expect("let in");
        let why = Kerberos::AnotherAccount { name: name.into(), account: format!("HOME\\{account}") };
        assert_eq!((&refused.reason, refused.status()), (&Reason::Kerberos(why), NtStatus::LOGON_FAILURE));
    }
    // A domain's user is of the domain: nobody's name here.
    assert_eq!(attempt("root$", "ROOT$").unwrap().identity.user, "root$@HOME.TEST");
    assert_eq!(attempt("Jürgen", "JÜRGEN").unwrap().identity.user, "Jürgen@HOME.TEST");
}

#[test]
fn a_domain_can_have_no_ticket_without_a_pac() {
    let kind = EncryptionType::Aes256Sha1;
    let mut realm = Realm::new(kind);
    realm.realms.needs_pac = true;
    let refused = realm.try_once(&alice().request()).err().unwrap();
    assert_eq!(refused.reason, Reason::Kerberos(Kerberos::NoPac("alice@HOME.TEST".into())));
    assert_eq!(refused.status(), NtStatus::LOGON_FAILURE);
    assert!(refused.reason.to_string().contains("pac = \"optional\""));
    assert!(realm.try_once(&with(good_pac().sign(&service_key(kind))).request()).is_ok());
    // MIT's says nothing of SIDs; the realm's names are all there is.
    let bare = pac::PacMaker { says_sids: false, ..good_pac() };
    let later = TicketClient { clock: 1, ..with(bare.sign(&service_key(kind))) };
    assert_eq!(realm.try_once(&later.request()).unwrap().identity.user, "alice");
}

#[test]
fn a_pac_that_is_not_ours_ends_the_log_in() {
    let kind = EncryptionType::Aes256Sha1;
    let refused = |client: TicketClient| {
        Realm::new(kind).try_once(&client.request()).err().map(|refusal| refusal.reason)
    };
    let bad = Some(Reason::Kerberos(Kerberos::BadPac));
    let ours = service_key(kind);
    let pac = good_pac().sign(&ours);
    for at in 0..pac.len() {
        let mut edited = pac.clone();
        edited[at] ^= 1;
        // The domain's signature is for the domain, and zero when ours is made; what stands between buffers is
        // signed too.
        let is_domains = good_pac().kdc_signature().contains(&at);
        assert_eq!(refused(with(edited)), if is_domains { None } else { bad.clone() }, "byte {at}");
    }
    assert_eq!(refused(with(good_pac().sign(&Key::new(kind, &[0x78; 32]).unwrap()))), bad);
    assert_eq!(refused(with(pac::PacMaker::new("bob", alice().at(-60)).sign(&ours))), bad);
    assert_eq!(refused(with(pac::PacMaker::new("alice", alice().at(-61)).sign(&ours))), bad);
    let mut crowd = good_pac();
    crowd.groups =
        (0..=MAX_GROUPS as u32).map(|id| (2000 + id, if id % 2 == 0 { 7 } else { 0x10 })).collect();
    let crowded = Some(Reason::Kerberos(Kerberos::TooManyGroups));
    assert_eq!(refused(with(crowd.sign(&ours))), crowded);
    // An element that may not be passed over, and that nobody knows here.
    let unknown = TicketClient { authorization: Some(wrap(0x30, &element(4, b"?"))), ..alice() };
    assert_eq!(refused(unknown), Some(Reason::Kerberos(Kerberos::Malformed)));
}

#[test]
fn keytabs_are_read_as_they_are_written() {
    let aes = |realm, parts: &[&str], short, version| entry(realm, parts, short, 18, &[1; 32], version);
    let hole = [&(-3i32).to_be_bytes()[..], &[1, 2, 3]].concat();
    let file = keytab(&[
        aes("HOME.TEST", &["cifs", "files"], 3, None),
        hole,
        entry("HOME.TEST", &["cifs", "files"], 3, 23, &[2; 16], None),
        aes("HOME.TEST", &["FILES$"], 4, Some(260)),
        aes("HOME.TEST", &["FILES$"], 5, Some(0)),
        vec![0; 9],
    ]);
    let keytab_read = Keytab::parse(&file).unwrap();
    let seen: Vec<_> =
        keytab_read.entries().iter().map(|entry| (entry.principal.to_string(), entry.version)).collect();
    let expect = [("cifs/files@HOME.TEST", 3), ("FILES$@HOME.TEST", 260), ("FILES$@HOME.TEST", 5)];
    assert_eq!(seen, expect.map(|(name, version)| (name.to_owned(), version)));
    assert_eq!(keytab_read.passed_over(), 1);

    let bad = |file: &[u8]| Keytab::parse(file).err();
    assert_eq!(bad(b""), Some(KeytabError::NotAKeytab));
    assert_eq!(bad(&[5, 1, 0, 0]), Some(KeytabError::NotAKeytab));
    assert_eq!(bad(&[5, 2]), Some(KeytabError::NoUsableKey(0)));
    assert_eq!(bad(&file[..20]), Some(KeytabError::Malformed));
    let rc4 = keytab(&[entry("HOME.TEST", &["cifs", "files"], 3, 23, &[2; 16], None)]);
    assert_eq!(bad(&rc4), Some(KeytabError::NoUsableKey(1)));
    let short_key = keytab(&[entry("HOME.TEST", &["cifs", "files"], 3, 18, &[2; 31], None)]);
    assert_eq!(bad(&short_key), Some(KeytabError::Malformed));
}

/// What stands in a request outside of its encrypted parts says nothing of who the user is: whatever becomes of it, the
/// log-in is the same or none, and what is refused stays so.
#[test]
fn edited_requests_end_in_an_answer() {
    let kind = EncryptionType::Aes256Sha1;
    let way = TicketClient { realm: "FAR.TEST", path: b"ELSEWHERE.TEST", ..alice() };
    let machine = pac::PacMaker { account: "alice$".into(), ..good_pac() };
    let bad = [way, with(machine.sign(&service_key(kind)))].map(|client| client.request());
    let good = with(good_pac().sign(&service_key(kind)));
    let log_in = |request: &[u8]| {
        let established = Realm::new(kind).try_once(request).ok()?;
        let key = good.reply(&established.token).expect("a reply").subkey;
        assert_eq!(established.session_key[..], *key.as_bytes());
        Some((established.identity.user, established.ticket))
    };
    let request = good.request();
    let unedited = log_in(&request);
    assert!(unedited.is_some());
    for (request, expect) in [(&request, &unedited), (&bad[0], &None), (&bad[1], &None)] {
        assert_eq!(log_in(request), *expect);
        for (at, bit) in (0..request.len()).flat_map(|at| [1, 0x20, 0x40].map(|bit| (at, bit))) {
            let mut edited = request.clone();
            edited[at] ^= bit;
            let log_in = log_in(&edited);
            assert!(log_in.is_none() || log_in == *expect, "byte {at}: {log_in:?}");
        }
    }
    for at in 0..request.len() {
        assert!(log_in(&request[..at]).is_none(), "cut at {at}");
    }
}
