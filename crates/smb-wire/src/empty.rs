//! Bodies that say nothing beyond their own existence: a StructureSize of 4 and two reserved bytes.

macro_rules! empty_body {
    ($name:ident, $doc:literal, $what:literal) => {
        #[doc = $doc]
        ///
        /// Nothing but a reserved word follows the header.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name;

        impl $name {
            /// Checks that the body is there; the reserved word is ignored.
            pub fn decode(message: &::bytes::Bytes) -> Result<Self, $crate::error::WireError> {
                $crate::cursor::Fixed::<4>::body(message, $what, 4).map(|_| Self)
            }

            /// Appends the body.
            pub fn encode(&self, body: &mut Vec<u8>) {
                body.extend_from_slice(&[4, 0, 0, 0]);
            }
        }
    };
}

pub(crate) use empty_body;
