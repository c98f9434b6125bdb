//! What a Mac asks when it mounts.

use crate::site::{ALICE, Site};
use smb_raw::requests;
use smb_wire::create::apple::{
    AppleQueryBits, AppleRequest, AppleServerAnswer, AppleServerCapabilities, AppleVolumeCapabilities,
};
use smb_wire::create::context::CreateContext;
use smb_wire::create::{CreateOptions, CreateRequest, CreateResponse, CreateResponseContext};
use smb_wire::{NtStatus, Request};

/// The answer to the context in the open of the share's root.
async fn asked(request: AppleRequest) -> Option<AppleServerAnswer> {
    let site = Site::new().await;
    let mut user = site.log_in(&ALICE).await;
    let mut data = Vec::new();
    request.encode(&mut data);
    let root = CreateRequest {
        create_options: CreateOptions::DIRECTORY_FILE,
        contexts: vec![CreateContext::Apple(data.into())],
        ..requests::create("")
    };
    let reply = user.call(&Request::Create(root)).await.unwrap();
    assert_eq!(reply.status(), NtStatus::SUCCESS);
    CreateResponse::decode(&reply.message).unwrap().contexts.into_iter().find_map(|context| match context {
        CreateResponseContext::Apple(data) => Some(AppleServerAnswer::decode(&data).unwrap()),
        _ => None,
    })
}

#[tokio::test]
async fn it_is_told_what_is_here_and_nothing_that_is_not() {
    let client = AppleServerCapabilities::all();
    let query = |bits| AppleRequest::ServerQuery { bits, client };
    let answer = asked(query(AppleQueryBits::from_bits_retain(7))).await.unwrap();
    assert_eq!(answer.server, Some(AppleServerCapabilities::empty()));
    assert_eq!(answer.volume, Some(AppleVolumeCapabilities::FULL_SYNC));
    assert!(answer.model.is_some());
    let answer = asked(query(AppleQueryBits::VOLUME_CAPABILITIES)).await.unwrap();
    assert_eq!((answer.server, answer.model), (None, None), "only what was asked for");
    assert_eq!(asked(AppleRequest::ResolveId { file_id: 1 }).await, None);
}
