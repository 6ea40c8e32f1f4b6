//! Recipients and codes: phone numbers, the policy for them, test numbers, verification codes, phrases that users text.

pub mod code;
pub mod number;
pub mod phrase;
pub mod policy;
pub mod test_numbers;
pub(crate) mod typed;
mod words;
