//! CLOSE (MS-SMB2 3.3.5.10).

use crate::commands::file_info;
use crate::open::{self, Kind};
use crate::reply::Answer;
use crate::request::Request;
use crate::status::failed;
use smb_wire::NtStatus;
use smb_wire::close::{CloseAttributes, CloseRequest, CloseResponse};

pub(super) async fn close(request: &Request) -> Result<Answer, NtStatus> {
    let decoded = CloseRequest::decode(&request.message).map_err(|error| error.status())?;
    let open = request.open(decoded.file_id)?;
    let open = request.session()?.take_open(open.id).ok_or(NtStatus::FILE_CLOSED)?;
    let attr = match &open.kind {
        Kind::Pipe(pipe) => {
            pipe.end();
            None
        }
        Kind::Quota(_) => None,
        Kind::File(file) => {
            let server = &request.connection.server;
            let attr = open::close(server, open.id.persistent, file, request.cx()).await.map_err(failed)?;
            attr.inspect(|attr| file.keep_change_time(attr)).map(|attr| file.show(attr))
        }
    };
    let attributes =
        decoded.post_query_attributes.then(|| attr.map(|attr| attributes(&attr)).unwrap_or_default());
    Ok(Answer::ok(|body| CloseResponse { attributes }.encode(body)))
}

fn attributes(attr: &volume::Attr) -> CloseAttributes {
    let times = file_info::times(attr);
    CloseAttributes {
        creation_time: times.creation,
        last_access_time: times.last_access,
        last_write_time: times.last_write,
        change_time: times.change,
        allocation_size: file_info::allocation(attr),
        end_of_file: file_info::end_of_file(attr),
        file_attributes: file_info::attributes(attr),
    }
}
