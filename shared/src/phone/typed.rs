//! Characters as people type and paste them: digits of any script, and characters that nobody sees. Pure.
//!
//! Text that is copied from a web page, a chat or an address book often brings marks of writing direction, joiners and spaces
//! without width. They are not part of a number or a code, so they may never change what it is.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Whether a character has no shape of its own: Unicode's format characters, and those that it says to ignore.
pub(crate) fn is_invisible(character: char) -> bool {
    !character.is_ascii()
        && (CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
            || category(character.into()) == GeneralCategory::Format)
}

/// A digit of any script as an ASCII digit.
pub(crate) fn ascii_digit(character: char) -> Option<char> {
    let code = u32::from(character);
    if character.is_ascii() || category(code) != GeneralCategory::DecimalNumber {
        return Some(character).filter(char::is_ascii_digit);
    }
    // Unicode keeps the ten digits of a script in one row, from 0 to 9. Some rows follow directly on others.
    let before = (0..code).rev().take_while(|&code| category(code) == GeneralCategory::DecimalNumber).count();
    u32::try_from(before).ok().and_then(|before| char::from_digit(before % 10, 10))
}

fn category(code: u32) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get32(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_of_any_script_has_its_value() {
        for digits in [
            "0123456789",
            "٠١٢٣٤٥٦٧٨٩",
            "۰۱۲۳۴۵۶۷۸۹",
            "०१२३४५६७८९",
            "০১২৩৪৫৬৭৮৯",
            "૦૧૨૩૪૫૬૭૮૯",
            "௦௧௨௩௪௫௬௭௮௯",
            "౦౧౨౩౪౫౬౭౮౯",
            "๐๑๒๓๔๕๖๗๘๙",
            "၀၁၂၃၄၅၆၇၈၉",
            "០១២៣៤៥៦៧៨៩",
            "߀߁߂߃߄߅߆߇߈߉",
            "０１２３４５６７８９",
            "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗",
            "𝟶𝟷𝟸𝟹𝟺𝟻𝟼𝟽𝟾𝟿",
            "𞥐𞥑𞥒𞥓𞥔𞥕𞥖𞥗𞥘𞥙",
        ] {
            assert_eq!(
                digits.chars().map(ascii_digit).collect::<Option<String>>().as_deref(),
                Some("0123456789"),
                "{digits}"
            );
        }
    }

    #[test]
    fn digits_come_in_rows_of_ten() {
        let values: Vec<_> =
            ('\0'..=char::MAX).filter_map(|character| ascii_digit(character).map(|digit| (character, digit))).collect();
        assert!(values.len() >= 650, "{}", values.len());
        for row in values.chunks(10) {
            let (zero, _) = row[0];
            for (value, &(character, digit)) in (0..10).zip(row) {
                assert_eq!((u32::from(character), digit.to_digit(10)), (u32::from(zero) + value, Some(value)));
            }
        }
    }

    #[test]
    fn what_is_no_decimal_digit_is_none() {
        for character in "aIO²½①Ⅳ〇五+- \u{20e3}".chars() {
            assert_eq!(ascii_digit(character), None, "{character:?}");
        }
    }

    #[test]
    fn format_characters_and_those_to_ignore_are_invisible_and_nothing_that_is_seen() {
        for character in ('\u{200b}'..='\u{200f}')
            .chain('\u{202a}'..='\u{202e}')
            .chain('\u{2060}'..='\u{206f}')
            .chain('\u{fe00}'..='\u{fe0f}')
            .chain("\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\u{3164}\u{feff}\u{ffa0}\u{fff9}\u{e0001}\u{e007f}".chars())
        {
            assert!(is_invisible(character), "{character:?}");
        }
        for character in (' '..='~').chain("\0\t\n\u{a0}\u{2028}\u{3000}０é١〇\u{301}\u{20e3}\u{e000}".chars()) {
            assert!(!is_invisible(character), "{character:?}");
        }
    }
}
