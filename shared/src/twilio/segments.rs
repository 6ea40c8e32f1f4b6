//! How many SMS segments a text costs. Twilio bills each segment as a message.
//!
//! A segment has 140 bytes. They hold 160 characters if all are in GSM-7. A single other character turns the whole text into
//! UCS-2, of which a segment holds 70. In a text of several segments, each spends six bytes on the header that joins them, which
//! leaves 153 or 67. A constant table is all that the count needs, and the crates that count segments are not maintained, so it
//! is written here.
//!
//! Sources: 3GPP TS 23.038, 6.2.1 (the alphabet and its extension) and TS 23.040, 9.2.3.24 (the header);
//! <https://www.twilio.com/docs/glossary/what-is-gsm-7-character-encoding>, whose characters are the same. Twilio's "smart
//! encoding", an option of Messaging Services that replaces some characters before they are counted, is left out.

use std::fmt;

/// The longest text that Twilio accepts, in characters: <https://www.twilio.com/docs/api/errors/21617>
pub const MAX_BODY: usize = 1600;

/// The default alphabet of GSM, one septet each, in the order of its codes; between Ξ and Æ is the escape.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// The characters of an escape and a second septet; the first is the page break.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// The encoding of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Seven bits per character, 14 for those of the extension table.
    Gsm7,
    /// UTF-16: 16 bits per character, 32 beyond U+FFFF.
    Ucs2,
}

/// The size of a text.
///
/// ```
/// use shared::twilio::segments::{Encoding, Segments};
///
/// let plain = Segments::of("Your verification code is: 493027");
/// assert_eq!(plain, Segments { encoding: Encoding::Gsm7, count: 1, units: 33 });
/// // GSM-7 has no "ê", so the whole text is encoded as UCS-2.
/// let french = Segments::of(&format!("{}ê", "e".repeat(70)));
/// assert_eq!(french, Segments { encoding: Encoding::Ucs2, count: 2, units: 71 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// The encoding of the whole text.
    pub encoding: Encoding,
    /// The number of segments, at least one.
    pub count: usize,
    /// The length, in septets of GSM-7 or code units of UTF-16.
    pub units: usize,
}

impl Encoding {
    /// How many units a single segment holds.
    #[must_use]
    pub const fn alone(self) -> usize {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// How many units each of several segments holds.
    #[must_use]
    pub const fn joined(self) -> usize {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }

    /// How many units a character takes. For GSM-7, the character must be in its tables.
    fn units(self, character: char) -> usize {
        match self {
            Self::Gsm7 => septets(character).unwrap_or(1),
            Self::Ucs2 => character.len_utf16(),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gsm7 => "GSM-7",
            Self::Ucs2 => "UCS-2",
        })
    }
}

impl Segments {
    /// Counts the segments of a text. An empty one counts as one segment.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let encoding = if first_outside_gsm7(text).is_none() { Encoding::Gsm7 } else { Encoding::Ucs2 };
        let units = text.chars().map(|character| encoding.units(character)).sum();
        let count = if units <= encoding.alone() { 1 } else { count_joined(text, encoding) };
        Self { encoding, count, units }
    }
}

/// The first character that forces a text into UCS-2.
///
/// ```
/// use shared::twilio::segments::first_outside_gsm7;
///
/// assert_eq!(first_outside_gsm7("Übergrößenträger: 5 €"), None);
/// assert_eq!(first_outside_gsm7("Ne le dites à personne, même à nous"), Some('ê'));
/// ```
#[must_use]
pub fn first_outside_gsm7(text: &str) -> Option<char> {
    text.chars().find(|&character| septets(character).is_none())
}

/// How many septets a character of GSM-7 takes; `None` for all others.
fn septets(character: char) -> Option<usize> {
    if BASIC.contains(character) {
        Some(1)
    } else if EXTENSION.contains(character) {
        Some(2)
    } else {
        None
    }
}

