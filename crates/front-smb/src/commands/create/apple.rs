//! What Apple's clients ask for when they mount (the `AAPL` create context, known from Apple's published client).

use crate::session::Session;
use smb_wire::create::CreateResponseContext;
use smb_wire::create::apple::{
    AppleQueryBits, AppleRequest, AppleServerAnswer, AppleServerCapabilities, AppleVolumeCapabilities,
};

/// Picks the icon: a server that is no Mac and no Time Capsule.
const MODEL: &str = "Xserve";

/// The answer to a query; nothing where a path is asked for by file number, which no volume here can tell. What the
/// client is told of, its session gives from now on.
pub(super) fn answer(session: &Session, data: &[u8]) -> Option<CreateResponseContext> {
    let Ok(AppleRequest::ServerQuery { bits, client }) = AppleRequest::decode(data) else { return None };
    // Clients do not say whether they would have files copied whole; all of Apple's do.
    let server = AppleServerCapabilities::OSX_COPYFILE | client & AppleServerCapabilities::READ_DIR_ATTR;
    let server = Some(server).filter(|_| bits.contains(AppleQueryBits::SERVER_CAPABILITIES));
    server.into_iter().for_each(|told| session.tell_apple(told));
    // Every FLUSH reaches stable storage, so the one that demands it does too.
    // Names that differ in case alone are one name to SMB clients, whatever the origin thinks.
    let volume = AppleVolumeCapabilities::FULL_SYNC;
    let answer = AppleServerAnswer {
        server,
        volume: bits.contains(AppleQueryBits::VOLUME_CAPABILITIES).then_some(volume),
        model: bits.contains(AppleQueryBits::MODEL).then(|| MODEL.to_owned()),
    };
    let mut bytes = Vec::new();
    answer.encode(&mut bytes);
    Some(CreateResponseContext::Apple(bytes.into()))
}
