//! Whose an object is, as its security descriptor says: all that is read of one below `vfs`.

use crate::QUOTA_USER_MAX_BYTES;
use bytes::Bytes;

/// Bytes of a self-relative descriptor before its parts (MS-DTYP 2.4.6).
const FIXED_BYTES: usize = 20;
/// Bytes of a SID before its sub-authorities (MS-DTYP 2.4.2.2).
const SID_HEAD_BYTES: usize = 8;

/// How the SIDs of POSIX users at the origin begin (S-1-22-1-UID): revision, number of sub-authorities, authority, the first of
/// them. They own what local users have made, and are no users of ours.
const POSIX_USER: [u8; 12] = [1, 2, 0, 0, 0, 0, 0, 22, 1, 0, 0, 0];

/// The SID of the owner that a self-relative descriptor names; `None` where it names nobody, or a POSIX user at the origin, and
/// where it is none.
pub fn owner_of(descriptor: &Bytes) -> Option<Bytes> {
    let fixed = descriptor.get(..FIXED_BYTES)?;
    let offset = u32::from_le_bytes(fixed.get(4..8)?.try_into().ok()?);
    let offset = usize::try_from(offset).ok().filter(|offset| *offset >= FIXED_BYTES)?;
    if fixed[0] != 1 {
        return None;
    }
    let [revision, parts] = *descriptor.get(offset..)?.first_chunk()?;
    let end = offset.checked_add(SID_HEAD_BYTES + usize::from(parts) * 4)?;
    let whole = revision == 1 && end - offset <= QUOTA_USER_MAX_BYTES && end <= descriptor.len();
    let owner = whole.then(|| descriptor.slice(offset..end))?;
    (!owner.starts_with(&POSIX_USER)).then_some(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S-1-5-21-7.
    const SID: [u8; 16] = [1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 7, 0, 0, 0];

    fn descriptor(offset: u32, behind: &[u8]) -> Bytes {
        let mut bytes = vec![1, 0, 0, 0x80];
        bytes.extend(offset.to_le_bytes());
        bytes.extend([0; 12]);
        bytes.extend(behind);
        bytes.into()
    }

    fn check(descriptor: impl Into<Bytes>, expect: Option<&[u8]>) {
        let descriptor = descriptor.into();
        assert_eq!(owner_of(&descriptor).as_deref(), expect, "{descriptor:02x?}");
    }

    #[test]
    fn the_owner_is_found_wherever_it_lies() {
        check(descriptor(20, &SID), Some(&SID));
        check(descriptor(23, &[&[9; 3], &SID[..], &[9; 5]].concat()), Some(&SID));
        check(descriptor(20, &[1, 0, 0, 0, 0, 0, 0, 5]), Some(&[1, 0, 0, 0, 0, 0, 0, 5]));
    }

    #[test]
    fn local_users_of_the_origin_own_nothing_here() {
        let posix =
            |class: u8| [&[1, 2, 0, 0, 0, 0, 0, 22, class, 0, 0, 0][..], &1000u32.to_le_bytes()].concat();
        check(descriptor(20, &posix(1)), None);
        check(descriptor(20, &posix(3)), Some(&posix(3)));
    }

    #[test]
    fn what_names_nobody_or_is_hostile_has_no_owner() {
        check(descriptor(0, &SID), None);
        for offset in [1, 4, 19, 21, 22, 28, 35, 36, 37, u32::MAX - 7, u32::MAX] {
            check(descriptor(offset, &SID), None);
        }
        let whole = descriptor(20, &SID);
        for length in 0..whole.len() {
            check(whole.slice(..length), None);
        }
        let other = |at: usize, value: u8| {
            let mut bytes = whole.to_vec();
            bytes[at] = value;
            check(bytes, None);
        };
        // Another revision of the descriptor, of the SID; more sub-authorities than there are, and than there may be.
        for (at, value) in [(0, 0), (0, 2), (20, 0), (20, 2), (21, 3), (21, 255)] {
            other(at, value);
        }
        check(descriptor(20, &[&[1, 16][..], &[0; 100]].concat()), None);
        check(descriptor(20, &[&[1, 15][..], &[0; 66]].concat()), Some(&[&[1, 15][..], &[0; 66]].concat()));
    }
}
