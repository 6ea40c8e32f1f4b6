//! What Tollgate's functions share: pure decisions (signatures, phone numbers, limits), and the narrow I/O around them
//! (the table, the secrets, Twilio).

pub mod aws;
pub mod backoff;
pub mod budget;
pub mod clock;
pub mod code;
pub mod credentials;
pub mod form;
pub mod http;
pub mod ip;
pub mod limits;
pub mod metrics;
pub mod phone_number;
pub mod policy;
pub mod segments;
pub mod settings;
pub mod signature;
pub mod start;
pub mod table;
pub mod telemetry;
pub mod test_numbers;
pub mod twilio;
pub mod twiml;
pub mod webhook;
