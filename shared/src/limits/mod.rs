//! Rate limits: the rules, and the two ways to enforce them in DynamoDB, a sliding log and a counter. And the record of a block of
//! numbers, which decides who is refused first when a country fills up.

pub mod block_record;
pub mod bucket_counter;
pub mod rules;
pub(crate) mod sliding_log;
