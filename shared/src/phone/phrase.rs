//! The phrase that a user texts to us: two words and a number, such as `maple otter 42`. Pure.
//!
//! Words and not only digits: Twilio takes a text that looks like a one-time code for one, redacts it and fails it with error
//! [30038](https://www.twilio.com/docs/api/errors/30038).

use super::typed::{ascii_digit, is_invisible};
use super::words::WORDS;
use std::fmt;

/// The numbers of two digits, so that no phrase has a leading zero, which people leave out.
const FIRST_NUMBER: u64 = 10;
const NUMBERS: u64 = 90;

/// The longest text that Twilio delivers.
const MAX_TEXT: usize = 1600;

/// A phrase: one of 1,024 × 1,024 × 90, which is 2^26.5. `Debug` does not print it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Phrase {
    first: &'static str,
    second: &'static str,
    number: u64,
}

impl Phrase {
    /// The phrase that these random bytes stand for, each with the same probability: 90 numbers out of 2^64 differ by less than one in
    /// 10^17.
    #[must_use]
    pub fn of(random: [u8; 16]) -> Self {
        let random = u128::from_be_bytes(random);
        let word = |from: u32| WORDS[usize::try_from(random >> from & 0x3ff).unwrap_or_default()];
        let number = u64::try_from(random & u128::from(u64::MAX)).unwrap_or_default() % NUMBERS;
        Self { first: word(118), second: word(108), number: FIRST_NUMBER + number }
    }

    /// The phrase in a text, however it is written; `None` if there is none, or more than one.
    ///
    /// ```
    /// use shared::phone::phrase::Phrase;
    ///
    /// for text in ["Verify example.com: maple otter 42", "MAPLE-OTTER 42.", "> Verify example.com: mapleotter42\nSent!"] {
    ///     assert_eq!(Phrase::find(text).map(|phrase| phrase.to_string()).as_deref(), Some("maple otter 42"));
    /// }
    /// for text in ["maple otter", "maple otter 421", "maple otter 42 or apple eagle 17?"] {
    ///     assert_eq!(Phrase::find(text), None);
    /// }
    /// ```
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        if text.chars().nth(MAX_TEXT).is_some() {
            return None;
        }
        let letters = squeezed(text);
        let is_digit = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(u8::is_ascii_digit);
        let mut phrases = (0..letters.len())
            .filter(|&at| is_digit(Some(at)) && is_digit(Some(at + 1)))
            .filter(|&at| !is_digit(at.checked_sub(1)) && !is_digit(Some(at + 2)))
            .filter_map(|at| Self::before(&letters[..at], [letters[at], letters[at + 1]]));
        let phrase = phrases.next()?;
        phrases.all(|other| other == phrase).then_some(phrase)
    }

    /// The phrase of the two words that end here, and these digits.
    fn before(letters: &[u8], digits: [u8; 2]) -> Option<Self> {
        let last_word = |letters: &[u8]| WORDS.iter().find(|word| letters.ends_with(word.as_bytes())).copied();
        let second = last_word(letters)?;
        let first = last_word(&letters[..letters.len() - second.len()])?;
        let [tens, ones] = digits.map(|digit| u64::from(digit - b'0'));
        Some(Self { first, second, number: tens * 10 + ones })
    }
}

/// A text without all that people and keyboards change: case, spaces, punctuation, and what nobody sees. Digits of any script are ASCII,
/// and digits that were apart stay apart. So does what is no letter of ASCII.
fn squeezed(text: &str) -> Vec<u8> {
    let mut letters = Vec::with_capacity(text.len());
    let mut gap = false;
    for character in text.chars().filter(|&character| !is_invisible(character)) {
        let byte = match ascii_digit(character) {
            Some(digit) => u8::try_from(digit).unwrap_or(b' '),
            None if character.is_ascii_alphabetic() => u8::try_from(character.to_ascii_lowercase()).unwrap_or(b' '),
            None if character.is_alphanumeric() => b' ',
            None => {
                gap = true;
                continue;
            }
        };
        if gap && byte.is_ascii_digit() && letters.last().is_some_and(u8::is_ascii_digit) {
            letters.push(b' ');
        }
        gap = false;
        letters.push(byte);
    }
    letters
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.first, self.second, self.number)
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phrase([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Option<String> {
        Phrase::find(text).map(|phrase| phrase.to_string())
    }

    #[test]
    fn a_phrase_is_found_as_people_and_keyboards_write_it() {
        for text in [
            "Verify example.com: maple otter 42",
            "verify example.com: maple otter 42.",
            "Maple Otter 42",
            "MAPLE OTTER 42",
            "maple  otter\u{a0}42 ",
            "maple-otter-42",
            "maple–otter—42",
            "“maple otter 42”",
            "mapleotter42",
            "maple otter 42\n\nSent from my iPhone 15",
            "> Verify example.com: maple otter 42\n\nHere it is",
            "Verify example.com: maple otter 42 Verify example.com: maple otter 42",
            "Verify shop24.com: maple otter 42",
            "\u{200e}maple\u{200b} otter\u{ad} ٤٢",
            "Hi! My code is maple, otter, 42, thanks",
            "maple otter 42 ✅",
        ] {
            assert_eq!(found(text).as_deref(), Some("maple otter 42"), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_phrase_or_more_than_one_is_none() {
        for text in [
            "",
            "42",
            "maple otter",
            "maple otter 4",
            "maple otter 421",
            "maple otter 4 2",
            "otter 42",
            "maple ott 42",
            "maple the otter 42",
            "Your verification code is 493027",
            "maple otter 42 or apple eagle 17",
            "mäple otter 42",
        ] {
            assert_eq!(found(text), None, "{text:?}");
        }
        assert_eq!(found(&format!("{}maple otter 42", " ".repeat(1587))), None, "longer than a message");
    }

    proptest! {
        #[test]
        fn every_phrase_is_found_in_its_own_text(random: [u8; 16], before in "[A-Za-z .:]{0,20}", after in "[ .!a-zA-Z]{0,20}") {
            let phrase = Phrase::of(random);
            let text = phrase.to_string();
            prop_assert!(Phrase::find(&text) == Some(phrase));
            prop_assert!(Phrase::find(&text.to_uppercase()) == Some(phrase));
            prop_assert!(Phrase::find(&text.replace(' ', "")) == Some(phrase));
            let within = format!("{before}{text}{after}");
            prop_assert!(Phrase::find(&within) == Some(phrase));
        }

        #[test]
        fn no_text_makes_the_search_fail(text in "\\PC{0,200}") {
            let _ = Phrase::find(&text);
        }
    }

    #[test]
    fn phrases_use_all_words_and_numbers() {
        let bytes = |first: u128, second: u128, number: u128| (first << 118 | second << 108 | number).to_be_bytes();
        assert_eq!(Phrase::of(bytes(0, 1023, 0)).to_string(), format!("{} {} 10", WORDS[0], WORDS[1023]));
        assert_eq!(Phrase::of(bytes(1023, 0, 89)).to_string(), format!("{} {} 99", WORDS[1023], WORDS[0]));
    }
}
