//! The other end of the unix socket: what `farshare status`, `stop`, `reload` and `cache` use.

use crate::control::{CacheAction, CacheRequest, Done, MirrorAction, MirrorRequest, Reloaded};
use crate::status::Status;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;

/// Largest answer that is taken, bytes.
const ANSWER_MAX: usize = 16 * 1024 * 1024;
/// Time for an answer; flushing a large cache is the longest thing asked for.
const ANSWER_PATIENCE: Duration = Duration::from_secs(300);

/// A node's unix socket.
pub struct Client {
    socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// Nobody listens there, or not for us.
    Unreachable { socket: PathBuf, cause: io::Error },
    /// The node said no.
    Refused(String),
    /// The answer is not what a farshare of this version says.
    Garbled(String),
}

impl Client {
    pub fn new(socket: impl Into<PathBuf>) -> Client {
        Client { socket: socket.into() }
    }

    pub async fn status(&self) -> Result<Status, ClientError> {
        self.call(Method::GET, "/status", Bytes::new()).await
    }

    /// The node drains and ends; this returns when it begins.
    pub async fn stop(&self) -> Result<(), ClientError> {
        self.call::<serde_json::Value>(Method::POST, "/stop", Bytes::new()).await.map(|_| ())
    }

    pub async fn reload(&self) -> Result<Reloaded, ClientError> {
        self.call(Method::POST, "/reload", Bytes::new()).await
    }

    pub async fn cache(&self, action: CacheAction, request: &CacheRequest) -> Result<Done, ClientError> {
        let body = serde_json::to_vec(request).map_err(|cause| ClientError::Garbled(cause.to_string()))?;
        self.call(Method::POST, &format!("/cache/{}", action.name()), Bytes::from(body)).await
    }

    /// As [`Control::mirror`](crate::Control::mirror).
    pub async fn mirror(&self, action: MirrorAction, request: &MirrorRequest) -> Result<Done, ClientError> {
        let body = serde_json::to_vec(request).map_err(|cause| ClientError::Garbled(cause.to_string()))?;
        self.call(Method::POST, &format!("/mirror/{}", action.name()), Bytes::from(body)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        match tokio::time::timeout(ANSWER_PATIENCE, self.exchange(method, path, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Garbled(format!("no answer within {} s", ANSWER_PATIENCE.as_secs()))),
        }
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|cause| ClientError::Unreachable { socket: self.socket.clone(), cause })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request =
            request.body(Full::new(body)).map_err(|cause| ClientError::Garbled(cause.to_string()))?;
        let ask = async move {
            let answer = sender.send_request(request).await?;
            let code = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
            let body = body.map_err(|cause| ClientError::Garbled(cause.to_string()))?.to_bytes();
            Ok::<(StatusCode, Bytes), ClientError>((code, body))
        };
        // The connection only moves bytes; what went wrong on it, the request hears too.
        let (answer, _) = tokio::join!(ask, connection);
        let (code, body) = answer?;
        if !code.is_success() {
            return Err(ClientError::Refused(reason(&body)));
        }
        serde_json::from_slice(&body).map_err(|cause| ClientError::Garbled(cause.to_string()))
    }
}

/// The `error` of an answer that says no.
fn reason(body: &[u8]) -> String {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) if value["error"].is_string() => value["error"].as_str().unwrap_or_default().to_owned(),
        _ => String::from_utf8_lossy(body).into_owned(),
    }
}

impl From<hyper::Error> for ClientError {
    fn from(cause: hyper::Error) -> ClientError {
        ClientError::Garbled(cause.to_string())
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Unreachable { socket, cause } => {
                let mend = match cause.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                        "is the node running? --state DIR or --config FILE names another one"
                    }
                    io::ErrorKind::PermissionDenied => "run this as the user that runs farshare, or as root",
                    _ => "see farshare's log",
                };
                write!(f, "no node answers on {} ({cause}): {mend}", socket.display())
            }
            ClientError::Refused(why) => f.write_str(why),
            ClientError::Garbled(why) => write!(f, "the node's answer makes no sense: {why}"),
        }
    }
}

impl std::error::Error for ClientError {}
