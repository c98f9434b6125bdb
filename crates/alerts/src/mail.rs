//! E-mail by SMTP, one recipient at a time.

use crate::config::{Mail, MailTls};
use crate::line::{Channel, Failure};
use crate::message::Message;
use crate::{SEND_PATIENCE, text, tls};
use async_trait::async_trait;
use lettre::address::{Address, Envelope};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::sync::Arc;

/// Recipients of mails.
pub const RECIPIENTS_MAX: usize = 20;

/// A mail server: `HOST` or `HOST:PORT`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// `None`: what the kind of TLS has (465, 587, 25).
    pub port: Option<u16>,
}

impl Server {
    pub fn parse(text: &str) -> Result<Server, String> {
        let wrong = || format!("{text:?} is not HOST or HOST:PORT, for example \"smtp.example.org:465\"");
        let authority: hyper::http::uri::Authority = text.parse().map_err(|_| wrong())?;
        let port = match text.strip_prefix(authority.host()).ok_or_else(wrong)? {
            "" => None,
            rest => Some(rest.strip_prefix(':').and_then(|port| port.parse().ok()).ok_or_else(wrong)?),
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || port == Some(0) {
            return Err(wrong());
        }
        Ok(Server { host, port })
    }

    fn port(&self, tls: MailTls) -> u16 {
        self.port.unwrap_or(match tls {
            MailTls::Implicit => 465,
            MailTls::StartTls => 587,
            MailTls::None => 25,
        })
    }
}

/// Whether mail can go there: `name@example.org`.
pub fn check_address(text: &str) -> Result<(), String> {
    let address: Result<Address, _> = text.parse();
    address.map(drop).map_err(|_| format!("{text:?} is not an address, for example \"admin@example.org\""))
}

/// Who gets mail, and how.
pub struct Recipient {
    to: String,
    mail: Arc<Mail>,
    from: String,
    host: String,
}

impl Recipient {
    pub fn all(mail: &Mail, host: &str) -> Vec<Recipient> {
        let from = mail.from.clone().unwrap_or_else(|| format!("farshare@{host}"));
        let mail = Arc::new(mail.clone());
        let each = mail.to.iter().take(RECIPIENTS_MAX);
        let each = each.map(|to| Recipient {
            to: to.clone(),
            mail: mail.clone(),
            from: from.clone(),
            host: host.to_owned(),
        });
        each.collect()
    }

    async fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, Failure> {
        let Mail { server, tls, login, ca, .. } = &*self.mail;
        let tls_wanted = match tls {
            MailTls::None => Tls::None,
            MailTls::Implicit => Tls::Wrapper(parameters(&server.host, ca.clone()).await?),
            MailTls::StartTls => Tls::Required(parameters(&server.host, ca.clone()).await?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.clone())
            .port(server.port(*tls))
            .tls(tls_wanted)
            .hello_name(ClientId::Domain(self.host.clone()))
            .timeout(Some(SEND_PATIENCE));
        if let Some((user, password)) = login {
            if *tls == MailTls::None {
                return Err(Failure::refused("a password is not sent without TLS"));
            }
            let password = password.clone();
            let password = crate::blocking(move || password()).await.map_err(Failure::new)?;
            builder = builder.credentials(Credentials::new(user.clone(), password.as_str().to_owned()));
        }
        Ok(builder.build())
    }

    fn compose(&self, message: &Message) -> Result<lettre::Message, Failure> {
        let mailbox = |text: &str| -> Result<Mailbox, Failure> {
            let address =
                text.parse().map_err(|_| Failure::refused(format_args!("{text:?} is not an address")))?;
            Ok(Mailbox::new(None, address))
        };
        let mut builder = lettre::Message::builder()
            .from(mailbox(&self.from)?)
            .subject(text::subject(message))
            .date(message.at)
            .message_id(Some(format!("<{}>", message.id)))
            // Nobody's holiday notice is an answer to it (RFC 3834).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        for to in &self.mail.to {
            builder = builder.to(mailbox(to)?);
        }
        let part = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text::body(message));
        builder.singlepart(part).map_err(Failure::refused)
    }
}

#[async_trait]
impl Channel for Recipient {
    fn name(&self) -> String {
        format!("mail to {}", self.to)
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let address = |text: &str| text.parse::<Address>().map_err(Failure::refused);
        let envelope = Envelope::new(Some(address(&self.from)?), vec![address(&self.to)?]);
        let envelope = envelope.map_err(Failure::refused)?;
        let mail = self.compose(message)?.formatted();
        let sent = self.transport().await?.send_raw(&envelope, &mail).await;
        sent.map(drop).map_err(|cause| {
            let why = words(&cause);
            Failure { refused: cause.is_permanent(), why: format!("{}: {why}", self.mail.server.host) }
        })
    }
}

/// The error and what caused it: alone, the first says "Connection error".
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_words = next.to_string();
        if !words.contains(&next_words) {
            words = format!("{words}: {next_words}");
        }
        cause = next.source();
    }
    words
}

async fn parameters(host: &str, ca: Option<std::path::PathBuf>) -> Result<TlsParameters, Failure> {
    let mut parameters = TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::None);
    for root in tls::roots(ca).await.map_err(Failure::new)? {
        let root = Certificate::from_der(root.to_vec()).map_err(Failure::new)?;
        parameters = parameters.add_root_certificate(root);
    }
    parameters.build_rustls().map_err(Failure::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        let check = |text: &str, expect: Option<(&str, Option<u16>)>| {
            let got = Server::parse(text).ok();
            let got = got.as_ref().map(|server| (server.host.as_str(), server.port));
            assert_eq!(got, expect, "{text:?}");
        };
        check("smtp.example.org", Some(("smtp.example.org", None)));
        check("smtp.example.org:465", Some(("smtp.example.org", Some(465))));
        check("[2001:db8::1]:25", Some(("2001:db8::1", Some(25))));
        check("192.0.2.1:25", Some(("192.0.2.1", Some(25))));
        for bad in ["", ":25", "host:", "host:0", "host:99999", "user@host:25", "smtp://host", "a b"] {
            check(bad, None);
        }
    }

    #[test]
    fn addresses() {
        for good in ["a@example.org", "farshare@localhost", "a.b+c@example.org"] {
            assert!(check_address(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a", "@b", "a@", "a b@c", "a@b\r\nBcc: x@y", "A <a@b>", "a@b,c@d"] {
            assert!(check_address(bad).is_err(), "{bad:?}");
        }
    }
}
