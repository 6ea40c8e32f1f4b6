//! The library of Tollgate's functions: pure decisions (signatures, phone numbers, limits) and the I/O around them (the table, the
//! secrets, Twilio).

#![deny(missing_docs)]

pub mod limits;
pub mod messages;
pub mod phone;
pub mod runtime;
pub mod store;
pub mod twilio;
