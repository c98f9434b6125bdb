//! Log-ins by ticket over the wire: the keys that follow, what a replay gets, and the end of a ticket.

use crate::durable::{GUID, create, durability, hello_for_good, reconnect};
use crate::leases::renaming;
use crate::site::{ALICE, Site, User};
use front_smb::{KerberosConfig, OpenRecords, People, ServerConfig, Share};
use smb_core::kerberos::{EncryptionType, Key, Keytab, Realms};
use smb_core::spnego::{ClientToken, Mechanism, decode};
use smb_raw::kerberos::pac::PacMaker;
use smb_raw::kerberos::{TicketClient, first_token, with_pac};
use smb_raw::ntlm::NOBODY;
use smb_raw::{Client, Fault, Logon, Reply, Session, offer, requests};
use smb_wire::create::CreateRequest;
use smb_wire::create::context::{CreateContext, DurableFlags};
use smb_wire::negotiate::{Dialect, NegotiateRequest};
use smb_wire::session_setup::SessionSetupResponse;
use smb_wire::{FileTime, NtStatus, Request};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use volume::Time;

fn service_key() -> Key {
    Key::new(EncryptionType::Aes256Sha1, &[0x77; 32]).unwrap()
}

/// A keytab with that key alone.
fn keytab(key: &Key) -> Keytab {
    let counted = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let names = [counted(b"HOME.TEST"), counted(b"cifs"), counted(b"files.home.test")].concat();
    let rest = [&[0, 0, 0, 1, 0, 0, 0, 0, 1][..], &18u16.to_be_bytes(), &counted(key.as_bytes())].concat();
    let entry = [&2u16.to_be_bytes()[..], &names, &rest].concat();
    Keytab::parse(&[&[5, 2][..], &(entry.len() as u32).to_be_bytes(), &entry].concat()).unwrap()
}

async fn site(ntlm: bool) -> Site {
    Site::with(|config| {
        let realms = Realms { needs_pac: false, ..Realms::only("HOME.TEST") };
        config.kerberos = Some(KerberosConfig { keytab: keytab(&service_key()), realms });
        config.ntlm = ntlm;
        config.anonymous = ntlm;
    })
    .await
}

fn ticket(user: &'static str) -> TicketClient {
    TicketClient::new(&service_key(), user, "HOME.TEST", now())
}

/// One leg, or the status that it was refused with.
async fn show(
    client: &mut Client<TcpStream>,
    logon: &mut Logon<'_>,
    request: &[u8],
) -> Result<(Reply, Vec<u8>), NtStatus> {
    logon.preauth = client.preauth;
    let reply = client.leg(logon, &first_token(request)).await.unwrap();
    if reply.status() != NtStatus::SUCCESS {
        return Err(reply.status());
    }
    let token = SessionSetupResponse::decode(&reply.message).unwrap().security_buffer.to_vec();
    Ok((reply, token))
}

/// A session by ticket, whose keys the server has proved to know.
pub async fn log_in(site: &Site, who: &TicketClient) -> Result<(Client<TcpStream>, Session), NtStatus> {
    log_in_by(site, who, offer(&[Dialect::SMB_3_1_1])).await
}

async fn log_in_by(
    site: &Site,
    who: &TicketClient,
    hello: NegotiateRequest,
) -> Result<(Client<TcpStream>, Session), NtStatus> {
    let mut client = site.greet(hello).await;
    let mut logon = Logon::new(&ALICE);
    let (reply, token) = show(&mut client, &mut logon, &who.request()).await?;
    let key = who.reply(&token).expect("a reply").subkey;
    let mut session = Session::new(logon.id, client.agreed.unwrap(), key.as_bytes(), &logon.preauth);
    session.proven = session.signer.verify(&reply.message);
    assert!(session.proven, "the answer is signed with the key of the reply");
    client.knows(&session);
    Ok((client, session))
}

pub async fn tree(client: &mut Client<TcpStream>, session: &Session) -> NtStatus {
    client.call(session, 0, &requests::tree_connect("share")).await.unwrap().status()
}

