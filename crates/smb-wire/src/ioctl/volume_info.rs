//! FSCTL_QUERY_ON_DISK_VOLUME_INFO: what a UDF volume says about itself (MS-FSCC 2.3.60).

use crate::{cursor::Put, time::FileTime};

/// Output of FSCTL_QUERY_ON_DISK_VOLUME_INFO.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OnDiskVolumeInformation {
    /// Directories on the volume; `u64::MAX` when nobody counted.
    pub directory_count: u64,
    /// Files on the volume; `u64::MAX` when nobody counted.
    pub file_count: u64,
    /// Version of the format.
    pub format_version: (u16, u16),
    /// Name of the format, at most 12 UTF-16 units.
    pub format_name: String,
    /// When the volume was made.
    pub format_time: FileTime,
    /// When it was last written.
    pub last_update_time: FileTime,
    /// At most 34 UTF-16 units.
    pub copyright: String,
    /// At most 34 UTF-16 units.
    pub summary: String,
    /// Who made the volume, at most 34 UTF-16 units.
    pub formatted_by: String,
    /// Who wrote to it last, at most 34 UTF-16 units.
    pub modified_by: String,
}

impl OnDiskVolumeInformation {
    /// Length in bytes.
    pub const LEN: usize = 332;

    /// Appends the output buffer; longer texts are cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u64(self.directory_count);
        out.u64(self.file_count);
        out.u16(self.format_version.0);
        out.u16(self.format_version.1);
        put_text(&self.format_name, 24, out);
        out.u64(self.format_time.0);
        out.u64(self.last_update_time.0);
        for text in [&self.copyright, &self.summary, &self.formatted_by, &self.modified_by] {
            put_text(text, 68, out);
        }
    }
}

/// A text in a field of `length` bytes, padded with zeros.
fn put_text(text: &str, length: usize, out: &mut Vec<u8>) {
    let end = out.len() + length;
    out.utf16(text);
    out.resize(end, 0);
}
