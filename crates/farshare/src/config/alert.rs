//! `[alerts]`: who is told of serious errors. What may be written, what it means, and what is started with it.

use super::settle::{Source, beside};
use super::value::Span;
use super::*;
use alerts::{Alerts, MailTls, RECIPIENTS_MAX, Rules, Secret, Server, Url};
use serde::Deserialize;
use std::sync::Arc;
use toml::Spanned;

/// Shortest `remind`.
const REMIND_MIN: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    mail: Option<RawMail>,
    webhook: Option<RawWebhook>,
    syslog: Option<bool>,
    after: Option<Span>,
    remind: Option<Spanned<Span>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMail {
    to: Spanned<Vec<Spanned<String>>>,
    from: Option<Spanned<String>>,
    server: Spanned<String>,
    #[serde(default)]
    tls: RawTls,
    user: Option<Spanned<String>>,
    password: Option<Spanned<SecretFile>>,
    ca: Option<Spanned<PathBuf>>,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
enum RawTls {
    #[default]
    Implicit,
    StartTls,
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWebhook {
    url: Spanned<String>,
    token: Option<Spanned<SecretFile>>,
    ca: Option<Spanned<PathBuf>>,
}

/// `[alerts]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AlertSettings {
    mail: Option<MailSettings>,
    webhook: Option<WebhookSettings>,
    syslog: bool,
    after: Duration,
    remind: Duration,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct MailSettings {
    to: Vec<String>,
    from: Option<String>,
    server: Server,
    tls: MailTls,
    login: Option<(String, SecretFile)>,
    ca: Option<PathBuf>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct WebhookSettings {
    url: Url,
    token: Option<SecretFile>,
    ca: Option<PathBuf>,
}

pub(super) fn settle(source: &Source<'_>, raw: Spanned<Raw>) -> Result<AlertSettings, ConfigError> {
    let span = raw.span();
    let raw = raw.into_inner();
    let rules = Rules::default();
    let remind = match raw.remind {
        Some(remind) if remind.get_ref().0 < REMIND_MIN => {
            return source
                .wrong(remind.span(), "at least \"1m\", so that nobody stops reading; \"24h\" is usual");
        }
        Some(remind) => remind.into_inner().0,
        None => rules.remind,
    };
    let alerts = AlertSettings {
        mail: raw.mail.map(|mail| settle_mail(source, mail)).transpose()?,
        webhook: raw.webhook.map(|webhook| settle_webhook(source, webhook)).transpose()?,
        syslog: raw.syslog.unwrap_or(true),
        after: raw.after.map_or(rules.after, |after| after.0),
        remind,
    };
    if alerts.mail.is_none() && alerts.webhook.is_none() && !alerts.syslog {
        return source.wrong(span, "nobody would be told; add mail or webhook, or take out syslog = false");
    }
    Ok(alerts)
}

fn settle_mail(source: &Source<'_>, raw: RawMail) -> Result<MailSettings, ConfigError> {
    let many = raw.to.get_ref().len();
    if many == 0 || many > RECIPIENTS_MAX {
        return source
            .wrong(raw.to.span(), format!("1 to {RECIPIENTS_MAX} recipients; take a list's address"));
    }
    for address in raw.to.get_ref().iter().chain(&raw.from) {
        if let Err(why) = alerts::check_address(address.get_ref()) {
            return source.wrong(address.span(), why);
        }
    }
    let own = format!("farshare@{}", alerts::host());
    if raw.from.is_none() && alerts::check_address(&own).is_err() {
        return source
            .wrong(raw.to.span(), format!("{own:?} is no address to write from; add from = \"...\""));
    }
    let server = match Server::parse(raw.server.get_ref()) {
        Ok(server) => server,
        Err(why) => return source.wrong(raw.server.span(), why),
    };
    let tls = match raw.tls {
        RawTls::Implicit => MailTls::Implicit,
        RawTls::StartTls => MailTls::StartTls,
        RawTls::None => MailTls::None,
    };
    let login = match (raw.user, raw.password) {
        (Some(user), Some(_)) if tls == MailTls::None => {
            return source
                .wrong(user.span(), "a password does not go without TLS; take another tls, or no login");
        }
        (Some(user), Some(password)) => Some((user.into_inner(), settle_secret(source, &password)?)),
        (None, None) => None,
        (Some(user), None) => return source.wrong(user.span(), "add password = { file = \"/path/of/it\" }"),
        (None, Some(password)) => return source.wrong(password.span(), "add user = \"NAME\""),
    };
    let to = raw.to.into_inner().into_iter().map(Spanned::into_inner).collect();
    let from = raw.from.map(Spanned::into_inner);
    let ca = match raw.ca {
        Some(ca) if tls == MailTls::None => return source.wrong(ca.span(), "there is no TLS; take ca out"),
        ca => settle_ca(source, ca)?,
    };
    Ok(MailSettings { to, from, server, tls, login, ca })
}

fn settle_webhook(source: &Source<'_>, raw: RawWebhook) -> Result<WebhookSettings, ConfigError> {
    let url = match Url::parse(raw.url.get_ref()) {
        Ok(url) => url,
        Err(why) => return source.wrong(raw.url.span(), why),
    };
    let token = raw.token.map(|token| settle_secret(source, &token)).transpose()?;
    let ca = match raw.ca {
        Some(ca) if !url.is_encrypted() => {
            return source.wrong(ca.span(), "http:// has no TLS; take ca out, or write https://");
        }
        ca => settle_ca(source, ca)?,
    };
    Ok(WebhookSettings { url, token, ca })
}

fn settle_secret(source: &Source<'_>, secret: &Spanned<SecretFile>) -> Result<SecretFile, ConfigError> {
    let file = SecretFile(beside(source.file, &secret.get_ref().0));
    match file.read() {
        Ok(_) => Ok(file),
        Err(why) => source.wrong(secret.span(), why),
    }
}

fn settle_ca(source: &Source<'_>, ca: Option<Spanned<PathBuf>>) -> Result<Option<PathBuf>, ConfigError> {
    let Some(ca) = ca else { return Ok(None) };
    let file = beside(source.file, ca.get_ref());
    match alerts::check_ca(&file) {
        Ok(()) => Ok(Some(file)),
        Err(why) => source.wrong(ca.span(), why),
    }
}

impl AlertSettings {
    /// Begins to tell people of what `node` finds wrong.
    pub fn start(&self, node: &NodeName) -> Alerts {
        let mail = self.mail.as_ref().map(|mail| alerts::Mail {
            to: mail.to.clone(),
            from: mail.from.clone(),
            server: mail.server.clone(),
            tls: mail.tls,
            login: mail.login.as_ref().map(|(user, password)| (user.clone(), secret(password))),
            ca: mail.ca.clone(),
        });
        let webhook = self.webhook.as_ref().map(|webhook| alerts::Webhook {
            url: webhook.url.clone(),
            token: webhook.token.as_ref().map(secret),
            ca: webhook.ca.clone(),
        });
        Alerts::start(alerts::Config {
            node: node.0.clone(),
            host: None,
            rules: Rules { after: self.after, remind: self.remind, ..Rules::default() },
            mail,
            webhook,
            syslog: self.syslog.then(|| alerts::Syslog { path: alerts::DEV_LOG.into() }),
        })
    }

    /// For people: what, to whom, and what is to be said against it.
    pub fn described(&self) -> Vec<(&'static str, String, Option<&'static str>)> {
        let mut ways = Vec::new();
        if let Some(mail) = &self.mail {
            let (how, risk) = match mail.tls {
                MailTls::Implicit => ("TLS", None),
                MailTls::StartTls => ("STARTTLS", None),
                MailTls::None => ("plain SMTP", Some("whoever is on the way can read and change it")),
            };
            let detail = format!("to {} by {how} over {}", mail.to.join(", "), mail.server.host);
            ways.push(("alerts by mail", detail, risk));
        }
        if let Some(webhook) = &self.webhook {
            let open =
                (!webhook.url.is_encrypted()).then_some("whoever is on the way can read and change it");
            ways.push(("alerts by webhook", webhook.url.shown(), open));
        }
        if self.syslog {
            let mend = "nothing listens there; write syslog = false";
            let absent = (!Path::new(alerts::DEV_LOG).exists()).then_some(mend);
            ways.push(("alerts in the system's log", alerts::DEV_LOG.to_owned(), absent));
        }
        ways
    }
}

/// Read for each message, as it is then.
fn secret(file: &SecretFile) -> Secret {
    let file = file.clone();
    Arc::new(move || file.read())
}

#[cfg(test)]
mod tests;
