//! From a TCP connection to a lane: TLS, the greeting, and then the life of the connection.

use crate::certs::{PeerCertificate, site_of};
use crate::hello::{FEATURE_BBR, Greeting, LaneKind, Packet, agree};
use crate::lane::{End, Lane, LinkStream, run};
use crate::meter::{Meter, Metered};
use crate::node::Shared;
use crate::remote::Remote;
use crate::socket;
use rustls::server::Acceptor;
use rustls_pki_types::ServerName;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

/// Records that TLS holds until the socket takes them, bytes: one batch of the writer with its headers.
const TLS_BUFFER: usize = 80 * 1024;

const SOFTWARE: &str = concat!("farshare ", env!("CARGO_PKG_VERSION"));

/// A greeted connection that is not in use yet.
pub(crate) struct Greeted {
    stream: LinkStream,
    lane: Arc<Lane>,
    greeting: Greeting,
    pub(crate) remote: Arc<Remote>,
}

fn our_greeting(shared: &Shared, remote: &Remote, lane: LaneKind, versions: (u16, u16)) -> Greeting {
    Greeting {
        versions,
        lane,
        boot: shared.boot,
        features: if shared.bbr { FEATURE_BBR } else { 0 },
        next_notice: remote.next_notice(),
        site: shared.identity().site().to_owned(),
        software: SOFTWARE.to_owned(),
    }
}

fn text(error: io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(what)) => {
            format!("the other side's certificate is refused: {what}")
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            format!("the other side refuses our certificate or handshake: {alert:?}")
        }
        _ if error.kind() == io::ErrorKind::UnexpectedEof => {
            "closed by the other side in the handshake".into()
        }
        _ => error.to_string(),
    }
}

/// The dialing side.
pub(crate) async fn dialed(
    shared: &Shared,
    remote: &Arc<Remote>,
    tcp: TcpStream,
    kind: LaneKind,
) -> Result<Greeted, String> {
    let congestion = socket::prepare(&tcp, shared.bbr);
    let meter = Arc::new(Meter::new());
    let name = ServerName::try_from(remote.site().to_owned()).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(shared.identity().client());
    // rustls checks that the certificate is of our authority and of this very site.
    let mut tls = connector.connect(name, Metered::new(tcp, meter.clone())).await.map_err(text)?;
    let shown = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let certificate = PeerCertificate::new(shown.ok_or("no certificate")?)?;
    shared.identity().judge(&certificate).map_err(|why| format!("{}: {why}", remote.site()))?;
    tls.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
    let mut stream = LinkStream::from(tls);
    let hello = our_greeting(shared, remote, kind, shared.config.versions);
    Packet::Hello(hello).send(&mut stream).await.map_err(text)?;
    let greeting = match Packet::receive(&mut stream).await.map_err(text)? {
        Packet::Welcome(greeting) => greeting,
        Packet::Refusal(reason) => return Err(format!("refused by {}: {reason}", remote.site())),
        Packet::Hello(_) => return Err("a Hello instead of a Welcome".into()),
    };
    if greeting.site != remote.site() {
        return Err(format!("the other side calls itself {}, not {}", greeting.site, remote.site()));
    }
    let (lowest, highest) = shared.config.versions;
    if !(lowest..=highest).contains(&greeting.versions.1) {
        return Err(format!(
            "the other side chose version {}; {lowest}..={highest} here",
            greeting.versions.1
        ));
    }
    remote.admit(greeting.boot).await?;
    let lane = Arc::new(Lane::new(kind, true, congestion, certificate, meter, remote.pool()));
    Ok(Greeted { stream, lane, greeting, remote: remote.clone() })
}

/// The accepting side.
pub(crate) async fn accepted(shared: &Shared, tcp: TcpStream) -> Result<Greeted, String> {
    let congestion = socket::prepare(&tcp, shared.bbr);
    let meter = Arc::new(Meter::new());
    let acceptor = LazyConfigAcceptor::new(Acceptor::default(), Metered::new(tcp, meter.clone()));
    let hello = tokio::time::timeout(shared.config.hello_timeout, acceptor).await;
    let hello = hello.map_err(|_| "TLS was not begun in time")?.map_err(text)?;
    let mut tls = hello.into_stream(shared.identity().server()).await.map_err(text)?;
    let shown = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let shown = shown.ok_or("no certificate")?;
    let site = site_of(shown).map_err(|error| error.to_string())?;
    let certificate = PeerCertificate::new(shown)?;
    tls.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
    let mut stream = LinkStream::from(tls);
    let greeting = match Packet::receive(&mut stream).await.map_err(text)? {
        Packet::Hello(greeting) => greeting,
        other => return Err(format!("{other:?} instead of a Hello")),
    };
    let remote = shared.remote(&site);
    let known = shared.identity().judge(&certificate);
    let judged = match known.and_then(|()| judge(shared, &site, &greeting)) {
        Ok(version) => remote.admit(greeting.boot).await.map(|()| version),
        refused => refused,
    };
    match judged {
        Ok(version) => {
            let welcome = our_greeting(shared, &remote, greeting.lane, (version, version));
            Packet::Welcome(welcome).send(&mut stream).await.map_err(text)?;
        }
        Err(reason) => {
            Packet::Refusal(reason.clone()).send(&mut stream).await.map_err(text)?;
            return Err(format!("refused {site} ({}): {reason}", greeting.software));
        }
    }
    let lane = Arc::new(Lane::new(greeting.lane, false, congestion, certificate, meter, remote.pool()));
    Ok(Greeted { stream, lane, greeting, remote })
}

/// The version to speak, or why not to.
fn judge(shared: &Shared, certified: &str, greeting: &Greeting) -> Result<u16, String> {
    if greeting.site != certified {
        return Err(format!("the certificate is of site {certified}, the greeting of {}", greeting.site));
    }
    if greeting.boot == shared.boot || certified == shared.identity().site() {
        return Err(format!("both ends are site {certified}; each node needs a name of its own"));
    }
    if usize::from(greeting.lane.index) >= crate::MAX_BULK_CONNECTIONS {
        return Err(format!("connection number {} is out of range", greeting.lane.index));
    }
    agree(shared.config.versions, greeting.versions)
}

impl Greeted {
    /// Uses the connection until it ends; the reason.
    pub(crate) async fn live(self, shared: &Shared) -> End {
        let Greeted { stream, lane, greeting, remote } = self;
        if let Err(reason) = remote.attach(&lane, &greeting) {
            tracing::warn!(site = remote.site(), reason, "connection not used");
            return End::Lost(reason);
        }
        // A reload that came since the handshake has not seen this lane.
        if let Err(why) = shared.identity().judge(&lane.certificate) {
            lane.close(End::Lost(why));
        }
        let end = run(stream, &lane, &remote).await;
        remote.detach(&lane, &end);
        end
    }
}