#[tokio::test]
async fn a_ticket_opens_a_session_and_its_whole_key_counts() {
    let site = site(true).await;
    let (mut client, session) = log_in(&site, &ticket("alice")).await.unwrap();
    assert_eq!(tree(&mut client, &session).await, NtStatus::SUCCESS);
    // Sealed with AES-256, whose keys come of all 32 bytes.
    assert_eq!(tree(&mut client, &session.sealing()).await, NtStatus::SUCCESS);
    assert_eq!(site.server.status().users[0].user, "alice");
    // The same user by password.
    site.log_in(&ALICE).await;
}

#[tokio::test]
async fn the_same_request_over_again_is_refused() {
    let site = site(true).await;
    let request = ticket("alice").request();
    let mut client = site.greet(offer(&[Dialect::SMB_3_1_1])).await;
    assert!(show(&mut client, &mut Logon::new(&ALICE), &request).await.is_ok());
    let mut other = site.greet(offer(&[Dialect::SMB_3_1_1])).await;
    let again = show(&mut other, &mut Logon::new(&ALICE), &request).await;
    assert_eq!(again.err(), Some(NtStatus::LOGON_FAILURE));
    let late = TicketClient { ends: -1, ..ticket("alice") };
    assert_eq!(log_in(&site, &late).await.err(), Some(NtStatus::LOGON_FAILURE));
    let wrong_clock = TicketClient { clock: 400, ..ticket("alice") };
    assert_eq!(log_in(&site, &wrong_clock).await.err(), Some(NtStatus::TIME_DIFFERENCE_AT_DC));
}

#[tokio::test]
async fn ntlm_that_is_off_is_neither_offered_nor_taken() {
    let site = site(false).await;
    let mut client = site.connect().await;
    let hint = client.negotiate(offer(&[Dialect::SMB_3_1_1])).await.unwrap().security_buffer;
    let Some(ClientToken::Init(hint)) = decode(&hint) else { panic!("no hint") };
    assert_eq!(hint.choices, [Some(Mechanism::MsKerberos), Some(Mechanism::Kerberos)]);
    match client.log_in(&ALICE).await {
        Err(Fault::Refused(status)) => assert_eq!(status, NtStatus::NTLM_BLOCKED),
        _ => panic!("a password is taken"),
    }
    assert!(log_in(&site, &ticket("alice")).await.is_ok());
}

#[tokio::test]
async fn another_keytab_counts_from_the_next_log_in_on() {
    let site = site(true).await;
    let (mut client, session) = log_in(&site, &ticket("alice")).await.unwrap();
    let other = Key::new(EncryptionType::Aes256Sha1, &[0x66; 32]).unwrap();
    site.server.renew_keytab(keytab(&other));
    assert_eq!(log_in(&site, &ticket("alice")).await.err(), Some(NtStatus::LOGON_FAILURE));
    let new = TicketClient { service_key: other, clock: 1, ..ticket("alice") };
    assert!(log_in(&site, &new).await.is_ok());
    assert_eq!(tree(&mut client, &session).await, NtStatus::SUCCESS);
}

#[tokio::test]
async fn a_session_ends_with_its_ticket_and_goes_on_with_another() {
    let site = site(true).await;
    let short = TicketClient { ends: 2, ..ticket("alice") };
    let (mut client, session) = log_in(&site, &short).await.unwrap();
    assert_eq!(tree(&mut client, &session).await, NtStatus::SUCCESS);
    let left = Duration::from_nanos(short.end().0.saturating_sub(now().0) * 100);
    tokio::time::sleep(left + Duration::from_millis(10)).await;
    assert_eq!(tree(&mut client, &session).await, NtStatus::NETWORK_SESSION_EXPIRED);
    let echo = client.call(&session, 0, &Request::Echo(smb_wire::echo::EchoRequest)).await.unwrap();
    assert_eq!(echo.status(), NtStatus::SUCCESS);

    // To log in as nobody proves nothing, and prolongs nothing.
    let mut logon = Logon::again(&NOBODY, &session);
    let challenge = client.challenge(&mut logon).await.unwrap();
    client.careless = true;
    assert!(client.answer(logon, &challenge).await.is_ok());
    assert_eq!(tree(&mut client, &session).await, NtStatus::NETWORK_SESSION_EXPIRED);

    let again = ticket("alice");
    let mut logon = Logon::again(&ALICE, &session);
    assert!(show(&mut client, &mut logon, &again.request()).await.is_ok());
    assert_eq!(tree(&mut client, &session).await, NtStatus::SUCCESS, "with the keys that it has");
}

