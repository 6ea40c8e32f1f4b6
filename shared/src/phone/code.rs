//! Verification codes.

use super::typed::{ascii_digit, is_invisible};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// How many digits a code can have.
const DIGITS: RangeInclusive<usize> = 4..=10;

/// How many digits a generated code has, and how many such codes there are.
const GENERATED_DIGITS: usize = 6;
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

    /// The six-digit code that these random bytes stand for. Of the 2^128 values of the first 16, each code has as many as any other but
    /// one.
    #[must_use]
    pub fn of(random: [u8; 32]) -> Self {
        let drawn = random[..16].iter().fold(0, |drawn, &byte| drawn << 8 | u128::from(byte));
        Self(format!("{:06}", drawn % u128::from(CODES)))
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
    /// As few as a code can have.
    pub const FEWEST: Self = Self(*DIGITS.start());

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

/// A code as a user typed or pasted it: digits of any script, with spaces and dashes between them, and with anything around them, such
/// as quotes, the `G-` of a template, or the rest of the text.
///
/// ```
/// use shared::phone::code::{Guess, MinCodeDigits};
///
/// let six: MinCodeDigits = "6".parse()?;
/// for typed in ["493027", " 493-027. ", "G-493027", "@example.com #493027", "٤٩٣٠٢٧"] {
///     assert_eq!(typed.parse::<Guess>()?.code(six).map(|code| code.as_str()), Some("493027"));
/// }
/// for typed in ["", "49302O", "49302"] {
///     assert_eq!(typed.parse::<Guess>()?.code(six), None);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Guess(Vec<VerificationCode>);

/// The text is too long for a typed code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have at most {MAX_TYPED} characters")]
pub struct GuessTooLong;

/// The longest text that Twilio sends, since people paste all of it.
const MAX_TYPED: usize = 1600;

impl Guess {
    /// The code that was meant: the only one in the text that can be a code of this stack. Generated ones always have six digits.
    /// Anything else can't be right, so it is not worth an attempt.
    #[must_use]
    pub fn code(&self, fewest: MinCodeDigits) -> Option<&VerificationCode> {
        let fewest = MinCodeDigits(fewest.0.min(GENERATED_DIGITS));
        let mut codes = self.0.iter().filter(|code| fewest.allows(code));
        codes.next().filter(|_| codes.next().is_none())
    }
}

impl FromStr for Guess {
    type Err = GuessTooLong;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().nth(MAX_TYPED).is_some() {
            return Err(GuessTooLong);
        }
        let is_between = |c: char| matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '.' | '\t');
        let is_space = |c: char| c.is_whitespace() && !c.is_control();
        // Anything that doesn't belong to a code is a space between codes.
        let digits: String = text
            .chars()
            .filter(|&c| !is_invisible(c) && !is_between(c) && !is_space(c))
            .map(|c| ascii_digit(c).unwrap_or(' '))
            .collect();
        let mut codes: Vec<VerificationCode> = digits.split(' ').filter_map(|code| code.parse().ok()).collect();
        // An origin-bound text has its code twice.
        codes.sort_by(|a, b| a.0.cmp(&b.0));
        codes.dedup();
        Ok(Self(codes))
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
    use proptest::prelude::*;

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

    /// The code in a text, on a stack whose codes have at least six digits.
    fn guessed(text: &str) -> Option<String> {
        let guess: Guess = text.parse().unwrap();
        guess.code("6".parse().unwrap()).map(|code| code.as_str().to_owned())
    }

    #[test]
    fn a_pasted_code_is_the_code() {
        for typed in [
            "493027",
            " 493 027 ",
            "493-027",
            "493–027",
            "493.027",
            "493027.",
            "493027\r\n",
            "493\t027",
            "\u{200b}493027",
            "\u{202d}493\u{2060}027\u{202c}",
            "4\u{ad}9\u{feff}3\u{200e}0\u{fe0f}2\u{3164}7",
            "\"493027\"",
            "“493027”",
            "«493027»",
            "'493027'",
            "(493027)",
            "[493027]",
            "<493 027>",
            "#493027",
            "@example.com #493027",
            "G-493027",
            "g-493 027",
            "ACME: 493027",
            "2FA-493027",
            "493027 is your ACME code. Never share it.\n\n@example.com #493027",
            "ACME 2026: 493027",
            "493027, good for 10 minutes",
            "４９３０２７",
            "٤٩٣٠٢٧",
            "۴۹۳۰۲۷",
            "४९३०२७",
            "၄၉၃၀၂၇",
            "௪௯௩௦௨௭",
            "౪౯౩౦౨౭",
            "૪૯૩૦૨૭",
            "৪৯৩০২৭",
            "๔๙๓๐๒๗",
        ] {
            assert_eq!(guessed(typed).as_deref(), Some("493027"), "{typed:?}");
        }
    }

    #[test]
    fn what_can_be_no_code_or_either_of_two_is_none() {
        for typed in [
            "",
            "   ",
            "-",
            "#",
            "abcdef",
            "49302O",
            "49302",
            "4930",
            "😀",
            "493027493027",
            "493027 or 493028",
            "四九三〇二七",
        ] {
            assert_eq!(guessed(typed), None, "{typed:?}");
        }
        assert!("4".repeat(1601).parse::<Guess>().is_err());
    }

    #[test]
    fn the_shortest_code_is_the_shortest_that_this_stack_sends() {
        for (typed, fewest, code) in [
            ("4930", "4", Some("4930")),
            ("493", "4", None),
            ("4930", "6", None),
            ("493027", "8", Some("493027")), // a generated one
            ("ACME 2026: 493027", "4", None),
            ("1234567890", "6", Some("1234567890")),
        ] {
            let guess: Guess = typed.parse().unwrap();
            assert_eq!(guess.code(fewest.parse().unwrap()).map(VerificationCode::as_str), code, "{typed} {fewest}");
        }
    }

    proptest! {
        #[test]
        fn no_decoration_changes_a_code(
            code in "[0-9]{6,10}",
            separators in prop::collection::vec("[ .\t\u{a0}\u{3000}\\p{Cf}\u{fe0f}‐-]{0,3}", 11),
            (before, after) in ("[\"'«“(\\[<#:,;!?\u{200e}\na-zA-Z]{0,8}", "[\"'»”)\\]>#:,;!?\u{200e}\na-zA-Z]{0,8}"),
            zero in prop::sample::select(&['0', '\u{660}', '\u{6f0}', '\u{966}', '\u{be6}', '\u{1040}', '\u{ff10}'][..]),
        ) {
            let mut text = before;
            for (digit, separator) in code.bytes().zip(&separators) {
                text.push_str(separator);
                text.extend(char::from_u32(u32::from(zero) + u32::from(digit - b'0')));
            }
            text.push_str(&after);
            prop_assert_eq!(guessed(&text), Some(code), "{:?}", text);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = guessed(&text);
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
