//! Who is texted, and what they type: phone numbers, the policy for them, test numbers, codes.

pub mod code;
pub mod number;
pub mod policy;
pub mod test_numbers;
