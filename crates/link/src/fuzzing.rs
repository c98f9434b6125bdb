//! The parsers of what a peer sends, for `fuzz/`: built only there (`--cfg fuzzing`).

use crate::frame::{Control, HEADER, Header, START, Start};
use crate::hello::Packet;

/// A greeting as it comes; what is read must survive being written and read again.
pub fn greeting(bytes: &[u8]) {
    let Some(packet) = read_greeting(bytes) else { return };
    assert_eq!(read_greeting(&packet.encode()).as_ref(), Some(&packet));
}

/// Reading from memory never waits, so one poll ends it.
fn read_greeting(mut bytes: &[u8]) -> Option<Packet> {
    let mut receive = std::pin::pin!(Packet::receive(&mut bytes));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match receive.as_mut().poll(&mut context) {
        std::task::Poll::Ready(packet) => packet.ok(),
        std::task::Poll::Pending => panic!("reading from memory waits"),
    }
}

/// A run of frames as the reader of a connection takes them apart, up to the first that is refused.
pub fn frames(mut bytes: &[u8]) {
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() {
        let Ok(header) = Header::decode(*header) else { return };
        let length = match header {
            Header::Start { data, .. } => START + data,
            Header::More { data, .. } => data,
            Header::Control { length, .. } => length,
        };
        let Some((payload, rest)) = rest.split_at_checked(length) else { return };
        match header {
            Header::Start { class, .. } => {
                let Ok(start) = Start::decode(class, &payload[..START]) else { return };
                let mut again = bytes::BytesMut::new();
                start.encode(0, &mut again);
                assert_eq!(Start::decode(class, &again[HEADER..]), Ok(start));
            }
            Header::Control { kind, .. } => {
                let Ok(control) = Control::decode(kind, payload) else { return };
                assert_eq!(Control::decode(kind, &control.encode()[HEADER..]), Ok(control));
            }
            Header::More { .. } => {}
        }
        bytes = rest;
    }
}
