//! The system's log.

use crate::{config, fails, raise, test};
use alerts::{Alerts, Config, Syslog};
use std::path::Path;
use tokio::net::UnixDatagram;

fn with(path: &Path) -> Config {
    Config { syslog: Some(Syslog { path: path.to_owned() }), ..config() }
}

#[tokio::test]
async fn each_notice_is_a_datagram_of_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fails(test(with(&path)).await, "No such file");
    let socket = UnixDatagram::bind(&path).unwrap();
    assert_eq!(test(with(&path)).await, Ok(()));
    let mut buffer = [0; 8192];
    let length = socket.recv(&mut buffer).await.unwrap();
    let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
    let head = format!(" h.example farshare {} test - dc1: test: ", std::process::id());
    assert!(line.starts_with("<30>1 20") && line.contains(&head), "{line}");
    let alerts = Alerts::start(with(&path));
    for over in [false, true] {
        match over {
            false => raise(&alerts),
            true => alerts.clear("mirror/projects/b"),
        }
        let length = socket.recv(&mut buffer).await.unwrap();
        let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let expect = match over {
            false => " raised - dc1: error: mirror/projects/b: no route to höst  .  RCPT TO:<x@y> (since ",
            true => " over - dc1: over after 0 s: mirror/projects/b: no route to höst",
        };
        assert!(line.contains(expect) && !line.contains('\n'), "{line}");
        assert!(line.starts_with(if over { "<29>1 " } else { "<27>1 " }), "{line}");
    }
}
