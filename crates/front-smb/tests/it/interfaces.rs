//! What clients are told of the server's addresses.

use crate::{Client, serve};
use smb2::msg::ioctl::{IoctlRequest, SMB2_0_IOCTL_IS_FSCTL};
use smb2::types::status::NtStatus;
use smb2::types::{Command, FileId};

const QUERY_NETWORK_INTERFACE_INFO: u32 = 0x0014_01FC;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_did_not_agree_on_several_channels_is_told_of_no_address() {
    const NOT_SUPPORTED: NtStatus = NtStatus(0xC000_00BB);
    let (_server, address) = serve().await;
    let client = Client::new(&address).await;
    let request = IoctlRequest {
        ctl_code: QUERY_NETWORK_INTERFACE_INFO,
        file_id: FileId { persistent: u64::MAX, volatile: u64::MAX },
        max_input_response: 0,
        max_output_response: 65536,
        flags: SMB2_0_IOCTL_IS_FSCTL,
        input_data: Vec::new(),
    };
    let connection = client.smb.connection();
    let answer = connection.execute(Command::Ioctl, &request, Some(client.tree.tree_id)).await.unwrap();
    assert_eq!(answer.header.status, NOT_SUPPORTED);
}
