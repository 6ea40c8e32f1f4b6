//! Rate limits: the rules, and the two ways in which DynamoDB keeps them, a sliding log and a counter.

pub mod bucket_counter;
pub mod rules;
pub(crate) mod sliding_log;
