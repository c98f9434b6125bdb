//! What may stand in `[alerts]`, and what is said of the rest.

use super::*;
use std::os::unix::fs::PermissionsExt;

/// A directory with a secret and a certificate, and `[alerts]` with `text`.
fn parse(text: &str) -> Result<AlertSettings, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    for (name, mode) in [("pw", 0o600), ("open", 0o644)] {
        std::fs::write(dir.path().join(name), "swordfish\n").unwrap();
        std::fs::set_permissions(dir.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    std::fs::write(dir.path().join("empty.pem"), "").unwrap();
    let head = "[node]\nname = \"a\"\nstate = \"s\"\n[volume.v]\norigin = \"file:///srv\"\n[alerts]\n";
    let config = Config::parse(&dir.path().join("f.toml"), &format!("{head}{text}"))?;
    Ok(config.alerts.unwrap())
}

const MAIL: &str = "mail = { to = [\"a@x.example\"], from = \"b@x.example\", server = \"smtp.example\"";

#[track_caller]
fn refused(text: &str, expect: &str) {
    let error = parse(text).expect_err(text);
    assert!(error.message().contains(expect), "{error}");
    assert!(error.line().is_some_and(|line| line >= 6), "{error}");
}

#[test]
fn defaults() {
    let alerts = parse("").unwrap();
    let (minute, day) = (Duration::from_secs(60), Duration::from_secs(86_400));
    assert_eq!((alerts.after, alerts.remind, alerts.syslog), (minute, day, true));
    let alerts = parse(&format!("after = \"0s\"\nremind = \"1h\"\nsyslog = false\n{MAIL} }}")).unwrap();
    assert_eq!((alerts.after, alerts.remind, alerts.syslog), (Duration::ZERO, 60 * minute, false));
    let mail = alerts.mail.unwrap();
    assert_eq!(
        (mail.tls, mail.server.host.as_str(), mail.server.port),
        (MailTls::Implicit, "smtp.example", None)
    );
    let login =
        parse(&format!("{MAIL}, tls = \"starttls\", user = \"u\", password = {{ file = \"pw\" }} }}"));
    let mail = login.unwrap().mail.unwrap();
    assert_eq!((mail.tls, mail.login.unwrap().0.as_str()), (MailTls::StartTls, "u"));
    let hook = parse("webhook = { url = \"https://h.example/x\", token = { file = \"pw\" } }").unwrap();
    assert_eq!(hook.webhook.unwrap().url.shown(), "https://h.example");
}

#[test]
fn what_leads_nowhere_is_refused() {
    refused("syslog = false", "nobody would be told; add mail or webhook");
    refused("remind = \"1s\"", "at least \"1m\"");
    refused("sislog = true", "unknown key `sislog`");
    refused("mail = { to = [], server = \"s\" }", "1 to 20 recipients");
    refused("mail = { to = [\"a\"], server = \"s\" }", "\"a\" is not an address");
    refused("mail = { to = [\"a@x\"], from = \"b\", server = \"s\" }", "\"b\" is not an address");
    refused("mail = { to = [\"a@x\"], from = \"b@x\", server = \"s:0\" }", "is not HOST or HOST:PORT");
    refused("mail = { to = [\"a@x\"] }", "missing key `server`");
    refused(&format!("{MAIL}, tls = \"ssl\" }}"), "unknown variant `ssl`");
    refused(&format!("{MAIL}, user = \"u\" }}"), "add password = { file");
    refused(&format!("{MAIL}, password = {{ file = \"pw\" }} }}"), "add user");
    refused(&format!("{MAIL}, user = \"u\", password = {{ file = \"open\" }} }}"), "chmod 600");
    refused(&format!("{MAIL}, user = \"u\", password = \"swordfish\" }}"), "does not belong into this file");
    let clear = "tls = \"none\", user = \"u\", password = { file = \"pw\" }";
    refused(&format!("{MAIL}, {clear} }}"), "does not go without TLS");
    refused(&format!("{MAIL}, ca = \"empty.pem\" }}"), "no certificate in it");
    refused("webhook = { url = \"h.example\" }", "is not a URL to post to");
    refused("webhook = { url = \"http://h.example\", ca = \"empty.pem\" }", "http:// has no TLS");
    refused("webhook = { url = \"https://h.example\", token = { file = \"none\" } }", "No such file");
}

#[test]
fn what_can_be_said_against_it() {
    let risks = |text: &str| -> Vec<_> {
        let described = parse(&format!("syslog = false\n{text}")).unwrap().described();
        described.into_iter().map(|(_, detail, risk)| (detail, risk.is_some())).collect()
    };
    let mail = |detail: &str, risk| vec![(format!("to a@x.example by {detail} over smtp.example"), risk)];
    assert_eq!(risks(&format!("{MAIL} }}")), mail("TLS", false));
    assert_eq!(risks(&format!("{MAIL}, tls = \"none\" }}")), mail("plain SMTP", true));
    assert_eq!(risks("webhook = { url = \"http://h.example/x\" }"), [("http://h.example".to_owned(), true)]);
}
