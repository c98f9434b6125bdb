//! Webhooks.

use crate::certificate::Certificate;
use crate::{config, fails, raise, secret, test};
use alerts::{Alerts, Config, Url, Webhook};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A request that came: its first line, the headers that count, its body.
struct Posted {
    line: String,
    token: Option<String>,
    kind: String,
    host: String,
    body: serde_json::Value,
}

struct Server {
    port: u16,
    posts: mpsc::UnboundedReceiver<Posted>,
}

impl Server {
    /// Answers each request with `status`.
    async fn start(status: u16, certificate: Option<&Certificate>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, posts) = mpsc::unbounded_channel();
        let acceptor = certificate.map(|certificate| certificate.acceptor.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = service_fn(move |request| answer(request, status, sender.clone()));
                // Clients that do not believe us go away.
                let _ = match &acceptor {
                    None => http1::Builder::new().serve_connection(TokioIo::new(stream), service).await,
                    Some(acceptor) => match acceptor.accept(stream).await {
                        Ok(stream) => {
                            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
                        }
                        Err(_) => continue,
                    },
                };
            }
        });
        Server { port, posts }
    }
}

async fn answer(
    request: Request<Incoming>,
    status: u16,
    sender: mpsc::UnboundedSender<Posted>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let header = |name: &str| {
        head.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let body = body.collect().await.unwrap().to_bytes();
    let posted = Posted {
        line: format!("{} {}", head.method, head.uri),
        token: Some(header("authorization")).filter(|token| !token.is_empty()),
        kind: header("content-type"),
        host: header("host"),
        body: serde_json::from_slice(&body).unwrap(),
    };
    let _ = sender.send(posted);
    let answer = Response::builder().status(status).header("location", "/elsewhere");
    Ok(answer.body(Full::new(Bytes::from_static(b"as told"))).unwrap())
}

fn with(url: &str, certificate: Option<&Certificate>) -> Config {
    let ca = certificate.and_then(Certificate::ca);
    Config { webhook: Some(Webhook { url: Url::parse(url).unwrap(), token: None, ca }), ..config() }
}

#[tokio::test]
async fn a_post_with_all_that_is_known() {
    let mut server = Server::start(204, None).await;
    let mut config = with(&format!("http://127.0.0.1:{}/a/b?c=d", server.port), None);
    config.webhook.as_mut().unwrap().token = Some(secret("s3cret"));
    let alerts = Alerts::start(config);
    raise(&alerts);
    let posted = server.posts.recv().await.unwrap();
    assert_eq!(posted.line, "POST /a/b?c=d");
    assert_eq!(posted.token.as_deref(), Some("Bearer s3cret"));
    assert_eq!(
        (posted.kind.as_str(), posted.host),
        ("application/json", format!("127.0.0.1:{}", server.port))
    );
    let body = posted.body;
    for (name, expect) in
        [("node", "dc1"), ("key", "mirror/projects/b"), ("severity", "error"), ("state", "raised")]
    {
        assert_eq!(body[name], expect, "{body}");
    }
    assert_eq!(body["notices"][0]["text"], "no route to höst\r\n.\r\nRCPT TO:<x@y>");
    assert!(body["text"].as_str().unwrap().starts_with("farshare dc1: error: mirror/projects/b: no route"));
    alerts.clear("mirror/projects/b");
    let over = server.posts.recv().await.unwrap().body;
    assert_eq!((&over["state"], &over["since"]), (&"over".into(), &over["notices"][0]["since"]));
    assert_ne!(over["id"], body["id"]);
}

#[tokio::test]
async fn over_tls_to_whom_is_believed() {
    let (certificate, other) = (Certificate::of("localhost"), Certificate::of("localhost"));
    let mut server = Server::start(200, Some(&certificate)).await;
    let url = format!("https://localhost:{}/", server.port);
    assert_eq!(test(with(&url, Some(&certificate))).await, Ok(()));
    assert_eq!(server.posts.recv().await.unwrap().body["state"], "test");
    fails(test(with(&url, Some(&other))).await, "invalid peer certificate");
    let by_address = format!("https://127.0.0.1:{}/", server.port);
    fails(test(with(&by_address, Some(&certificate))).await, "not valid for name");
    // The system's authorities know nothing of it either, if there are any.
    assert!(test(with(&url, None)).await.is_err());
    assert!(server.posts.try_recv().is_err());
}

#[tokio::test]
async fn whatever_is_no_yes_is_an_error() {
    for (status, expect) in [
        (302, "it answers 302 Found as told"),
        (403, "it answers 403 Forbidden as told"),
        (500, "it answers 500 Internal Server Error as told"),
    ] {
        let mut server = Server::start(status, None).await;
        fails(test(with(&format!("http://127.0.0.1:{}/", server.port), None)).await, expect);
        assert!(
            server.posts.recv().await.is_some() && server.posts.try_recv().is_err(),
            "{status}: not followed"
        );
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    fails(test(with(&format!("http://{nobody}/"), None)).await, "refused");
}
