//! Log-ins against the acceptor: honest clients of every make, and clients that cheat.

use smb_core::acceptor::{Acceptor, Established, Judges, Reason, Refusal, Step};
use smb_core::ntlm::{self, Identity, NtHash, Strangers, TargetNames, nt_hash};
use smb_core::spnego::{Offer, server_hint};
use smb_wire::time::FileTime;

use crate::vector_file::hex;
use smb_raw::ntlm::{
    ANONYMOUS, Client, ESS, KEY_56, KEY_128, KEY_EXCHANGE, Mic, NO_LM_RESPONSE, NOBODY, OEM, SIGN, UNICODE,
    USUAL,
};
use smb_raw::spnego::{KERBEROS, MS_KERBEROS, NTLMSSP, neg_token_init, neg_token_resp};

fn lookup(identity: &Identity) -> Option<NtHash> {
    let known = [("alice", "correct horse"), ("guest", "correct horse"), ("éva", "ключ")];
    let user = identity.user.to_lowercase();
    known.iter().find(|(name, _)| *name == user).map(|(_, password)| nt_hash(password))
}

fn acceptor() -> Acceptor {
    Acceptor::new(TargetNames::standalone("files.example.net"), [1, 2, 3, 4, 5, 6, 7, 8])
}

fn step(acceptor: &mut Acceptor, token: &[u8]) -> Step {
    step_of(acceptor, token, Strangers::default())
}

/// Where such strangers may log in.
fn step_of(acceptor: &mut Acceptor, token: &[u8], strangers: Strangers) -> Step {
    let mut judges = Judges { passwords: Some(&mut lookup), tickets: None, strangers };
    acceptor.step(token, FileTime(132_000_000_000_000_000), &mut judges)
}

fn go_on(step: Step) -> Vec<u8> {
    match step {
        Step::Continue(token) => token,
        Step::Done(_) => panic!("done too early"),
        Step::Refused(refusal) => panic!("refused: {}", refusal.reason),
    }
}

fn refused(step: Step) -> Refusal {
    match step {
        Step::Refused(refusal) => refusal,
        Step::Continue(_) => panic!("goes on"),
        Step::Done(_) => panic!("let in"),
    }
}

fn done(step: Step) -> Established {
    match step {
        Step::Done(established) => established,
        Step::Continue(_) => panic!("goes on"),
        Step::Refused(refusal) => panic!("refused: {}", refusal.reason),
    }
}

const NAMELESS: Strangers = Strangers { anonymous: true, guests: false };
const GUESTS: Strangers = Strangers { anonymous: false, guests: true };

fn raw(client: &Client) -> (Step, [u8; 16]) {
    raw_of(client, Strangers::default())
}

fn raw_of(client: &Client, strangers: Strangers) -> (Step, [u8; 16]) {
    let mut acceptor = acceptor();
    let negotiate = client.negotiate();
    let challenge = go_on(step_of(&mut acceptor, &negotiate, strangers));
    let authenticated = client.authenticate(&negotiate, &challenge);
    (step_of(&mut acceptor, &authenticated.message, strangers), authenticated.session_key)
}

fn find_challenge(token: &[u8]) -> Vec<u8> {
    let at = token.windows(8).position(|window| window == b"NTLMSSP\0").expect("a challenge");
    token[at..].to_vec()
}

#[derive(Clone, Copy)]
enum ListMic {
    None,
    Right,
    Wrong,
}

/// The client's first choice is NTLM, sent along at once.
fn spnego(client: &Client, list_mic: ListMic) -> (Step, Vec<u8>, [u8; 16]) {
    let mut acceptor = acceptor();
    let negotiate = client.negotiate();
    let (init, list) = neg_token_init(&[NTLMSSP], Some(&negotiate));
    let reply = go_on(step(&mut acceptor, &init));
    let authenticated = client.authenticate(&negotiate, &find_challenge(&reply));
    (finish_spnego(&mut acceptor, client, &authenticated, &list, list_mic), list, authenticated.session_key)
}

