//! The HTTP API for scripts, tests and the page. `docs/local.md` describes it.

pub mod admin;
pub mod events;
pub mod limits;
pub mod otp;
pub mod phones;
pub mod state;
