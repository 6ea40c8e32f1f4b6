//! The promises of the shared crate, as a user or an attacker would meet them.

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod limits;
mod signature;
