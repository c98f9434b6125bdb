//! A mail server for tests: as much of RFC 5321 as one client needs, AUTH PLAIN, STARTTLS.

use crate::certificate::Certificate;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What the server does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    Implicit,
    Offered,
    None,
}

/// A mail that was taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    pub hello: String,
    pub encrypted: bool,
    /// What AUTH PLAIN said, in base64.
    pub login: Option<String>,
    pub from: String,
    pub to: Vec<String>,
    pub text: String,
}

pub struct Server {
    pub port: u16,
    pub mails: mpsc::UnboundedReceiver<Taken>,
}

/// AUTH PLAIN of user `farshare`, password `swordfish`.
pub const LOGIN: &str = "AGZhcnNoYXJlAHN3b3JkZmlzaA==";
/// There is no such mailbox.
pub const UNKNOWN: &str = "nobody@example.org";

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Server {
    pub async fn start(tls: Tls, certificate: &Certificate) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, mails) = mpsc::unbounded_channel();
        let acceptor = certificate.acceptor.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, acceptor) = (sender.clone(), acceptor.clone());
                tokio::spawn(async move {
                    // A client that goes away is not the server's trouble.
                    let _ = serve(stream, tls, acceptor, sender).await;
                });
            }
        });
        Server { port, mails }
    }
}

async fn serve(
    stream: TcpStream,
    tls: Tls,
    acceptor: tokio_rustls::TlsAcceptor,
    mails: mpsc::UnboundedSender<Taken>,
) -> std::io::Result<()> {
    let mut encrypted = tls == Tls::Implicit;
    let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(match tls {
        Tls::Implicit => Box::new(acceptor.accept(stream).await?),
        _ => Box::new(stream),
    });
    let (mut hello, mut login, mut from, mut to) = (String::new(), None, String::new(), Vec::new());
    stream.write_all(b"220 mail.example ESMTP\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let answer = match verb {
            "EHLO" => {
                hello = rest.to_owned();
                let starttls = if tls == Tls::Offered && !encrypted { "250-STARTTLS\r\n" } else { "" };
                format!("250-mail.example\r\n{starttls}250-AUTH PLAIN\r\n250 8BITMIME")
            }
            "STARTTLS" => {
                stream.write_all(b"220 go on\r\n").await?;
                stream = BufReader::new(Box::new(acceptor.accept(stream.into_inner()).await?));
                encrypted = true;
                continue;
            }
            "AUTH" if rest == format!("PLAIN {LOGIN}") => {
                login = rest.strip_prefix("PLAIN ").map(str::to_owned);
                "235 welcome".into()
            }
            "AUTH" => "535 wrong user or password".into(),
            "MAIL" => {
                from = rest.to_owned();
                "250 ok".into()
            }
            "RCPT" if rest.contains(UNKNOWN) => "550 no such mailbox".into(),
            "RCPT" => {
                to.push(rest.to_owned());
                "250 ok".into()
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let text = data(&mut stream).await?;
                let (hello, login) = (hello.clone(), login.clone());
                let taken =
                    Taken { hello, encrypted, login, from: from.clone(), to: std::mem::take(&mut to), text };
                let _ = mails.send(taken);
                "250 taken".into()
            }
            "QUIT" => "221 bye".into(),
            _ => "502 what?".into(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

async fn data(stream: &mut BufReader<Box<dyn Stream>>) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line == ".\r\n" || line.is_empty() {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
