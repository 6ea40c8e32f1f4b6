//! Rate limits: the rules, and the two ways to enforce them in DynamoDB, a sliding log and a counter.

pub mod bucket_counter;
pub mod rules;
pub(crate) mod sliding_log;