/// `user` of a domain: number 1104 there, in the group 1105, and in 1107, which only denies.
pub fn domain_ticket(user: &'static str) -> TicketClient {
    let who = ticket(user);
    let pac = PacMaker::new(user, who.at(-60)).sign(&service_key());
    TicketClient { authorization: Some(with_pac(&pac)), ..who }
}

/// A server for the users of a domain.
pub async fn domain_site(
    local_names: bool,
    change: impl FnOnce(&mut ServerConfig),
    change_share: impl FnOnce(&mut Share),
) -> Site {
    domain_site_over(testkit::MemVolume::new(), local_names, change, change_share).await
}

async fn domain_site_over(
    volume: Arc<testkit::MemVolume>,
    local_names: bool,
    change: impl FnOnce(&mut ServerConfig),
    change_share: impl FnOnce(&mut Share),
) -> Site {
    let vfs = vfs::Vfs::new(volume, vfs::VfsConfig::default());
    let of_domain = |config: &mut ServerConfig| {
        let realms = Realms { local_names, ..Realms::only("HOME.TEST") };
        config.kerberos = Some(KerberosConfig { keytab: keytab(&service_key()), realms });
        change(config);
    };
    Site::made(vfs, of_domain, change_share).await
}

#[tokio::test]
async fn a_share_admits_by_name_and_by_sid() {
    let admits = async |people: &[&str], local_names| {
        let site = domain_site(local_names, |_| {}, |share| share.users = People::new(people)).await;
        let (mut client, session) = log_in(&site, &domain_ticket("carol")).await.unwrap();
        tree(&mut client, &session).await
    };
    assert_eq!(admits(&["Carol@home.test"], false).await, NtStatus::SUCCESS);
    assert_eq!(admits(&["S-1-5-21-1-2-3-1105"], false).await, NtStatus::SUCCESS);
    assert_eq!(admits(&["bob", "S-1-5-21-1-2-3-1107"], false).await, NtStatus::ACCESS_DENIED);
    assert_eq!(admits(&["carol"], false).await, NtStatus::ACCESS_DENIED, "another of that name");
    assert_eq!(admits(&["carol"], true).await, NtStatus::SUCCESS, "the operator says that it is the same");
}

#[tokio::test]
async fn a_ticket_of_a_domain_has_a_pac_or_is_refused() {
    let site = domain_site(false, |_| {}, |_| {}).await;
    assert_eq!(log_in(&site, &ticket("alice")).await.err(), Some(NtStatus::LOGON_FAILURE));
    assert!(log_in(&site, &domain_ticket("alice")).await.is_ok());
}

/// Nobody but a ticket says who carol is, and after a start there is none.
#[tokio::test]
async fn a_persistent_open_of_a_user_whom_a_ticket_made_known_survives_the_server() {
    let (volume, state) = (testkit::MemVolume::new(), tempfile::tempdir().unwrap());
    let start = async || {
        let records = |config: &mut ServerConfig| {
            config.records = Some(OpenRecords::open(&state.path().join("opens.db")).unwrap());
        };
        let available = |share: &mut Share| share.continuously_available = true;
        domain_site_over(volume.clone(), false, records, available).await
    };
    let carol = async |site: &Site| {
        let (client, session) = log_in_by(site, &domain_ticket("carol"), hello_for_good()).await.unwrap();
        User::enter(client, session).await
    };
    let flags = DurableFlags::PERSISTENT;
    let before = start().await;
    let context = CreateContext::DurableRequestV2 { timeout_ms: 30_000, flags, create_guid: GUID };
    let request = CreateRequest { contexts: vec![context], ..requests::create("file") };
    let opened = create(&mut carol(&before).await, request).await.unwrap();
    assert_eq!(durability(&opened), Some((30_000, flags)));
    std::mem::forget(before);

    let after = start().await;
    let mut carol = carol(&after).await;
    let back = create(&mut carol, reconnect(opened.file_id, GUID, flags)).await.unwrap();
    assert_eq!(carol.status(&renaming(back.file_id, "renamed")).await, NtStatus::SUCCESS);
}

fn now() -> FileTime {
    let (seconds, nanoseconds) = Time::now().to_parts();
    FileTime::from_unix(seconds, nanoseconds)
}
