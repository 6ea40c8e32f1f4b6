//! What a user or an attacker would notice, on the whole system: the handlers that Lambda runs, the real AWS SDK over an
//! embedded DynamoDB, HTTP over loopback, and a clock that tests move by hand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that meets an error has failed")]

mod block_records;
mod checklist;
mod checks;
mod counters;
mod credentials;
mod deliveries;
mod docs;
mod faults;
mod handsets;
mod hostile;
mod least_privilege;
mod metrics;
mod networks;
mod origin_verify;
mod phones;
mod replies;
mod repository;
mod sends;
mod spend;
mod structure;
mod support;
mod template;
mod text_to_verify;
mod twilio_faults;
mod unassigned;
mod verifications;
mod webhooks;
