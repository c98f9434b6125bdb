//! Any request, by its command.

use crate::{
    change_notify::ChangeNotifyRequest,
    close::CloseRequest,
    create::CreateRequest,
    echo::{CancelRequest, EchoRequest},
    error::WireError,
    flush::FlushRequest,
    header::{Command, Header},
    ioctl::IoctlRequest,
    lock::LockRequest,
    negotiate::NegotiateRequest,
    oplock_break::BreakAcknowledgement,
    query_directory::QueryDirectoryRequest,
    query_info::QueryInfoRequest,
    read::ReadRequest,
    session_setup::{LogoffRequest, SessionSetupRequest},
    set_info::SetInfoRequest,
    tree::{TreeConnectRequest, TreeDisconnectRequest},
    write::WriteRequest,
};
use bytes::Bytes;

macro_rules! requests {
    ($($command:ident => $type:ty,)*) => {
        /// The body of a request.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Request {
            $($command($type),)*
        }

        impl Request {
            /// Reads the body of the request that `message` is; `header` is its header. A command without
            /// a name is an error (MS-SMB2 3.3.5.2: `INVALID_PARAMETER`).
            pub fn decode(header: &Header, message: &Bytes) -> Result<Self, WireError> {
                match header.command {
                    $(Command::$command => <$type>::decode(message).map(Self::$command),)*
                    Command::Other(code) => {
                        Err(WireError::BadValue { what: "SMB2 header Command", value: u64::from(code) })
                    }
                }
            }

            /// Appends the body.
            pub fn encode(&self, body: &mut Vec<u8>) {
                match self {
                    $(Self::$command(request) => request.encode(body),)*
                }
            }

            /// The command of this request.
            pub fn command(&self) -> Command {
                match self {
                    $(Self::$command(_) => Command::$command,)*
                }
            }
        }
    };
}

requests! {
    Negotiate => NegotiateRequest,
    SessionSetup => SessionSetupRequest,
    Logoff => LogoffRequest,
    TreeConnect => TreeConnectRequest,
    TreeDisconnect => TreeDisconnectRequest,
    Create => CreateRequest,
    Close => CloseRequest,
    Flush => FlushRequest,
    Read => ReadRequest,
    Write => WriteRequest,
    Lock => LockRequest,
    Ioctl => IoctlRequest,
    Cancel => CancelRequest,
    Echo => EchoRequest,
    QueryDirectory => QueryDirectoryRequest,
    ChangeNotify => ChangeNotifyRequest,
    QueryInfo => QueryInfoRequest,
    SetInfo => SetInfoRequest,
    OplockBreak => BreakAcknowledgement,
}
