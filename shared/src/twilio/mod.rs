//! Twilio: sending, webhooks and their signatures, TwiML, error codes, segments and their price.

pub mod client;
pub mod error_code;
pub mod form;
pub mod keywords;
pub mod origin;
pub mod price;
pub mod reception;
pub mod segments;
pub mod sid;
pub mod signature;
pub mod twiml;
pub mod url;
pub mod webhook;