/// Fills segments one after the other. A character that doesn't fit starts the next one: an escape sequence or a surrogate pair is
/// never split, so the count may exceed the units divided by the size of a segment.
fn count_joined(text: &str, encoding: Encoding) -> usize {
    let mut count = 1;
    let mut used = 0;
    for character in text.chars() {
        let units = encoding.units(character);
        if used + units > encoding.joined() {
            count += 1;
            used = 0;
        }
        used += units;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cost(text: &str) -> (Encoding, usize, usize) {
        let Segments { encoding, count, units } = Segments::of(text);
        (encoding, count, units)
    }

    #[test]
    fn the_tables_are_those_of_the_standard() {
        // 128 codes without the escape; ten that follow one.
        assert_eq!(BASIC.chars().count(), 127);
        assert_eq!(EXTENSION.chars().count(), 10);
        let at = |code: usize| BASIC.chars().nth(if code > 0x1b { code - 1 } else { code }).unwrap();
        for (code, character) in [
            (0x00, '@'),
            (0x09, 'Ç'),
            (0x0a, '\n'),
            (0x0d, '\r'),
            (0x10, 'Δ'),
            (0x11, '_'),
            (0x1a, 'Ξ'),
            (0x1c, 'Æ'),
            (0x1f, 'É'),
            (0x20, ' '),
            (0x24, '¤'),
            (0x30, '0'),
            (0x40, '¡'),
            (0x41, 'A'),
            (0x5a, 'Z'),
            (0x5f, '§'),
            (0x60, '¿'),
            (0x61, 'a'),
            (0x7a, 'z'),
            (0x7f, 'à'),
        ] {
            assert_eq!(at(code), character, "{code:#x}");
        }
    }

    #[test]
    fn characters_that_only_look_alike_are_outside() {
        // A small c with cedilla, a backtick, a no-break space, a typographic quote, a Greek capital alpha, an emoji, a tab.
        for character in ['ç', '`', '\u{a0}', '’', 'Α', 'ê', '😀', '\t', '\u{1b}', '…'] {
            assert_eq!(first_outside_gsm7(&format!("code {character}")), Some(character));
        }
    }

    #[test]
    fn a_text_takes_another_segment_exactly_where_the_room_ends() {
        use Encoding::{Gsm7, Ucs2};
        for (character, length, expected) in [
            ("", 0, (Gsm7, 1, 0)),
            ("a", 160, (Gsm7, 1, 160)),
            ("a", 161, (Gsm7, 2, 161)),
            ("a", 306, (Gsm7, 2, 306)),
            ("a", 307, (Gsm7, 3, 307)),
            ("€", 80, (Gsm7, 1, 160)),
            ("€", 81, (Gsm7, 2, 162)),
            // 153 is odd: 76 of them fit, and one septet stays empty. 306 septets would fit 153 of them.
            ("€", 152, (Gsm7, 2, 304)),
            ("€", 153, (Gsm7, 3, 306)),
            ("ê", 70, (Ucs2, 1, 70)),
            ("ê", 71, (Ucs2, 2, 71)),
            ("ê", 134, (Ucs2, 2, 134)),
            ("ê", 135, (Ucs2, 3, 135)),
            // 67 is odd too: 33 pairs fit.
            ("😀", 35, (Ucs2, 1, 70)),
            ("😀", 36, (Ucs2, 2, 72)),
            ("😀", 66, (Ucs2, 2, 132)),
            ("😀", 67, (Ucs2, 3, 134)),
        ] {
            assert_eq!(cost(&character.repeat(length)), expected, "{length} times {character:?}");
        }
    }

    #[test]
    fn what_would_be_split_begins_the_next_segment() {
        // The 153rd septet would be the escape of the €.
        assert_eq!(cost(&format!("{}€{}", "a".repeat(152), "a".repeat(152))), (Encoding::Gsm7, 3, 306));
        assert_eq!(cost(&format!("{}€{}", "a".repeat(151), "a".repeat(153))), (Encoding::Gsm7, 2, 306));
    }

    proptest! {
        #[test]
        fn segments_are_as_few_as_whole_characters_allow(text in "([a-zê€😀\\[]|\\PC){0,400}") {
            let segments = Segments::of(&text);
            // The other way round: cut the encoded text at the last boundary that fits.
            let sizes: Vec<usize> = text.chars().map(|character| segments.encoding.units(character)).collect();
            prop_assert_eq!(sizes.iter().sum::<usize>(), segments.units);
            let ends: Vec<usize> = sizes.iter().scan(0, |end, size| { *end += size; Some(*end) }).collect();
            let (mut start, mut count) = (0, 0);
            while start < segments.units {
                start = *ends.iter().rev().find(|&&end| end <= start + segments.encoding.joined()).unwrap();
                count += 1;
            }
            let expected = if segments.units <= segments.encoding.alone() { 1 } else { count };
            prop_assert_eq!(segments.count, expected);
            prop_assert_eq!(segments.encoding == Encoding::Gsm7, first_outside_gsm7(&text).is_none());
        }
    }
}
