//! Tests of the public API: published vectors, models, hostile input, log-ins of a client written apart.

mod access;
mod access_inherit;
mod credits;
mod hostile;
mod kerberos;
mod login;
mod negotiate;
mod peers;
mod published;
mod signing;
mod vector_file;
mod wildcard;
