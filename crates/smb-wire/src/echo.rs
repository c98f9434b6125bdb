//! ECHO (MS-SMB2 2.2.28, 2.2.29) and CANCEL (2.2.30).

use crate::empty::empty_body;

empty_body!(EchoRequest, "SMB2 ECHO request (MS-SMB2 2.2.28).", "ECHO request");
empty_body!(EchoResponse, "SMB2 ECHO response (MS-SMB2 2.2.29).", "ECHO response");
empty_body!(
    CancelRequest,
    "SMB2 CANCEL request (MS-SMB2 2.2.30). It has no response: the request that it names is answered.",
    "CANCEL request"
);
