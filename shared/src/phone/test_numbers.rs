//! Numbers that never receive SMS and whose fixed code always works: for CI, and for the reviewers of an app store.
//!
//! Anyone who knows a test number and its code can verify that number, so it must be a number that can't belong to a person.
//! Regulators reserve such numbers for films and books. The function refuses to start with any other, unless the setting says
//! `allow-real`.
//!
//! Some of them are not a [`PhoneNumber`], because libphonenumber knows only assigned ranges: Britain's mobile numbers 07700
//! 900xxx, its 01632 and 0115 496 0xxx, France's mobile numbers 06 39 98 xx xx. So a test number is also found [by its
//! digits](TestNumbers::find).

use crate::phone::code::{InvalidCode, VerificationCode};
use crate::phone::number::{InvalidPhoneNumber, PhoneNumber, plus_and_digits};
use crate::runtime::settings::{Environment, SettingError};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The item of the setting that allows numbers of real people.
const ALLOW_REAL: &str = "allow-real";

/// 555-0100 to 555-0199 (ATIS-0300115), but not in every area code: see [`NOT_RESERVED`].
const NORTH_AMERICA: &str = "+1xxx55501xx";
/// Area codes in which 555-01xx is not reserved: those of freephone and premium rate.
const NOT_RESERVED: [&str; 9] = ["800", "822", "833", "844", "855", "866", "877", "888", "900"];

/// Reserved numbers; each `x` is any digit.
const FICTITIOUS: &[&str] = &[
    // Twilio's "magic" numbers, https://www.twilio.com/docs/iam/test-credentials#magic-input
    "+1500555000x",
    NORTH_AMERICA,
    // Britain, https://www.ofcom.org.uk/phones-and-broadband/phone-numbers/numbers-for-drama: Leeds, Sheffield, Nottingham,
    // Leicester, Bristol, Reading, Birmingham, Edinburgh, Glasgow, Liverpool, Manchester, London, Tyneside, Cardiff, no
    // area, mobile, the whole country, freephone, premium rate. Not Northern Ireland: two ranges are passed around for it.
    "+441134960xxx",
    "+441144960xxx",
    "+441154960xxx",
    "+441164960xxx",
    "+441174960xxx",
    "+441184960xxx",
    "+441214960xxx",
    "+441314960xxx",
    "+441414960xxx",
    "+441514960xxx",
    "+441614960xxx",
    "+442079460xxx",
    "+441914980xxx",
    "+442920180xxx",
    "+441632960xxx",
    "+447700900xxx",
    "+443069990xxx",
    "+448081570xxx",
    "+449098790xxx",
    // Australia, https://www.acma.gov.au/phone-numbers-use-tv-shows-films-and-creative-works: the four regions, then mobile.
    "+6125550xxxx",
    "+6127010xxxx",
    "+6135550xxxx",
    "+6137010xxxx",
    "+6175550xxxx",
    "+6177010xxxx",
    "+6185550xxxx",
    "+6187010xxxx",
    "+61491570006",
    "+61491570110",
    "+61491570156",
    "+61491570157",
    "+61491570158",
    "+61491570159",
    "+61491570313",
    "+61491570737",
    "+61491571266",
    "+61491571491",
    "+61491571804",
    "+61491572549",
    "+61491572665",
    "+61491572983",
    "+61491573087",
    "+61491573770",
    "+61491574118",
    "+61491574632",
    "+61491575254",
    "+61491575789",
    "+61491576398",
    "+61491576801",
    "+61491577426",
    "+61491577644",
    "+61491578148",
    "+61491578888",
    "+61491578957",
    "+61491579212",
    "+61491579455",
    "+61491579760",
    // Germany, Bundesnetzagentur, Mitteilung 148/2021, Amtsblatt 07/2021: Berlin, Frankfurt, Hamburg, Köln, München, then
    // mobile.
    "+493023125xxx",
    "+496990009xxx",
    "+494066969xxx",
    "+492214710xxx",
    "+498999998xxx",
    "+49176040690xx",
    "+4917139200xx",
    "+4915228817386",
    "+4915228895456",
    "+4915254599371",
    "+491729925904",
    "+491729968532",
    "+491729973185",
    "+491729973186",
    "+491729980752",
    "+491749091317",
    "+491749464308",
    // France, Arcep, décision n° 2018-0881, 2.5.12, https://www.legifrance.gouv.fr/jorf/article_jo/JORFARTI000037263033
    "+3319900xxxx",
    "+3326191xxxx",
    "+3335301xxxx",
    "+3346571xxxx",
    "+3353649xxxx",
    "+3363998xxxx",
];

