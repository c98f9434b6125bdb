//! The place for the one connection: dials when somebody needs it, again after a loss.
//!
//! A call gets the session of now and puts its request there, without waiting for anything: also while the server is being
//! reached. After a dial that failed, calls are answered at once for a moment, so that thousands of them do not knock at the
//! door one by one.

use crate::config::SftpConfig;
use crate::error::{Loss, Outcome, Trouble};
use crate::log_on::{Link, Server, log_on};
use crate::session::{Session, Waiting};
use crate::wire::Request;
use bytes::BytesMut;
use parking_lot::Mutex;
use russh::client::Msg;
use russh::{ChannelWriteHalf, Disconnect};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long a goodbye may take.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Line {
    config: Arc<SftpConfig>,
    now: Mutex<Now>,
    /// Connections that there were so far.
    connections: AtomicU64,
}

#[derive(Default)]
struct Now {
    session: Option<Arc<Session>>,
    /// The server of the last connection.
    server: Option<Arc<Server>>,
    /// The last dial, if it failed.
    failed: Option<(Instant, Arc<Loss>)>,
}

impl Line {
    pub(crate) fn new(config: SftpConfig) -> Arc<Line> {
        Arc::new(Line { config: Arc::new(config), now: Mutex::default(), connections: AtomicU64::new(0) })
    }

    pub(crate) fn config(&self) -> &SftpConfig {
        &self.config
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Acquire)
    }

    /// The server of the last connection; `None` before the first.
    pub(crate) fn server(&self) -> Option<Arc<Server>> {
        self.now.lock().server.clone()
    }

    /// Puts a request into the queue, now; dials if that must be.
    pub(crate) fn begin(self: &Arc<Line>, mut request: Request) -> Outcome<(Arc<Session>, Waiting)> {
        loop {
            let session = self.session().map_err(Trouble::Lost)?;
            match session.try_push(request) {
                Ok(waiting) => return Ok((session, waiting)),
                // It has ended in between.
                Err(back) => request = back,
            }
        }
    }

    /// The next call dials, whatever was before.
    pub(crate) fn forget_failure(&self) {
        self.now.lock().failed = None;
    }

    /// Ends the connection for good.
    pub(crate) fn shut(&self) {
        if let Some(session) = self.now.lock().session.take() {
            session.end(Arc::new(Loss::offline("the volume is closed")));
        }
    }

    fn session(self: &Arc<Line>) -> Result<Arc<Session>, Arc<Loss>> {
        let mut now = self.now.lock();
        if let Some(session) = now.session.as_ref().filter(|session| session.ended().is_none()) {
            return Ok(session.clone());
        }
        if !self.config.redial && self.connections() > 0 {
            return Err(Arc::new(Loss::offline("the connection to the SFTP server was lost")));
        }
        if let Some((when, why)) = &now.failed
            && when.elapsed() < self.config.limits.retry_pause
        {
            return Err(why.clone());
        }
        let session = Arc::new(Session::new(self.config.limits));
        now.session = Some(session.clone());
        tokio::spawn(self.clone().keep(session.clone()));
        Ok(session)
    }

    /// The life of one session, from dialing to its end.
    async fn keep(self: Arc<Line>, session: Arc<Session>) {
        let patience = self.config.connect_timeout;
        let reached = tokio::time::timeout(patience, Box::pin(log_on(&self.config))).await;
        let reached = reached.unwrap_or_else(|_| {
            Err(Loss::offline(format_args!("{} was not reached within {patience:?}", self.config.address())))
        });
        let loss = match reached {
            Ok(link) => {
                self.note(&link);
                session.open(link.facts);
                carry(&session, link).await
            }
            Err(loss) => {
                let loss = Arc::new(loss);
                self.now.lock().failed = Some((Instant::now(), loss.clone()));
                loss
            }
        };
        tracing::debug!("{}: {loss}", self.config.label());
        session.end(loss);
    }

    fn note(&self, link: &Link) {
        let mut now = self.now.lock();
        now.failed = None;
        now.server = Some(Arc::new(link.server.clone()));
        self.connections.fetch_add(1, Ordering::Release);
    }
}

/// Carries requests and answers until the connection ends; says why.
async fn carry(session: &Session, link: Link) -> Arc<Loss> {
    let Link { ssh, write, mut frames, .. } = link;
    let receive = async {
        loop {
            let taken = match frames.next().await {
                Ok(frame) => session.take_answer(frame),
                Err(loss) => return Arc::new(loss),
            };
            if let Err(why) = taken {
                let story = why.into_error("connection", "an answer").to_string();
                return Arc::new(Loss { kind: volume::ErrorKind::Corrupt, story });
            }
        }
    };
    let loss = tokio::select! {
        loss = receive => loss,
        loss = send(session, &write) => loss,
    };
    let goodbye = ssh.disconnect(Disconnect::ByApplication, "", "");
    let _it_is_gone_anyway = tokio::time::timeout(GOODBYE_PATIENCE, goodbye).await;
    loss
}

async fn send(session: &Session, write: &ChannelWriteHalf<Msg>) -> Arc<Loss> {
    let mut batch = BytesMut::new();
    loop {
        if let Some(loss) = session.ended() {
            return loss;
        }
        // Others that are about to ask are let in first: one packet for all of them.
        tokio::task::yield_now().await;
        session.take_batch(&mut batch);
        if batch.is_empty() {
            session.stirred().await;
        } else if let Err(why) = write.data_bytes(batch.split().freeze()).await {
            return Arc::new(Loss::offline(format_args!(
                "the connection to the SFTP server was lost: {why}"
            )));
        }
    }
}
