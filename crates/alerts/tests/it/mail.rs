//! E-mail.

use crate::certificate::Certificate;
use crate::smtp::{LOGIN, Server, Taken, Tls, UNKNOWN};
use crate::{config, fails, raise, secret, test};
use alerts::{Alerts, Config, Mail, MailTls};

fn mail(server: &Server, certificate: &Certificate, tls: MailTls) -> Mail {
    Mail {
        to: vec!["a@example.org".into()],
        from: None,
        server: alerts::Server { host: "localhost".into(), port: Some(server.port) },
        tls,
        login: (tls != MailTls::None).then(|| ("farshare".into(), secret("swordfish"))),
        ca: certificate.ca(),
    }
}

fn with(mail: Mail) -> Config {
    Config { mail: Some(mail), ..config() }
}

fn header<'a>(mail: &'a Taken, name: &str) -> &'a str {
    let line = mail.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {}", mail.text))
}

#[tokio::test]
async fn mail_goes_by_each_kind_of_tls() {
    let certificate = Certificate::of("localhost");
    for (offered, wanted, encrypted) in [
        (Tls::Implicit, MailTls::Implicit, true),
        (Tls::Offered, MailTls::StartTls, true),
        (Tls::Offered, MailTls::None, false),
        (Tls::None, MailTls::None, false),
    ] {
        let mut server = Server::start(offered, &certificate).await;
        let outcome = test(with(mail(&server, &certificate, wanted))).await;
        assert_eq!(outcome, Ok(()), "{wanted:?}");
        let taken = server.mails.recv().await.unwrap();
        assert_eq!((taken.encrypted, taken.hello.as_str()), (encrypted, "h.example"));
        assert_eq!(taken.login.as_deref(), encrypted.then_some(LOGIN));
        assert!(taken.from.starts_with("FROM:<farshare@h.example>"), "{}", taken.from);
        assert_eq!(taken.to, ["TO:<a@example.org>"]);
        assert_eq!(header(&taken, "Subject"), "[farshare dc1] test: nothing is wrong");
        assert_eq!(header(&taken, "Auto-Submitted"), "auto-generated");
        assert!(header(&taken, "Message-ID").ends_with("@h.example>"));
        assert!(taken.text.contains("somebody tries whether alerts arrive"), "{}", taken.text);
    }
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_that_was_to_be_encrypted() {
    let certificate = Certificate::of("localhost");
    let mut server = Server::start(Tls::None, &certificate).await;
    fails(test(with(mail(&server, &certificate, MailTls::StartTls))).await, "STARTTLS");
    let login = Some(("farshare".to_owned(), secret("swordfish")));
    let plain = Mail { login, ..mail(&server, &certificate, MailTls::None) };
    fails(test(with(plain)).await, "not sent without TLS");
    assert!(server.mails.try_recv().is_err());
}

#[tokio::test]
async fn strange_servers_are_not_believed() {
    let (certificate, other) = (Certificate::of("localhost"), Certificate::of("localhost"));
    for (offered, wanted) in [(Tls::Implicit, MailTls::Implicit), (Tls::Offered, MailTls::StartTls)] {
        let server = Server::start(offered, &certificate).await;
        fails(test(with(mail(&server, &other, wanted))).await, "invalid peer certificate");
        let named = Certificate::of("mail.example");
        let server = Server::start(offered, &named).await;
        fails(test(with(mail(&server, &named, wanted))).await, "not valid for name");
    }
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let certificate = Certificate::of("localhost");
    let server = Server::start(Tls::Implicit, &certificate).await;
    let good = || mail(&server, &certificate, MailTls::Implicit);
    let wrong = Mail { login: Some(("farshare".into(), secret("trout"))), ..good() };
    fails(test(with(wrong)).await, "wrong user or password");
    let locked: alerts::Secret = std::sync::Arc::new(|| Err("pw: Permission denied".into()));
    let unread = Mail { login: Some(("farshare".into(), locked)), ..good() };
    fails(test(with(unread)).await, "pw: Permission denied");
    let no_ca = Mail { ca: Some("/nonexistent/ca.pem".into()), ..good() };
    fails(test(with(no_ca)).await, "/nonexistent/ca.pem: ");
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let away =
        Mail { server: alerts::Server { host: "127.0.0.1".into(), port: Some(nobody.port()) }, ..good() };
    fails(test(with(away)).await, "refused");
}

#[tokio::test]
async fn an_address_that_is_refused_takes_nothing_from_the_others() {
    let certificate = Certificate::of("localhost");
    let mut server = Server::start(Tls::Implicit, &certificate).await;
    let to = ["a@example.org", UNKNOWN, "b@example.org"].map(str::to_owned).to_vec();
    let from = Some("storage@example.org".to_owned());
    let alerts = Alerts::start(with(Mail { to, from, ..mail(&server, &certificate, MailTls::Implicit) }));
    raise(&alerts);
    let (one, two) = (server.mails.recv().await.unwrap(), server.mails.recv().await.unwrap());
    let mut to = [one.to[0].as_str(), two.to[0].as_str()];
    to.sort_unstable();
    assert_eq!(to, ["TO:<a@example.org>", "TO:<b@example.org>"]);
    assert_eq!(one.text, two.text);
    assert_eq!(header(&one, "From"), "storage@example.org");
    assert!(header(&one, "To").contains("a@example.org, nobody@example.org"));
    // The subject is no ASCII: an encoded word. That it is one line, nobody else's header shows.
    assert!(header(&one, "Subject").starts_with("[farshare dc1] error: mirror/projects/b: no route to"));
    assert!(!one.text.contains("\nRCPT TO"), "{}", one.text);
    let test = alerts.test().await;
    let outcomes: Vec<_> = test.iter().map(|(name, outcome)| (name.as_str(), outcome.is_ok())).collect();
    let expect = [
        ("mail to a@example.org", true),
        ("mail to nobody@example.org", false),
        ("mail to b@example.org", true),
    ];
    assert_eq!(outcomes, expect);
}