/// Numbers and their codes, from a setting such as `+15005550006=123456, +14155550100=000000`, which may be empty.
///
/// `Debug` prints only how many there are.
///
/// ```
/// use shared::phone::test_numbers::TestNumbers;
///
/// let numbers: TestNumbers = "+14155550100=000000, +447700900123=493027".parse()?;
/// assert_eq!(numbers.find("+1 415 555 0100").map(|(number, _)| number), Some("+14155550100"));
/// assert_eq!(numbers.find("+1 415 555 0101"), None);
/// // libphonenumber does not know this one.
/// assert_eq!(numbers.find("+44 7700 900123").map(|(number, _)| number), Some("+447700900123"));
///
/// // This one may belong to a person.
/// assert!("+14152345678=000000".parse::<TestNumbers>().is_err());
/// assert!("+14152345678=000000, allow-real".parse::<TestNumbers>().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TestNumbers {
    /// By number: `+` and digits.
    codes: BTreeMap<String, VerificationCode>,
}

/// Why a text is not a list of test numbers. The message gives the position of the item, and repeats neither a number nor a code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTestNumbers {
    /// No `=`.
    #[error("item {item} is not of the form number=code, such as +14155550100=123456")]
    NoCode {
        /// Counted from 1.
        item: usize,
    },
    /// Not a number.
    #[error("the number of item {item} {reason}")]
    Number {
        /// Counted from 1.
        item: usize,
        /// Why it is invalid.
        reason: InvalidPhoneNumber,
    },
    /// Not a code.
    #[error("the code of item {item} {reason}")]
    Code {
        /// Counted from 1.
        item: usize,
        /// Why it is invalid.
        reason: InvalidCode,
    },
    /// The same number twice.
    #[error("item {item} repeats a number")]
    Twice {
        /// Counted from 1.
        item: usize,
    },
    /// A number that may belong to a person.
    #[error(
        "item {item} ({masked}) may be a real number, which anyone who learns its code could verify; \
         use one that is reserved for fiction, such as +14155550100, or add the item {ALLOW_REAL}"
    )]
    Real {
        /// Counted from 1.
        item: usize,
        /// The number as logs may show it.
        masked: String,
    },
}

impl TestNumbers {
    /// Reads `TEST_NUMBERS`.
    ///
    /// # Errors
    /// [`SettingError`] with the position of the invalid item, and why it is invalid.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        let numbers = environment.text("TEST_NUMBERS").parse();
        numbers.map_err(|reason: InvalidTestNumbers| Environment::invalid("TEST_NUMBERS", reason))
    }

    /// Whether there are none, as is usual in production.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The test number in a request, in E.164, and its code. Also finds numbers that are not a [`PhoneNumber`], so call it before
    /// the number is validated.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<(&str, &VerificationCode)> {
        // Usually there are no test numbers, and nothing needs to be parsed.
        if self.is_empty() {
            return None;
        }
        let number = PhoneNumber::parse(text).map(|number| number.as_str().to_owned());
        let number = number.or_else(|_| plus_and_digits(text)).ok()?;
        self.codes.get_key_value(&number).map(|(number, code)| (number.as_str(), code))
    }
}

