//! Verification codes.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// How many digits a code can have.
const DIGITS: RangeInclusive<usize> = 4..=10;

/// The number of six-digit codes.
const CODES: u32 = 1_000_000;

/// A verification code: 4 to 10 digits. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct VerificationCode(String);

/// The text is not 4 to 10 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 4 to 10 digits, 0 to 9")]
pub struct InvalidCode;

/// A source of random bytes, such as [`getrandom::fill`], the operating system's generator.
pub type Random = fn(&mut [u8]) -> Result<(), getrandom::Error>;

impl VerificationCode {
    /// Generates a six-digit code, each with the same probability.
    ///
    /// # Errors
    /// The error of the source.
    pub fn generate(random: Random) -> Result<Self, getrandom::Error> {
        // Numbers above the last whole multiple of CODES are drawn again: their remainders would favour small codes.
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
        let right = DIGITS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if right { Ok(Self(text.to_owned())) } else { Err(InvalidCode) }
    }
}

/// The fewest digits that a code may have if a caller chooses it: 4 to 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinCodeDigits(usize);

impl MinCodeDigits {
    /// Whether the code has as many digits, or more.
    #[must_use]
    pub const fn allows(self, code: &VerificationCode) -> bool {
        code.0.len() >= self.0
    }
}

impl fmt::Display for MinCodeDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not a number of digits that a code can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be a number of digits from {} to {}, such as 6", DIGITS.start(), DIGITS.end())]
pub struct InvalidMinCodeDigits;

impl FromStr for MinCodeDigits {
    type Err = InvalidMinCodeDigits;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.trim().parse().ok().filter(|digits| DIGITS.contains(digits));
        digits.map(Self).ok_or(InvalidMinCodeDigits)
    }
}

/// A code as a user typed it: digits of other scripts become ASCII, and separators are dropped.
///
/// ```
/// use shared::phone::code::{Guess, VerificationCode};
///
/// let code: VerificationCode = "493027".parse()?;
/// for typed in ["493027", " 493 027 ", "493-027", "４９３０２７", "٤٩٣٠٢٧"] {
///     assert_eq!(typed.parse::<Guess>()?, Guess::from(&code));
/// }
/// assert_ne!("49302O".parse::<Guess>()?, Guess::from(&code));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Guess(String);

/// The text is too long for a typed code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have at most {MAX_TYPED} characters")]
pub struct GuessTooLong;

/// Room for spaces and dashes between ten digits.
const MAX_TYPED: usize = 64;
/// The zeros of the scripts whose digits keyboards produce: ASCII, Arabic-Indic, Persian, Devanagari, Bengali, Thai, full-width.
const ZEROS: [char; 7] = ['0', '\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}', '\u{e50}', '\u{ff10}'];

impl Guess {
    /// Whether nothing was typed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&VerificationCode> for Guess {
    fn from(code: &VerificationCode) -> Self {
        Self(code.0.clone())
    }
}

impl FromStr for Guess {
    type Err = GuessTooLong;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().count() > MAX_TYPED {
            return Err(GuessTooLong);
        }
        let is_between = |c: char| c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '.');
        let digit = |c: char| {
            let value = ZEROS.iter().find_map(|&zero| (c as u32).checked_sub(zero as u32).filter(|&value| value < 10));
            value.and_then(|value| char::from_digit(value, 10)).unwrap_or(c)
        };
        Ok(Self(text.chars().filter(|&c| !is_between(c)).map(digit).collect()))
    }
}

impl fmt::Debug for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guess([redacted])")
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
    fn a_minimum_of_digits_allows_codes_of_as_many_or_more() {
        let allowed = |minimum: &str, code: &str| {
            minimum.parse::<MinCodeDigits>().unwrap().allows(&code.parse::<VerificationCode>().unwrap())
        };
        for (minimum, code, expected) in [
            ("4", "0000", true),
            ("6", "12345", false),
            ("6", "123456", true),
            ("6", "1234567890", true),
            ("10", "123456789", false),
            ("10", "1234567890", true),
        ] {
            assert_eq!(allowed(minimum, code), expected, "{minimum} {code}");
        }
        for text in ["", "3", "11", "-6", "6.0", "six", "99999999999999999999"] {
            assert_eq!(text.parse::<MinCodeDigits>(), Err(InvalidMinCodeDigits), "{text:?}");
        }
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
