//! From a request to an answer, without sockets: who may ask what, and what is said.

use crate::control::{CacheAction, CacheRequest, Control, MirrorAction, MirrorRequest, Refused};
use crate::server::Token;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde::Serialize;
use std::net::IpAddr;

pub(crate) type Answer = Response<Full<Bytes>>;

/// How the request came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Door {
    /// The unix socket, and the peer's uid fits.
    Socket,
    /// TCP, bound to a loopback address or not.
    Tcp { loopback: bool },
}

/// A request that was read whole.
pub(crate) struct Request {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Answers one request.
pub(crate) async fn answer(
    control: &dyn Control,
    token: Option<&Token>,
    door: Door,
    request: Request,
) -> Answer {
    let changes = request.method != Method::GET && request.method != Method::HEAD;
    if let Err((code, why)) = may(door, token, &request, changes) {
        return error(code, why);
    }
    match (&request.method, request.path.as_str()) {
        (&Method::GET, "/health") => health(control).await,
        (&Method::GET, "/status") => json(StatusCode::OK, &control.status().await),
        (&Method::GET, "/metrics") => {
            let page = crate::metrics::render(&control.status().await);
            text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page)
        }
        (&Method::POST, "/stop") => {
            control.stop();
            json(StatusCode::ACCEPTED, &serde_json::json!({ "message": "draining" }))
        }
        (&Method::POST, "/reload") => match control.reload().await {
            Ok(reloaded) => json(StatusCode::OK, &reloaded),
            Err(refused) => refusal(refused),
        },
        (&Method::POST, path) if path.starts_with("/cache/") => cache(control, &request).await,
        (&Method::POST, path) if path.starts_with("/mirror/") => mirror(control, &request).await,
        (_, "/health" | "/status" | "/metrics" | "/stop" | "/reload") => {
            error(StatusCode::METHOD_NOT_ALLOWED, "reading is GET, changing is POST")
        }
        _ => error(StatusCode::NOT_FOUND, "no such page; see GET /status, /metrics, /health"),
    }
}

/// The rules of the two doors. `/health` says nothing that a port scan would not, so it is open to probes.
fn may(
    door: Door,
    token: Option<&Token>,
    request: &Request,
    changes: bool,
) -> Result<(), (StatusCode, &'static str)> {
    let Door::Tcp { loopback } = door else { return Ok(()) };
    let shown =
        request.headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if let (Some(token), Some(shown)) = (token, shown) {
        return if token.matches(shown) {
            Ok(())
        } else {
            Err((StatusCode::UNAUTHORIZED, "the token is not the one in [admin] token"))
        };
    }
    if changes {
        let why = "changing anything over TCP needs [admin] token, sent as `Authorization: Bearer ...`; \
                   the unix socket in the state directory needs none";
        return Err((StatusCode::UNAUTHORIZED, why));
    }
    if request.path == "/health" {
        return Ok(());
    }
    if !loopback {
        return Err((StatusCode::UNAUTHORIZED, "this address needs the token of [admin] token"));
    }
    // A web page in the operator's browser can reach loopback under a name of its own (DNS rebinding);
    // it cannot make the browser send an address it did not resolve.
    if host_is_plain(&request.headers) {
        Ok(())
    } else {
        Err((StatusCode::FORBIDDEN, "ask by IP address or as localhost, or send the token"))
    }
}

fn host_is_plain(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|value| value.to_str().ok()) else { return true };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

async fn health(control: &dyn Control) -> Answer {
    let complaints = control.status().await.complaints();
    let code = if complaints.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(code, &serde_json::json!({ "ok": complaints.is_empty() }))
}

async fn cache(control: &dyn Control, request: &Request) -> Answer {
    let Some(action) = request.path.strip_prefix("/cache/").and_then(CacheAction::parse) else {
        return error(StatusCode::NOT_FOUND, "a cache knows stat, pin, unpin, warm, evict, flush");
    };
    let asked: CacheRequest = match serde_json::from_slice(&request.body) {
        Ok(asked) => asked,
        Err(cause) => return error(StatusCode::BAD_REQUEST, &format!("not a cache request: {cause}")),
    };
    match control.cache(action, asked).await {
        Ok(done) => json(StatusCode::OK, &done),
        Err(refused) => refusal(refused),
    }
}