fn finish_spnego(
    acceptor: &mut Acceptor,
    client: &Client,
    authenticated: &smb_raw::ntlm::Authenticated,
    list: &[u8],
    list_mic: ListMic,
) -> Step {
    let mut mic = client.mech_list_mic(&authenticated.session_key, "client-to-server", list);
    let mic = match list_mic {
        ListMic::None => None,
        ListMic::Right => Some(&mic[..]),
        ListMic::Wrong => {
            mic[6] ^= 1;
            Some(&mic[..])
        }
    };
    step(acceptor, &neg_token_resp(Some(&authenticated.message), mic))
}

#[test]
fn raw_ntlm_with_every_choice_of_flags() {
    let flags = [
        USUAL,
        USUAL & !KEY_EXCHANGE,
        USUAL & !KEY_128,
        USUAL & !(KEY_128 | KEY_56),
        USUAL & !ESS,
        USUAL & !SIGN,
        USUAL & !UNICODE | OEM,
        USUAL | OEM,
    ];
    for flags in flags {
        for mic in [Mic::Right, Mic::None] {
            let (step, session_key) = raw(&Client { flags, mic, ..Client::default() });
            let established = done(step);
            assert_eq!(established.session_key[..], session_key, "flags {flags:#x}");
            assert_eq!(established.token, b"");
            assert_eq!(established.identity.user, "alice");
            assert_eq!(established.identity.domain, "FAR");
            assert_eq!(established.identity.workstation, "BOX");
        }
    }
}

#[test]
fn names_in_other_cases_and_scripts() {
    for (user, password) in [("ALICE", "correct horse"), ("Éva", "ключ"), ("éva", "ключ")] {
        let (step, session_key) = raw(&Client { user, password, domain: "", ..Client::default() });
        assert_eq!(done(step).session_key[..], session_key, "{user}");
    }
}

#[test]
fn wrong_password_with_the_mic_announcement_cleared_is_refused() {
    for mic in [Mic::None, Mic::Right, Mic::Wrong, Mic::Missing] {
        let client = Client { password: "wrong", mic, ..Client::default() };
        let refusal = refused(raw(&client).0);
        assert_eq!(refusal.reason, Reason::Ntlm(ntlm::Refusal::BadCredentials));
        assert_eq!(refusal.identity.unwrap().user, "alice");
        for list_mic in [ListMic::None, ListMic::Right, ListMic::Wrong] {
            let refusal = refused(spnego(&client, list_mic).0);
            assert_eq!(refusal.reason, Reason::Ntlm(ntlm::Refusal::BadCredentials));
        }
    }
}

/// Taking the announcement out of an honest client's response breaks the proof that covers it.
#[test]
fn mic_announcement_cannot_be_stripped_on_the_way() {
    let client = Client::default();
    let mut acceptor = acceptor();
    let negotiate = client.negotiate();
    let challenge = go_on(step(&mut acceptor, &negotiate));
    let mut message = client.authenticate(&negotiate, &challenge).message;
    let pair = [6, 0, 4, 0, 2, 0, 0, 0];
    let at = message.windows(8).position(|window| window == pair).unwrap();
    message[at + 4] = 0;
    let refusal = refused(step(&mut acceptor, &message));
    assert_eq!(refusal.reason, Reason::Ntlm(ntlm::Refusal::BadCredentials));
}

#[test]
fn announced_mic_must_be_there_and_right() {
    for mic in [Mic::Wrong, Mic::Missing] {
        let refusal = refused(raw(&Client { mic, ..Client::default() }).0);
        assert_eq!(refusal.reason, Reason::Ntlm(ntlm::Refusal::BadMic));
    }
    // The client's NEGOTIATE was edited on the way: 128-bit keys taken out.
    let client = Client::default();
    let mut acceptor = acceptor();
    let edited = Client { flags: USUAL & !KEY_128, ..Client::default() }.negotiate();
    let challenge = go_on(step(&mut acceptor, &edited));
    let message = client.authenticate(&client.negotiate(), &challenge).message;
    assert_eq!(refused(step(&mut acceptor, &message)).reason, Reason::Ntlm(ntlm::Refusal::BadMic));
}

#[test]
fn unknown_user_gets_the_same_answer_as_a_wrong_password() {
    let unknown = refused(raw(&Client { user: "mallory", ..Client::default() }).0);
    let wrong = refused(raw(&Client { password: "wrong", ..Client::default() }).0);
    assert_eq!(unknown.reason, wrong.reason);
    assert_eq!(unknown.status(), wrong.status());
}

