//! The codec against packets of real clients and servers, and against everything that properties can
//! think of.

mod captures;
mod controls;
mod fields;
mod round_trip;
