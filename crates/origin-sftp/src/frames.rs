//! The packets of SFTP out of the data of an SSH channel, whose own packets begin and end anywhere.

use crate::error::Loss;
use crate::wire::split_frame;
use bytes::{Bytes, BytesMut};
use russh::{ChannelMsg, ChannelReadHalf};

/// What comes from the server.
pub(crate) struct Frames {
    channel: ChannelReadHalf,
    buffer: BytesMut,
}

impl Frames {
    pub(crate) fn new(channel: ChannelReadHalf) -> Frames {
        Frames { channel, buffer: BytesMut::new() }
    }

    /// The next packet, without its length. Nothing is lost when it is not awaited to the end.
    pub(crate) async fn next(&mut self) -> Result<Bytes, Loss> {
        loop {
            match split_frame(&mut self.buffer) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(why) => return Err(Loss { kind: volume::ErrorKind::Corrupt, story: why.to_string() }),
            }
            match self.channel.wait().await {
                Some(ChannelMsg::Data { data }) => self.buffer.extend_from_slice(&data),
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    tracing::debug!(
                        "the SFTP server says: {}",
                        String::from_utf8_lossy(&data).escape_debug()
                    );
                }
                Some(ChannelMsg::Failure) => return Err(Loss::refused("the server has no SFTP subsystem")),
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None => {
                    return Err(Loss::offline("the connection to the SFTP server was lost"));
                }
                Some(_) => {}
            }
        }
    }
}