impl FromStr for TestNumbers {
    type Err = InvalidTestNumbers;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty()).zip(1..);
        let allow_real = items().any(|(item, _)| item == ALLOW_REAL);
        let mut codes = BTreeMap::new();
        for (text, item) in items().filter(|(item, _)| *item != ALLOW_REAL) {
            let (number, code) = text.split_once('=').ok_or(InvalidTestNumbers::NoCode { item })?;
            let number = e164(number.trim(), item, allow_real)?;
            let code = code.trim().parse().map_err(|reason| InvalidTestNumbers::Code { item, reason })?;
            if codes.insert(number, code).is_some() {
                return Err(InvalidTestNumbers::Twice { item });
            }
        }
        Ok(Self { codes })
    }
}

impl fmt::Debug for TestNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestNumbers({})", self.codes.len())
    }
}

/// Whether a number in E.164 format is reserved for fiction or tests.
///
/// ```
/// use shared::phone::test_numbers::is_fictitious;
///
/// assert!(is_fictitious("+14155550123"));
/// assert!(!is_fictitious("+14155551234"));
/// ```
#[must_use]
pub fn is_fictitious(e164: &str) -> bool {
    let is_reserved = |area: &str| area.starts_with(|digit: char| digit > '1') && !NOT_RESERVED.contains(&area);
    FICTITIOUS.iter().any(|range| is_in(range, e164))
        && (!is_in(NORTH_AMERICA, e164) || e164.get(2..5).is_some_and(is_reserved))
}

fn is_in(range: &str, number: &str) -> bool {
    range.len() == number.len()
        && range
            .bytes()
            .zip(number.bytes())
            .all(|(wanted, byte)| wanted == byte || wanted == b'x' && byte.is_ascii_digit())
}

