//! Security descriptors: what is read must survive being written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smb_wire::security_descriptor::{Control, SecurityDescriptor};

fuzz_target!(|data: &[u8]| {
    let Ok(mut descriptor) = SecurityDescriptor::decode(data) else { return };
    let mut again = Vec::new();
    descriptor.encode(&mut again);
    descriptor.control |= Control::SELF_RELATIVE;
    assert_eq!(SecurityDescriptor::decode(&again), Ok(descriptor));
});
