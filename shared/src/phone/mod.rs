//! Recipients and codes: phone numbers, the policy for them, test numbers, verification codes.

pub mod code;
pub mod number;
pub mod policy;
pub mod test_numbers;
pub(crate) mod typed;
