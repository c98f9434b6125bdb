//! The metadata exchange: one HTTP request, one answer, and the connection ends.

use super::envelope::{self, Asked, MESSAGE_MAX_BYTES, What};
use super::is_near;
use super::replies::Device;
use crate::limits;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Pause after the system has refused to give another socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Room for the head of a request, bytes: the least that hyper takes.
const HEAD_MAX_BYTES: usize = 8192;

/// Takes connections until it is cut off.
pub(super) async fn serve(listener: TcpListener, device: Arc<Device>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < limits::WS_CONNECTIONS_MAX => match accepted {
                Ok((stream, peer)) if is_near(peer.ip()) => {
                    connections.spawn(exchange(stream, Arc::clone(&device)));
                }
                Ok((_, peer)) => tracing::debug!(%peer, "WS-Discovery: not from nearby"),
                Err(error) => {
                    tracing::warn!(%error, "WS-Discovery: cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn exchange(stream: TcpStream, device: Arc<Device>) {
    let service = service_fn(|request| handle(request, &device));
    let connection = hyper::server::conn::http1::Builder::new()
        .max_buf_size(HEAD_MAX_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(limits::WS_EXCHANGE_PATIENCE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "WS-Discovery: a connection ended early"),
        Err(_) => tracing::debug!("WS-Discovery: a connection took too long"),
    }
}

async fn handle(request: Request<Incoming>, device: &Device) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let answer = match Limited::new(body, MESSAGE_MAX_BYTES).collect().await {
        Ok(body) => answer(&head.method, head.uri.path(), &body.to_bytes(), device),
        Err(_) => Err(StatusCode::PAYLOAD_TOO_LARGE),
    };
    let (status, text) =
        answer.map_or_else(|refused| (refused, String::new()), |text| (StatusCode::OK, text));
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/soap+xml"));
    Ok(response)
}

/// What a request is answered.
fn answer(method: &Method, path: &str, body: &[u8], device: &Device) -> Result<String, StatusCode> {
    if path != device.path {
        return Err(StatusCode::NOT_FOUND);
    }
    if method != Method::POST {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    match envelope::read(body) {
        Some(Asked { message_id, what: What::Get { endpoint } }) if endpoint == device.endpoint => {
            Ok(device.metadata(&message_id))
        }
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = r#"<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing"><soap:Header><wsa:To>urn:uuid:12121212-1212-1212-1212-121212121212</wsa:To><wsa:Action>http://schemas.xmlsoap.org/ws/2004/09/transfer/Get</wsa:Action><wsa:MessageID>urn:uuid:a</wsa:MessageID></soap:Header><soap:Body/></soap:Envelope>"#;

    #[test]
    fn a_device_tells_what_it_is_to_who_names_it() {
        let device = Device::new("DEPOT", [0x12; 16]);
        let path = device.path.clone();
        let ask = |method, path: &str, body: &str| answer(method, path, body.as_bytes(), &device);
        assert!(ask(&Method::POST, &path, GET).unwrap().contains("DEPOT/Workgroup:WORKGROUP"));
        assert_eq!(ask(&Method::POST, "/other", GET), Err(StatusCode::NOT_FOUND));
        assert_eq!(ask(&Method::GET, &path, GET), Err(StatusCode::METHOD_NOT_ALLOWED));
        for bad in [
            GET.replace("12121212-", "13131313-"),
            GET.replace("transfer/Get", "transfer/Put"),
            String::new(),
        ] {
            assert_eq!(ask(&Method::POST, &path, &bad), Err(StatusCode::BAD_REQUEST));
        }
    }
}