/// Refusing an unknown user works with a made-up hash; knowing that hash must not help.
#[test]
fn no_hash_lets_an_unknown_user_in() {
    for byte in 0..=255 {
        let client = Client { user: "mallory", nt_hash: Some([byte; 16]), ..Client::default() };
        assert_eq!(refused(raw(&client).0).reason, Reason::Ntlm(ntlm::Refusal::BadCredentials));
    }
}

#[test]
fn guest_anonymous_and_weak_responses_are_refused() {
    let reason = |client: &Client| refused(raw(client).0).reason;
    assert_eq!(reason(&Client { user: "Guest", ..Client::default() }), Reason::Ntlm(ntlm::Refusal::Guest));
    assert_eq!(reason(&Client { user: "", ..Client::default() }), Reason::Ntlm(ntlm::Refusal::Anonymous));
    let anonymous = Client { flags: USUAL | ANONYMOUS, ..Client::default() };
    assert_eq!(reason(&anonymous), Reason::Ntlm(ntlm::Refusal::Anonymous));

    let client = Client { mic: Mic::None, ..Client::default() };
    for (response, expected) in [
        (vec![7; 24], ntlm::Refusal::NotNtlmV2),
        (Vec::new(), ntlm::Refusal::NotNtlmV2),
        (vec![7; 44], ntlm::Refusal::NotNtlmV2),
        (vec![7; 60], ntlm::Refusal::Malformed),
    ] {
        let mut acceptor = acceptor();
        let challenge = go_on(step(&mut acceptor, &client.negotiate()));
        let message = client.authenticate_with(&[], &challenge, &response, [0; 16]).message;
        assert_eq!(refused(step(&mut acceptor, &message)).reason, Reason::Ntlm(expected));
    }
}

#[test]
fn nobody_is_let_in_where_that_is_allowed_and_by_a_key_that_is_no_secret() {
    let bare = Client { lm_response: &[], domain: "FAR", ..NOBODY };
    for client in [NOBODY, Client { flags: USUAL, ..NOBODY }, bare] {
        assert_eq!(refused(raw(&client).0).reason, Reason::Ntlm(ntlm::Refusal::Anonymous));
        let (step, session_key) = raw_of(&client, NAMELESS);
        let established = done(step);
        assert!(established.anonymous && established.identity.user.is_empty());
        assert_eq!(established.session_key[..], session_key, "the one that the client sent");
        let without = Client { flags: client.flags & !KEY_EXCHANGE, ..client };
        assert_eq!(done(raw_of(&without, NAMELESS).0).session_key[..], [0; 16]);
    }
}

/// Where nobody may log in, who gives a name, or any response, is judged by his password all the same.
#[test]
fn half_an_anonymous_log_in_is_none() {
    let alice = Client::default;
    for client in [
        Client { user: "alice", ..NOBODY },
        Client { user: "alice", flags: USUAL, ..NOBODY },
        Client { user: " ", flags: USUAL, ..NOBODY },
        Client { nt_response: Some(&[]), ..alice() },
        Client { nt_response: Some(&[0]), ..NOBODY },
        Client { nt_response: Some(&[0; 44]), ..NOBODY },
        Client { lm_response: &[1], ..NOBODY },
        Client { lm_response: &[0, 0], ..NOBODY },
        Client { lm_response: &NO_LM_RESPONSE, ..NOBODY },
        Client { user: "", ..alice() },
        Client { flags: USUAL | ANONYMOUS, ..alice() },
        Client { user: "guest", ..NOBODY },
    ] {
        let reason = refused(raw_of(&client, NAMELESS).0).reason;
        let expected = [ntlm::Refusal::Anonymous, ntlm::Refusal::NotNtlmV2].map(Reason::Ntlm);
        assert!(expected.contains(&reason), "{:?} {reason}", client.user);
    }
    assert!(!done(raw_of(&alice(), NAMELESS).0).anonymous);
    assert_eq!(
        refused(raw_of(&Client { password: "wrong", ..alice() }, NAMELESS).0).reason,
        Reason::Ntlm(ntlm::Refusal::BadCredentials)
    );
}

