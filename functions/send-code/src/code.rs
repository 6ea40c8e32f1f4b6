//! Verification codes.

use std::fmt;
use std::str::FromStr;

/// A made code has six digits, of which there are so many.
const CODES: u32 = 1_000_000;

/// A code that can be texted and typed: 4 to 10 digits. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct VerificationCode(String);

/// Not 4 to 10 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code must have 4 to 10 digits, 0 to 9, and nothing else")]
pub struct InvalidCode;

/// Where random bytes come from: [`getrandom::fill`], the operating system's generator.
pub type Random = fn(&mut [u8]) -> Result<(), getrandom::Error>;

impl VerificationCode {
    /// Makes a six-digit code, each as likely as any other.
    ///
    /// # Errors
    /// What the source of randomness says if it has none.
    pub fn generate(random: Random) -> Result<Self, getrandom::Error> {
        // Numbers at the top that do not fill a whole round are drawn again: a remainder of them would favour small codes.
        const ACCEPTED: u32 = u32::MAX - u32::MAX % CODES;
        loop {
            let mut bytes = [0; 4];
            random(&mut bytes)?;
            let drawn = u32::from_ne_bytes(bytes);
            if drawn < ACCEPTED {
                return Ok(Self(format!("{:06}", drawn % CODES)));
            }
        }
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VerificationCode {
    type Err = InvalidCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let right = (4..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if right { Ok(Self(text.to_owned())) } else { Err(InvalidCode) }
    }
}

impl fmt::Debug for VerificationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerificationCode([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_that_would_favour_small_codes_is_drawn_again() {
        // The first draw is the largest number there is, above the last whole round of a million; the second is 7.
        #[allow(clippy::unnecessary_wraps, reason = "the shape of every source")]
        fn source(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
            use std::sync::atomic::{AtomicBool, Ordering};
            static DRAWN: AtomicBool = AtomicBool::new(false);
            let drawn: u32 = if DRAWN.swap(true, Ordering::SeqCst) { 7 } else { u32::MAX };
            bytes.copy_from_slice(&drawn.to_ne_bytes());
            Ok(())
        }
        assert_eq!(VerificationCode::generate(source).unwrap().as_str(), "000007");
    }

    #[test]
    fn made_codes_spread_over_all_first_digits() {
        let mut first_digits = [0; 10];
        for _ in 0..2_000 {
            let code = VerificationCode::generate(getrandom::fill).unwrap();
            assert!(code.as_str().parse::<VerificationCode>().is_ok() && code.as_str().len() == 6);
            first_digits[usize::from(code.as_str().as_bytes()[0] - b'0')] += 1;
        }
        // 200 each on average; the chance of 100 or fewer anywhere is below one in 10¹².
        assert!(first_digits.iter().all(|&count| count > 100), "{first_digits:?}");
    }

    #[test]
    fn only_digits_are_a_code() {
        for (text, good) in [
            ("493027", true),
            ("0000", true),
            ("1234567890", true),
            ("123", false),
            ("12345678901", false),
            ("12345a", false),
            ("１２３４", false),
            ("", false),
            ("1234\n", false),
        ] {
            assert_eq!(text.parse::<VerificationCode>().is_ok(), good, "{text:?}");
        }
    }
}
