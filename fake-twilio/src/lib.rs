//! A fake but stateful Twilio for tests. An app that changes nothing but Twilio's base URL gets what Twilio would answer: it
//! refuses what Twilio refuses, with the same codes and messages, and does by itself what Twilio does by itself, with the same
//! parameters and signatures: delivery, status callbacks, webhooks, keywords. Phones are played by the test.

#![deny(missing_docs)]

mod account;
mod config;
mod conversation;
mod delivery;
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
mod smart_encoding;
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
pub use inbound::TextError;
pub use media::{Attachment, Media};
pub use message::{DeliveryState, Direction, Message};
pub use number::IncomingNumber;
pub use shared::phone::number::is_e164;
pub use store::journal::{Journal, JournalError};
pub use store::ledger::{Entry, clock_ahead_ms};
pub use twilio::FakeTwilio;
pub use webhook::WebhookCallError;