#[test]
fn another_challenges_response_is_refused() {
    let client = Client::default();
    let negotiate = client.negotiate();
    let challenge = go_on(step(&mut acceptor(), &negotiate));
    let message = client.authenticate(&negotiate, &challenge).message;
    let mut other = Acceptor::new(TargetNames::standalone("files.example.net"), [9; 8]);
    go_on(step(&mut other, &negotiate));
    let refusal = refused(step(&mut other, &message));
    assert_eq!(refusal.reason, Reason::Ntlm(ntlm::Refusal::BadCredentials));
}

#[test]
fn spnego_with_ntlm_first() {
    for flags in [USUAL, USUAL & !KEY_128, USUAL & !(KEY_128 | KEY_56), USUAL & !KEY_EXCHANGE] {
        let client = Client { flags, ..Client::default() };
        let (step, _, session_key) = spnego(&client, ListMic::None);
        let established = done(step);
        assert_eq!(established.session_key[..], session_key);
        assert_eq!(established.token, hex("a1 07 30 05 a0 03 0a 01 00"));

        let (step, list, session_key) = spnego(&client, ListMic::Right);
        let answer = client.mech_list_mic(&session_key, "server-to-client", &list);
        assert!(done(step).token.ends_with(&answer), "flags {flags:#x}");
    }
}

#[test]
fn edited_mechanism_list_is_refused() {
    let refusal = refused(spnego(&Client::default(), ListMic::Wrong).0);
    assert_eq!(refusal.reason, Reason::BadMechanismList);
    assert_eq!(refusal.identity.unwrap().user, "alice");
    // Without extended session security there are no keys to verify it with.
    let client = Client { flags: USUAL & !ESS, ..Client::default() };
    assert_eq!(refused(spnego(&client, ListMic::Right).0).reason, Reason::BadMechanismList);
}

/// Windows offers Kerberos first and sends a ticket along; we ask for NTLM and for a signed list.
#[test]
fn spnego_with_kerberos_first() {
    let client = Client::default();
    let negotiate = client.negotiate();
    for list_mic in [ListMic::Right, ListMic::None] {
        let mut acceptor = acceptor();
        let mechanisms = [MS_KERBEROS, KERBEROS, NTLMSSP];
        let (init, list) = neg_token_init(&mechanisms, Some(b"\x60\x06ticket"));
        let reply = go_on(step(&mut acceptor, &init));
        let selected = [&hex("a1 15 30 13 a0 03 0a 01 03 a1 0c")[..], NTLMSSP].concat();
        assert_eq!(reply, selected);
        let reply = go_on(step(&mut acceptor, &neg_token_resp(Some(&negotiate), None)));
        let authenticated = client.authenticate(&negotiate, &find_challenge(&reply));
        let established = done(finish_spnego(&mut acceptor, &client, &authenticated, &list, list_mic));
        assert_eq!(*established.session_key, authenticated.session_key);
    }
}

#[test]
fn spnego_without_a_first_token_or_without_ntlm() {
    let client = Client::default();
    let mut accepting = acceptor();
    let (init, list) = neg_token_init(&[NTLMSSP, KERBEROS], None);
    go_on(step(&mut accepting, &init));
    let reply = go_on(step(&mut accepting, &neg_token_resp(Some(&client.negotiate()), None)));
    let authenticated = client.authenticate(&client.negotiate(), &find_challenge(&reply));
    done(finish_spnego(&mut accepting, &client, &authenticated, &list, ListMic::Right));

    let (init, _) = neg_token_init(&[KERBEROS], None);
    assert_eq!(refused(step(&mut acceptor(), &init)).reason, Reason::NoCommonMechanism);
}

#[test]
fn tokens_out_of_place_end_the_log_in() {
    let client = Client::default();
    let bad = |token: &[u8]| assert_eq!(refused(step(&mut acceptor(), token)).reason, Reason::BadToken);
    bad(b"");
    bad(&[0x60; 70_000]);
    bad(&neg_token_resp(Some(&client.negotiate()), None));

    // An AUTHENTICATE first, a NEGOTIATE twice, anything after the end.
    let challenge = go_on(step(&mut acceptor(), &client.negotiate()));
    let authenticate = client.authenticate(&client.negotiate(), &challenge).message;
    let malformed = Reason::Ntlm(ntlm::Refusal::Malformed);
    assert_eq!(refused(step(&mut acceptor(), &authenticate)).reason, malformed);
    let mut accepting = acceptor();
    go_on(step(&mut accepting, &client.negotiate()));
    assert_eq!(refused(step(&mut accepting, &client.negotiate())).reason, malformed);
    assert_eq!(refused(step(&mut accepting, &authenticate)).reason, Reason::BadToken);
    let mut accepting = acceptor();
    go_on(step(&mut accepting, &client.negotiate()));
    done(step(&mut accepting, &authenticate));
    assert_eq!(refused(step(&mut accepting, &authenticate)).reason, Reason::BadToken);
}

