//! What Apple's clients ask for when they mount (the `AAPL` create context, known from Apple's published client).

use smb_wire::create::CreateResponseContext;
use smb_wire::create::apple::{
    AppleQueryBits, AppleRequest, AppleServerAnswer, AppleServerCapabilities, AppleVolumeCapabilities,
};

/// Picks the icon: a server that is no Mac and no Time Capsule.
const MODEL: &str = "Xserve";

/// The answer to a query; nothing where a path is asked for by file number, which no volume here can tell.
pub(super) fn answer(data: &[u8]) -> Option<CreateResponseContext> {
    let Ok(AppleRequest::ServerQuery { bits, .. }) = AppleRequest::decode(data) else { return None };
    // Every FLUSH reaches stable storage, so the one that demands it does too.
    // Names that differ in case alone are one name to SMB clients, whatever the origin thinks.
    let volume = AppleVolumeCapabilities::FULL_SYNC;
    let answer = AppleServerAnswer {
        server: bits.contains(AppleQueryBits::SERVER_CAPABILITIES).then(AppleServerCapabilities::empty),
        volume: bits.contains(AppleQueryBits::VOLUME_CAPABILITIES).then_some(volume),
        model: bits.contains(AppleQueryBits::MODEL).then(|| MODEL.to_owned()),
    };
    let mut bytes = Vec::new();
    answer.encode(&mut bytes);
    Some(CreateResponseContext::Apple(bytes.into()))
}