/// A number of the setting in E.164 format. Fictitious ones that libphonenumber does not know are identified by their digits.
fn e164(text: &str, item: usize, allow_real: bool) -> Result<String, InvalidTestNumbers> {
    match PhoneNumber::parse(text) {
        Ok(number) if allow_real || is_fictitious(number.as_str()) => Ok(number.as_str().to_owned()),
        Ok(number) => Err(InvalidTestNumbers::Real { item, masked: number.masked() }),
        Err(reason) => plus_and_digits(text)
            .ok()
            .filter(|number| is_fictitious(number))
            .ok_or(InvalidTestNumbers::Number { item, reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::number::NumberType;
    use proptest::prelude::*;

    fn code_of<'a>(numbers: &'a TestNumbers, text: &str) -> Option<&'a str> {
        numbers.find(text).map(|(_, code)| code.as_str())
    }

    fn parse(text: &str) -> Result<TestNumbers, InvalidTestNumbers> {
        text.parse()
    }

    #[test]
    fn a_range_is_written_in_e164() {
        for range in FICTITIOUS {
            let digits = range.strip_prefix('+').unwrap();
            assert!((10..=13).contains(&digits.len()), "{range}");
            assert!(digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'x'), "{range}");
        }
    }

    #[test]
    fn every_range_is_taken_and_found_again() {
        for range in FICTITIOUS {
            // Of North America's, an area code that exists.
            for digit in ["0", "5", "9"] {
                let number = range.replace("+1xxx", "+1415").replace('x', digit);
                let numbers = parse(&format!("{number}=4930")).unwrap_or_else(|error| panic!("{number}: {error}"));
                assert_eq!(code_of(&numbers, &number), Some("4930"), "{number}");
            }
        }
    }

    #[test]
    fn these_are_in_no_known_range_and_are_found_by_their_spelling() {
        for number in ["+447700900000", "+441632960999", "+441154960123", "+33639980000"] {
            assert_eq!(
                PhoneNumber::parse(number).map(|known| known.number_type()),
                Ok(NumberType::Unassigned),
                "{number}"
            );
            let numbers = parse(&format!("{number}=493027")).unwrap();
            let spelled = format!("{} ({}) {}-{}", &number[..3], &number[3..5], &number[5..8], &number[8..]);
            assert_eq!(code_of(&numbers, &spelled), Some("493027"), "{spelled}");
        }
    }

    #[test]
    fn the_neighbours_of_a_range_may_be_real() {
        for number in [
            "+14155550099",
            "+14155550200",
            "+14155551234",
            "+18005550100",
            "+18885550100",
            "+19005550199",
            "+11555550100",
            "+10555550100",
            "+15005550010",
            "+447700899999",
            "+447700901000",
            "+441134961000",
            "+442896496000",
            "+61491570007",
            "+61491570000",
            "+61255510000",
            "+493023126000",
            "+49302312500",
            "+491713920100",
            "+4917604069100",
            "+4915228817387",
            "+33199010000",
            "+33639990000",
            "+353209100001",
            "+1415555012",
            "+141555501234",
            "14155550123",
            "+1é155550123",
            "",
        ] {
            assert!(!is_fictitious(number), "{number}");
        }
    }

    #[test]
    fn a_real_number_needs_allow_real() {
        let error = parse("+14155550100=000000, +1 415 234 5678=123456").unwrap_err();
        assert_eq!(error, InvalidTestNumbers::Real { item: 2, masked: "+1•••678".to_owned() });
        assert_eq!(
            error.to_string(),
            "item 2 (+1•••678) may be a real number, which anyone who learns its code could verify; \
             use one that is reserved for fiction, such as +14155550100, or add the item allow-real"
        );
        for text in ["allow-real,+1 415 234 5678=123456", "+1 415 234 5678=123456 , allow-real"] {
            let numbers = parse(text).unwrap();
            assert_eq!(code_of(&numbers, "+1 (415) 234-5678"), Some("123456"));
        }
        // It does not make a number valid.
        assert!(parse("allow-real, +447700899999=123456").is_ok());
        assert!(parse("allow-real, +447797=123456").is_err());
    }

    #[test]
    fn an_empty_setting_has_none() {
        for text in ["", "  ", ",", " , ", "allow-real"] {
            let numbers = parse(text).unwrap();
            assert!(numbers.is_empty(), "{text:?}");
            assert_eq!(code_of(&numbers, "+14155550100"), None);
        }
        assert_eq!(parse("").unwrap(), TestNumbers::default());
    }

    #[test]
    fn what_is_wrong_is_said_by_item_and_without_the_code() {
        for (text, item, what) in [
            ("+14155550100", 1, "number=code"),
            ("allow-real, +14155550100", 2, "number=code"),
            ("+14155550100=1234, 4155550101=1234", 2, "does not start with +"),
            ("+14155550100=1234, =1234", 2, "empty"),
            ("+14155550100=, +14155550101=1234", 1, "4 to 10 digits"),
            ("+14155550100=123", 1, "4 to 10 digits"),
            ("+14155550100=12345678901", 1, "4 to 10 digits"),
            ("+14155550100=12a456", 1, "4 to 10 digits"),
            ("+14155550100=1234=5678", 1, "4 to 10 digits"),
            ("+14155550100=1234, +1 415 555 0100=5678", 2, "repeats"),
            ("+44 7700 900123=1234, +447700900123=1234", 2, "repeats"),
            ("Allow-Real, +14155550100=1234", 1, "number=code"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(&format!("item {item} ")) && message.contains(what), "{text}: {message}");
            assert!(!message.contains("5678") && !message.contains("12a456"), "{message}");
        }
    }

    #[test]
    fn debug_shows_neither_numbers_nor_codes() {
        assert_eq!(format!("{:?}", parse("+14155550100=493027, +14155550101=4930").unwrap()), "TestNumbers(2)");
    }

    proptest! {
        #[test]
        fn no_text_panics(setting in "[-+=, 0-9a-z\\PC]{0,80}", asked in "\\PC{0,60}") {
            let _ = parse(&setting);
            let numbers = parse("+14155550100=0000").unwrap();
            prop_assert_eq!(code_of(&numbers, &asked), None);
            let _ = is_fictitious(&asked);
        }

        #[test]
        fn a_number_has_the_code_it_was_given_and_no_other(
            line in 100..200_u32,
            other in 100..200_u32,
            code in "[0-9]{4,10}",
        ) {
            let numbers = parse(&format!("+1415555{line:04}={code}")).unwrap();
            let found = code_of(&numbers, &format!("+1 415 555 {other:04}"));
            prop_assert_eq!(found, (line == other).then_some(code.as_str()));
        }
    }
}