/// The hint as Windows and Samba send it, NTLM being the only mechanism.
#[test]
fn hint_of_the_negotiate_response() {
    let expected = "60 48 06 06 2b 06 01 05 05 02 a0 3e 30 3c a0 0e 30 0c 06 0a 2b 06 01 04 01 82 37 02 02 0a
        a3 2a 30 28 a0 26 1b 24 6e 6f 74 5f 64 65 66 69 6e 65 64 5f 69 6e 5f 52 46 43 34 31 37 38 40 70 6c
        65 61 73 65 5f 69 67 6e 6f 72 65";
    assert_eq!(server_hint(Offer { kerberos: false, ntlm: true }), hex(expected));
}

/// Whatever the password: there is none to compare it with, and no key that both sides know.
#[test]
fn who_has_an_unknown_name_is_a_guest_where_guests_are_let_in() {
    for user in ["mallory", "Guest", "GUEST", "alicf", "Administrator"] {
        let client = Client { user, ..Client::default() };
        assert!(matches!(raw(&client).0, Step::Refused(_)), "{user}");
        for client in [client, Client { user, password: "", mic: Mic::None, ..Client::default() }] {
            let established = done(raw_of(&client, GUESTS).0);
            assert!(established.guest && !established.anonymous && !established.is_proved());
            assert_eq!(established.identity.user, user);
        }
    }
}

#[test]
fn a_user_never_becomes_a_guest() {
    let alice = Client::default;
    let reason = |client: &Client| refused(raw_of(client, GUESTS).0).reason;
    for client in [
        Client { password: "wrong", ..alice() },
        Client { password: "", ..alice() },
        Client { user: "ALICE", password: "", mic: Mic::None, ..alice() },
        Client { domain: "elsewhere", password: "wrong", ..alice() },
    ] {
        assert_eq!(reason(&client), Reason::Ntlm(ntlm::Refusal::BadCredentials), "{:?}", client.domain);
    }
    assert_eq!(reason(&Client { mic: Mic::Wrong, ..alice() }), Reason::Ntlm(ntlm::Refusal::BadMic));
    assert!(done(raw_of(&alice(), GUESTS).0).is_proved());
}

/// What he answers to the challenge is not looked at: clients without a password have no response, or a weak one.
#[test]
fn a_guest_need_not_answer_the_challenge() {
    let mallory = || Client { user: "mallory", mic: Mic::None, ..Client::default() };
    for client in [
        Client { nt_response: Some(&[]), lm_response: &[], ..mallory() },
        Client { nt_response: Some(&[7; 24]), ..mallory() },
        Client { flags: USUAL | ANONYMOUS, ..mallory() },
    ] {
        assert!(done(raw_of(&client, GUESTS).0).guest);
        let alice = Client { user: "alice", ..client };
        assert!(matches!(raw_of(&alice, GUESTS).0, Step::Refused(_)), "{:?}", alice.nt_response);
    }
    for nobody in [NOBODY, Client { user: "", ..Client::default() }] {
        assert_eq!(refused(raw_of(&nobody, GUESTS).0).reason, Reason::Ntlm(ntlm::Refusal::Anonymous));
    }
}

/// His signature of the mechanism list cannot be checked, and is not: he has nothing to lose by another list.
#[test]
fn a_guests_signature_of_the_mechanism_list_is_passed_over() {
    let mallory = Client { user: "mallory", ..Client::default() };
    let mut acceptor = acceptor();
    let negotiate = mallory.negotiate();
    let (init, _list) = neg_token_init(&[NTLMSSP], Some(&negotiate));
    let challenge = go_on(step_of(&mut acceptor, &init, GUESTS));
    let message = mallory.authenticate(&negotiate, &find_challenge(&challenge)).message;
    let last = neg_token_resp(Some(&message), Some(&[1; 16]));
    assert!(done(step_of(&mut acceptor, &last, GUESTS)).guest);
}
