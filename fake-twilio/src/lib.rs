//! A stand-in for Twilio that does what Twilio does: it checks, sends, delivers, reports, and tells us what phones text.
//!
//! The one idea: an app with nothing but Twilio's base URL changed gets what it would get from Twilio. The refusals above all, so
//! that a request which passes here passes there (they stand in one table, in `errors`); and all that Twilio does by itself, with
//! the same parameters and the same signatures. Only the phones are not there, so they can be played.

mod account;
mod config;
mod conversation;
mod delivery;
mod e164;
mod errors;
pub mod exchanges;
pub mod faults;
mod inbound;
mod keywords;
mod limits;
pub mod loopback;
mod media;
mod media_download;
mod message;
mod number;
mod parameters;
pub mod resettable;
pub mod rest;
mod sid;
mod store;
pub mod test_api;
#[cfg(test)]
mod tests;
mod twilio;
mod twiml;
mod validation;
mod webhook;

pub use account::TwilioAccount;
pub use config::{DeliveryTiming, TwilioConfig};
pub use conversation::{TextResult, WebhookCall};
pub use e164::is_e164;
pub use inbound::TextError;
pub use media::{Attachment, Media};
pub use message::{DeliveryState, Direction, Message};
pub use number::IncomingNumber;
pub use store::journal::{Journal, JournalError};
pub use store::ledger::{Entry, clock_ahead_ms};
pub use twilio::FakeTwilio;
pub use webhook::WebhookError;
