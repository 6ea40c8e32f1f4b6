//! The DynamoDB table: every item, and how each is written.

pub mod admission;
pub mod checks;
pub mod codes;
pub mod counters;
pub mod deliveries;
pub mod inbound;
pub mod items;
pub mod lane;
pub mod release;
pub mod send_limits;
pub mod table;
pub mod verification;