async fn mirror(control: &dyn Control, request: &Request) -> Answer {
    let Some(action) = request.path.strip_prefix("/mirror/").and_then(MirrorAction::parse) else {
        return error(StatusCode::NOT_FOUND, "a mirror knows pause, resume, retry, resync, verify");
    };
    let asked: MirrorRequest = match serde_json::from_slice(&request.body) {
        Ok(asked) => asked,
        Err(cause) => return error(StatusCode::BAD_REQUEST, &format!("not a mirror request: {cause}")),
    };
    match control.mirror(action, asked).await {
        Ok(done) => json(StatusCode::OK, &done),
        Err(refused) => refusal(refused),
    }
}

fn refusal(refused: Refused) -> Answer {
    match refused {
        Refused::NotFound(why) => error(StatusCode::NOT_FOUND, &why),
        Refused::Invalid(why) => error(StatusCode::BAD_REQUEST, &why),
        Refused::Failed(why) => error(StatusCode::INTERNAL_SERVER_ERROR, &why),
    }
}

pub(crate) fn error(code: StatusCode, why: &str) -> Answer {
    json(code, &serde_json::json!({ "error": why }))
}

fn json(code: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_string(value) {
        Ok(body) => text(code, "application/json", body),
        Err(cause) => text(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", cause.to_string()),
    }
}

fn text(code: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = code;
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        door: Door,
        token: Option<&str>,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        expect: u16,
    ) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.insert(name, value.parse().unwrap());
        }
        let changes = method != Method::GET;
        let request = Request { method, path: path.into(), headers: map, body: Bytes::new() };
        let token = token.map(|token| Token::new(token.as_bytes().to_vec()).unwrap());
        let got = match may(door, token.as_ref(), &request, changes) {
            Ok(()) => 200,
            Err((code, _)) => code.as_u16(),
        };
        assert_eq!(got, expect, "{door:?} {path} {headers:?}");
    }

    const SECRET: &str = "0123456789abcdef";
    const BEARER: (&str, &str) = ("authorization", "Bearer 0123456789abcdef");
    const WRONG: (&str, &str) = ("authorization", "Bearer 0123456789abcdeX");

    #[test]
    fn the_socket_may_do_everything() {
        check(Door::Socket, None, Method::POST, "/stop", &[], 200);
        check(Door::Socket, Some(SECRET), Method::GET, "/status", &[], 200);
    }

    #[test]
    fn tcp_reads_on_loopback_and_changes_only_with_the_token() {
        let near = Door::Tcp { loopback: true };
        check(near, None, Method::GET, "/status", &[("host", "127.0.0.1:7441")], 200);
        check(near, None, Method::POST, "/stop", &[("host", "127.0.0.1:7441")], 401);
        check(near, None, Method::POST, "/stop", &[BEARER], 401);
        check(near, Some(SECRET), Method::POST, "/stop", &[], 401);
        check(near, Some(SECRET), Method::POST, "/stop", &[WRONG], 401);
        check(near, Some(SECRET), Method::POST, "/stop", &[BEARER], 200);
    }

    #[test]
    fn tcp_elsewhere_needs_the_token_even_to_read() {
        let far = Door::Tcp { loopback: false };
        check(far, Some(SECRET), Method::GET, "/status", &[], 401);
        check(far, Some(SECRET), Method::GET, "/metrics", &[BEARER], 200);
        check(far, Some(SECRET), Method::GET, "/health", &[], 200);
    }

    #[test]
    fn a_browser_sent_here_under_another_name_reads_nothing() {
        let near = Door::Tcp { loopback: true };
        check(near, None, Method::GET, "/status", &[("host", "evil.example:7441")], 403);
        check(near, None, Method::GET, "/status", &[("host", "localhost:7441")], 200);
        check(near, None, Method::GET, "/status", &[("host", "[::1]:7441")], 200);
    }
}
