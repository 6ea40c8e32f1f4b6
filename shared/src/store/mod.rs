//! The DynamoDB table: every item, and how each is written.

pub mod admission;
mod block_records;
pub mod checks;
pub mod codes;
pub mod counters;
pub mod deliveries;
pub mod inbound;
pub mod items;
pub mod lane;
mod read_ahead;
pub mod release;
pub mod send_limits;
pub mod table;
pub mod text_to_verify;
pub mod verification;
