//! All of Tollgate on one machine: the handlers that Lambda runs, over an embedded DynamoDB, a small Secrets Manager and a fake
//! Twilio. Nothing leaves 127.0.0.1, and no SMS is sent or paid for.
//!
//! Only what is outside the functions is replaced, and only below a real client: the AWS SDK talks HTTP to the embedded services,
//! and send-code talks HTTP to the fake Twilio. So the same code runs here and on Lambda.

pub mod api;
pub mod aws;
pub mod clock;
pub mod demo;
pub mod fake_account;
pub mod fixtures;
pub mod functions;
pub mod limit_usage;
pub mod overview;
pub mod page;
mod qr;
mod random;
pub mod server;
pub mod simulation;
pub mod system;
