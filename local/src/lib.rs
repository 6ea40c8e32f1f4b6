//! The whole of Tollgate on one machine: the same handlers that Lambda runs, over an embedded DynamoDB, a small Secrets
//! Manager and a fake Twilio. Nothing leaves 127.0.0.1, no account is needed, no SMS is paid for.
//!
//! The one idea: only what is outside of the functions is replaced, and only below a real client. The AWS SDK talks HTTP to the
//! embedded services, and send-code talks HTTP to the fake Twilio, so what works here works through the same code there.

pub mod clock;
pub mod codes;
pub mod controls;
pub mod database;
pub mod demo;
pub mod desk;
pub mod fake_account;
pub mod fake_secrets;
pub mod gate;
pub mod gateway;
pub mod page;
pub mod phones;
pub mod simulation;
pub mod system;
