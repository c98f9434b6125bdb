//! A POST of JSON to an address of HTTP (`docs/manual.md`, "Alerts"). An answer of 2xx is a yes; nothing is followed.

use crate::config::Webhook;
use crate::line::{Channel, Failure};
use crate::message::Message;
use crate::{text, tls};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What is read of an answer, bytes.
const ANSWER_MAX: usize = 64 * 1024;
/// What is quoted of one that says no, characters.
const QUOTED_MAX: usize = 200;

/// Where to: `http://HOST[:PORT]/PATH` or `https://...`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url {
    tls: bool,
    /// A name or an address, IPv6 without brackets.
    host: String,
    port: u16,
    /// As it stands in the URL.
    authority: String,
    path: String,
}

impl Url {
    pub fn parse(text: &str) -> Result<Url, String> {
        let example = "for example \"https://hooks.example.org/farshare\"";
        let wrong = |why: &str| format!("{text:?} is not a URL to post to: {why}; {example}");
        let uri: Uri = text.parse().map_err(|cause| wrong(&format!("{cause}")))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("it begins with neither https:// nor http://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a user or password in it would be shown; take token = { file = \"...\" }"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port =
            match authority.as_str().strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':')) {
                Some(port) => {
                    port.parse().ok().filter(|port| *port != 0).ok_or_else(|| wrong("no such port"))?
                }
                None => {
                    if tls {
                        443
                    } else {
                        80
                    }
                }
            };
        if host.is_empty() {
            return Err(wrong("no host"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Url { tls, host, port, authority: authority.as_str().to_owned(), path })
    }

    /// Whether what is sent is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.tls
    }

    /// Without the path, which is the secret of many a webhook.
    pub fn shown(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority)
    }
}

pub struct Hook(Webhook);

impl Hook {
    pub fn new(webhook: Webhook) -> Hook {
        Hook(webhook)
    }

    async fn request(&self, message: &Message) -> Result<Request<Full<Bytes>>, Failure> {
        let body = serde_json::to_vec(&text::json(message)).map_err(Failure::refused)?;
        let request = Request::post(self.0.url.path.as_str())
            .header(HOST, self.0.url.authority.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("farshare/", env!("CARGO_PKG_VERSION")));
        let mut request = request.body(Full::new(Bytes::from(body))).map_err(Failure::refused)?;
        if let Some(token) = self.0.token.clone() {
            let token = crate::blocking(move || token()).await.map_err(Failure::new)?;
            let bearer = HeaderValue::try_from(format!("Bearer {}", *token));
            let mut bearer =
                bearer.map_err(|_| Failure::refused("the token has characters that no token has"))?;
            bearer.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, bearer);
        }
        Ok(request)
    }
}

#[async_trait]
impl Channel for Hook {
    fn name(&self) -> String {
        format!("webhook {}", self.0.url.shown())
    }

    async fn send(&self, message: &Message) -> Result<(), Failure> {
        let Url { tls, host, port, .. } = &self.0.url;
        let request = self.request(message).await?;
        let failed = |cause: std::io::Error| Failure::new(format_args!("{host}: {cause}"));
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
        if !tls {
            return exchange(stream, request).await;
        }
        let roots = tls::roots(self.0.ca.clone()).await.map_err(Failure::new)?;
        let connector = TlsConnector::from(tls::client(roots).map_err(Failure::new)?);
        let name = ServerName::try_from(host.clone()).map_err(Failure::refused)?;
        let stream = connector.connect(name, stream).await.map_err(failed)?;
        exchange(stream, request).await
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(), Failure> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(Failure::new)?;
    let ask = async move {
        let answer = sender.send_request(request).await.map_err(Failure::new)?;
        let status = answer.status();
        // Its words matter only when it says no, and then as far as they come.
        let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
        Ok((status, body.map(|body| body.to_bytes()).unwrap_or_default()))
    };
    // The connection only moves bytes; what went wrong on it, the request hears too.
    let (answer, _) = tokio::join!(ask, connection);
    let (status, body): (StatusCode, Bytes) = answer?;
    judge(status, &String::from_utf8_lossy(&body))
}

fn judge(status: StatusCode, body: &str) -> Result<(), Failure> {
    let words: String = body.chars().map(|c| if c.is_control() { ' ' } else { c }).take(QUOTED_MAX).collect();
    let why = format!("it answers {status} {}", words.trim());
    let why = why.trim_end();
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Err(Failure::new(why)),
        _ if status.is_server_error() => Err(Failure::new(why)),
        _ => Err(Failure::refused(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let check = |text: &str, expect: Option<(bool, &str, u16, &str)>| {
            let got = Url::parse(text);
            let got = got.as_ref().ok().map(|url| (url.tls, url.host.as_str(), url.port, url.path.as_str()));
            assert_eq!(got, expect, "{text:?}");
        };
        check("https://hooks.example.org", Some((true, "hooks.example.org", 443, "/")));
        check("https://hooks.example.org/a/b?c=d", Some((true, "hooks.example.org", 443, "/a/b?c=d")));
        check("http://[2001:db8::1]:8080/x", Some((false, "2001:db8::1", 8080, "/x")));
        check("http://192.0.2.1/", Some((false, "192.0.2.1", 80, "/")));
        for bad in
            ["", "/x", "ftp://h/", "https://", "https://u:p@h/", "http://h:0/", "http://h:99999/", "h:80"]
        {
            check(bad, None);
        }
        let shown = Url::parse("https://hooks.example.org:8443/services/T0/secret").unwrap().shown();
        assert_eq!(shown, "https://hooks.example.org:8443");
    }

    #[test]
    fn answers() {
        let check = |code: u16, expect: Option<(&str, bool)>| {
            let got = judge(StatusCode::from_u16(code).unwrap(), "no\nway").err();
            assert_eq!(got, expect.map(|(why, refused)| Failure { why: why.into(), refused }), "{code}");
        };
        check(200, None);
        check(204, None);
        check(302, Some(("it answers 302 Found no way", true)));
        check(403, Some(("it answers 403 Forbidden no way", true)));
        check(429, Some(("it answers 429 Too Many Requests no way", false)));
        check(503, Some(("it answers 503 Service Unavailable no way", false)));
    }
}
