//! Phone numbers: valid, in one spelling, with their region and type.
//!
//! Every key and limit depends on [`PhoneNumber`], and only [`PhoneNumber::parse`] makes one. So all spellings of a number count
//! as one, and no message goes to a number that can't exist. The policy checks the *region*, because a dial code is not enough:
//! 25 regions share +1.
//!
//! What is assigned where comes from Google's libphonenumber metadata, compiled into the `rlibphonenumber` crate. It is months behind:
//! of the patterns of mobile numbers that were valid in August 2026, 3.5 % were unknown half a year before. So a number that could be a mobile
//! number, in a range that the metadata doesn't know, is one as well, of the type [`NumberType::Unassigned`].

use super::typed::{ascii_digit, is_invisible};
use rlibphonenumber::{PHONE_NUMBER_UTIL, ParseError, PhoneNumberFormat, PhoneNumberType, ValidationError};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The longest text that is parsed, as in libphonenumber. It bounds the work of one request.
const MAX_CHARACTERS: usize = 250;
/// The most digits that E.164 allows, country code included.
const MAX_DIGITS: usize = 15;
/// A range has as many numbers as these last digits: 1,000.
const RANGE_DIGITS: usize = 3;
/// The digits within a block, and within an area, of which records are kept.
const BLOCK_DIGITS: usize = 5;
const AREA_DIGITS: usize = 7;
/// The fewest digits that a masked number hides.
const HIDDEN_DIGITS: usize = 3;
/// The example in error messages, from the block 555-01xx that is reserved for fiction.
const EXAMPLE: &str = "+1 415 555 0123";

/// A valid phone number in E.164 format.
///
/// It is personal data, so `Debug` prints the [masked](Self::masked) form and there is no `Display`.
///
/// ```
/// use shared::phone::number::{InvalidPhoneNumber, PhoneNumber};
///
/// let number = PhoneNumber::parse("+1 (415) 555-0123")?;
/// assert_eq!(number.as_str(), "+14155550123");
/// assert_eq!(number.region(), Some("US".parse()?));
/// assert_eq!(format!("{number:?}"), "PhoneNumber(+1•••123)");
///
/// assert_eq!(PhoneNumber::parse("415-555-0123"), Err(InvalidPhoneNumber::NoPlus));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber {
    /// `+` and ASCII digits.
    e164: String,
    /// How many of the digits are the country code.
    country_code_digits: usize,
    region: Option<Region>,
    number_type: NumberType,
}

/// Why a text is not a phone number that can receive SMS. Each text goes after the name of the field; none repeats the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhoneNumber {
    /// Only spaces and punctuation.
    #[error("is empty; send it in international format, such as {EXAMPLE}")]
    Empty,
    /// No `+` before the first digit: the country would have to be guessed.
    #[error("does not start with +; send + and the country code first, such as {EXAMPLE}")]
    NoPlus,
    /// `00` is how some countries dial a `+`; others dial 011 or 010.
    #[error("starts with 00; send + instead, such as {EXAMPLE}")]
    DoubleZero,
    /// An extension, or tones to be dialled after the call is answered.
    #[error("has an extension, which no SMS can reach; send only the number, such as {EXAMPLE}")]
    Extension,
    /// Letters, as in a vanity number.
    #[error("has letters; send only digits, such as {EXAMPLE}")]
    Letters,
    /// A second `+`, after digits.
    #[error("is more than one number; send one, such as {EXAMPLE}")]
    TwoNumbers,
    /// Line ends within it, a `+` at the wrong place, or anything else that is not part of a number.
    #[error(
        "has characters other than one leading +, digits, spaces, dots, dashes, slashes and brackets; \
         send it in international format, such as {EXAMPLE}"
    )]
    Characters,
    /// Fewer digits than any number of its country.
    #[error("has too few digits; send all of them, starting with + and the country code, such as {EXAMPLE}")]
    TooShort,
    /// More digits than any number of its country, or than E.164 allows.
    #[error("has too many digits; send one number, without an extension, such as {EXAMPLE}")]
    TooLong,
    /// The digits after the `+` are not a country code.
    #[error("has an unknown country code; send + and the country code first, such as {EXAMPLE}")]
    UnknownCountryCode,
    /// The right length for some number, but neither in an assigned range nor like a mobile number.
    #[error("is not in an assigned range; check it for wrong, missing or extra digits")]
    Unassigned,
}

impl PhoneNumber {
    /// Parses a number in international format. Drops spaces, dots, dashes, slashes, brackets, invisible characters, what surrounds
    /// the number, and a national prefix, as in `+44 (0)20 7946 0123`; digits of any script become ASCII.
    ///
    /// # Errors
    /// [`InvalidPhoneNumber`] says what is wrong and what to send instead.
    pub fn parse(text: &str) -> Result<Self, InvalidPhoneNumber> {
        let digits = current_form(plus_and_digits(text)?);
        // At trace level the library writes numbers to `log`; nothing in Tollgate collects those records.
        let number = rlibphonenumber::PhoneNumber::parse(digits, None).map_err(|error| unreadable(&error))?;
        if !number.is_valid() {
            match number.is_possible_with_reason() {
                Err(ValidationError::TooShort) => return Err(InvalidPhoneNumber::TooShort),
                Err(ValidationError::TooLong) => return Err(InvalidPhoneNumber::TooLong),
                _ if !is_like_mobile(&number) => return Err(InvalidPhoneNumber::Unassigned),
                _ => {}
            }
        }
        let e164 = number.format_as(PhoneNumberFormat::E164).into_owned();
        if e164.len() > "+".len() + MAX_DIGITS {
            return Err(InvalidPhoneNumber::TooLong);
        }
        let (region, number_type) = if number.is_valid() {
            (number.get_region_code(), NumberType::of(number.get_type()))
        } else {
            (PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code), NumberType::Unassigned)
        };
        Ok(Self {
            e164,
            country_code_digits: number.country_code.to_string().len(),
            region: region.and_then(Region::of),
            number_type,
        })
    }

    /// The number in E.164 format: `+` and digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.e164
    }

    /// The region of the number; `None` for dial codes without a country, such as satellite phones (+881).
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        self.region
    }

    /// The region of the number, if its handset has a second number in another region: one handset counts in both, so what is released
    /// has to be remembered.
    #[must_use]
    pub fn region_of_two(&self) -> Option<Region> {
        let has_two = PALESTINIAN_MOBILE.iter().any(|(palestinian, _)| handset(&self.e164).starts_with(palestinian));
        self.region.filter(|_| has_two)
    }

    /// The type of the number, as far as its digits show it.
    #[must_use]
    pub fn number_type(&self) -> NumberType {
        self.number_type
    }

    /// The block of 1,000 numbers that contains it.
    #[must_use]
    pub fn range(&self) -> NumberRange {
        // A country's shortest numbers have four digits, so the country code always stays whole.
        let handset = handset(&self.e164);
        NumberRange(handset[..handset.len() - RANGE_DIGITS].to_owned())
    }

    /// The block of 100,000 numbers that contains it. Operators are given numbers in such blocks.
    #[must_use]
    pub fn block(&self) -> String {
        self.without_last(BLOCK_DIGITS)
    }

    /// The area of ten million numbers that contains it: in most countries an area code, or the network of an operator.
    #[must_use]
    pub fn area(&self) -> String {
        self.without_last(AREA_DIGITS)
    }

    /// The number without its last digits; the country code always stays whole.
    fn without_last(&self, digits: usize) -> String {
        let handset = handset(&self.e164);
        let country_code = "+".len() + self.country_code_digits;
        handset[..handset.len().saturating_sub(digits).max(country_code)].to_owned()
    }

    /// The number as logs may show it: its country code and at most the last three digits, by which people recognize it.
    ///
    /// At least three digits are hidden, always as three dots, so the mask doesn't show how many. A short number shows fewer.
    ///
    /// ```
    /// use shared::phone::number::PhoneNumber;
    ///
    /// assert_eq!(PhoneNumber::parse("+14155550123")?.masked(), "+1•••123");
    /// assert_eq!(PhoneNumber::parse("+6834002")?.masked(), "+683•••2");
    /// # Ok::<(), shared::phone::number::InvalidPhoneNumber>(())
    /// ```
    #[must_use]
    pub fn masked(&self) -> String {
        let country_code = "+".len() + self.country_code_digits;
        let shown = self.e164.len().saturating_sub(country_code + HIDDEN_DIGITS);
        let last = shown.min(3);
        format!("{}•••{}", &self.e164[..country_code], &self.e164[self.e164.len() - last..])
    }
}

/// The spelling under which the table keeps a number, so that a handset has one entry however its number is written.
///
/// Two countries have a digit that marks mobile numbers and that networks add or leave out: Argentina's `9`, and Mexico's `1`, which was
/// abolished in 2019 and still arrives as the sender of messages. Palestinian handsets are reached under +970 and under Israel's +972.
///
/// ```
/// use shared::phone::number::handset;
///
/// assert_eq!(handset("+5491123456789"), "+541123456789");
/// assert_eq!(handset("+5215512345678"), "+525512345678");
/// assert_eq!(handset("+972599123456"), "+970599123456");
/// assert_eq!(handset("+14155550123"), "+14155550123");
/// ```
#[must_use]
pub fn handset(e164: &str) -> Cow<'_, str> {
    let without_mark = |marked: &str, country_code: &str| {
        e164.strip_prefix(marked).filter(|rest| rest.len() == 10).map(|rest| format!("{country_code}{rest}"))
    };
    let palestinian = || {
        let written = PALESTINIAN_MOBILE.iter().find(|(_, israeli)| e164.starts_with(israeli) && e164.len() == 13);
        written.map(|(palestinian, israeli)| e164.replacen(israeli, palestinian, 1))
    };
    without_mark("+549", "+54")
        .or_else(|| without_mark("+521", "+52"))
        .or_else(palestinian)
        .map_or(Cow::Borrowed(e164), Cow::Owned)
}

/// The mobile networks of Palestine, Jawwal and Ooredoo, under its dial code and under Israel's.
const PALESTINIAN_MOBILE: [(&str, &str); 2] = [("+97056", "+97256"), ("+97059", "+97259")];

/// A number in the form that its country uses today. Address books still have those from before, which reach nobody, although
/// libphonenumber takes some of them for valid.
///
/// * Mexico, 2019: no `1` before mobile numbers.
/// * Côte d'Ivoire, 2021: ten digits, of which the first two name the operator that the second of eight named.
/// * Gabon, 2019, for good in 2024: eight digits, of which the first two name the operator that `0` and a digit named. Both forms
///   of before may lack the `0`.
fn current_form(number: String) -> String {
    let (before, now) = match number.as_bytes() {
        [b'+', b'5', b'2', b'1', ..] if number.len() == 14 => ("+521", Some("+52")),
        [b'+', b'2', b'2', b'5', b'0' | b'4'..=b'9', operator, ..] if number.len() == 12 => match operator {
            b'0'..=b'3' => ("+225", Some("+22501")),
            b'4'..=b'6' => ("+225", Some("+22505")),
            _ => ("+225", Some("+22507")),
        },
        [b'+', b'2', b'4', b'1', b'0', operator, ..] if number.len() == 12 => ("+2410", of_gabon(*operator)),
        [b'+', b'2', b'4', b'1', operator, ..] if number.len() == 11 => ("+241", of_gabon(*operator)),
        _ => return number,
    };
    now.map_or(number.clone(), |now| number.replacen(before, now, 1))
}

/// How numbers of Gabon begin that began with `0` and this digit.
fn of_gabon(operator: u8) -> Option<&'static str> {
    match operator {
        b'1' => Some("+2411"),
        b'2' | b'5' | b'6' => Some("+2416"),
        b'4' | b'7' => Some("+2417"),
        _ => None,
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({})", self.masked())
    }
}

/// A block of 1,000 consecutive numbers. Pumping sends messages to numbers that the attacker earns from, and those are rented in
/// blocks, so sends are also counted per block.
///
/// `Debug` does not print it: next to a masked number, which shows the last digits, a range would complete the number.
///
/// ```
/// use shared::phone::number::PhoneNumber;
///
/// assert_eq!(PhoneNumber::parse("+14155550123")?.range().as_str(), "+14155550");
/// # Ok::<(), shared::phone::number::InvalidPhoneNumber>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NumberRange(String);

impl NumberRange {
    /// The digits that all numbers of the range start with, with a `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NumberRange(•••)")
    }
}

/// A region with phone numbers: two letters of ISO 3166-1, or one of the three that telephony adds, `AC`
/// (Ascension), `TA` (Tristan da Cunha) and `XK` (Kosovo).
///
/// ```
/// use shared::phone::number::{PhoneNumber, Region};
///
/// let us: Region = "us".parse()?;
/// assert_eq!(us.to_string(), "US");
/// // Jamaica has the same dial code.
/// assert_ne!(PhoneNumber::parse("+1 876 210 1234")?.region(), Some(us));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(rlibphonenumber::Region);

/// Regions that share the mobile numbers of a larger one.
const MOBILE_NUMBERS_FILED: [(&str, &str); 8] =
    [("AX", "FI"), ("BL", "GP"), ("CC", "AU"), ("CX", "AU"), ("EH", "MA"), ("MF", "GP"), ("SJ", "NO"), ("VA", "IT")];

/// Why a text is not a [`Region`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRegion {
    /// Not two letters.
    #[error("{0:?} is not a region; write two letters of ISO 3166-1, such as US, CA or GB")]
    NotTwoLetters(String),
    /// Two letters, but not a region with phone numbers.
    #[error("{0:?} is not a region with phone numbers; write two letters of ISO 3166-1, such as US, CA or GB")]
    Unknown(String),
}

impl Region {
    /// The digits after the `+` of its numbers: 1 for the US and for 24 other regions.
    #[must_use]
    pub fn dial_code(self) -> Option<i32> {
        PHONE_NUMBER_UTIL.get_country_code_for_region(self.0)
    }

    /// The region under which its mobile numbers are filed, if that is another: their digits don't tell the two apart.
    #[must_use]
    pub fn mobile_numbers_filed_under(self) -> Option<Self> {
        let name = self.to_string();
        MOBILE_NUMBERS_FILED.iter().find(|(region, _)| *region == name).and_then(|(_, other)| other.parse().ok())
    }

    /// The library's region if it has phone numbers. The library has a region for each pair of letters, and one for "no country".
    fn of(region: rlibphonenumber::Region) -> Option<Self> {
        PHONE_NUMBER_UTIL.get_country_code_for_region(region).map(|_| Self(region))
    }
}

impl FromStr for Region {
    type Err = InvalidRegion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let region = text.parse().map_err(|_| InvalidRegion::NotTwoLetters(text.to_owned()))?;
        Self::of(region).ok_or_else(|| InvalidRegion::Unknown(text.to_owned()))
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The type of a number, as far as its digits show it.
///
/// ```
/// use shared::phone::number::{NumberType, PhoneNumber};
///
/// let number = PhoneNumber::parse("+1 900 234 5678")?;
/// assert_eq!(number.number_type(), NumberType::PremiumRate);
/// assert_eq!(number.number_type().as_str(), "premium_rate");
/// # Ok::<(), shared::phone::number::InvalidPhoneNumber>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum NumberType {
    /// A mobile phone.
    Mobile,
    /// A landline.
    FixedLine,
    /// Either of the two. Numbers of the US and Canada don't show which.
    FixedLineOrMobile,
    /// The recipient pays, as for +1 800.
    TollFree,
    /// The caller pays more, and the recipient earns.
    PremiumRate,
    /// Caller and recipient share the cost.
    SharedCost,
    /// Voice over IP.
    Voip,
    /// A number that follows a person from phone to phone, as +44 70 and +1 500.
    Personal,
    /// A pager.
    Pager,
    /// A "universal access number": one number for all branches of a company.
    Uan,
    /// A mailbox for voice messages.
    Voicemail,
    /// As long as a mobile number of its country, in a range that the metadata doesn't know: newer than it, or none. Its region is the
    /// main one of its country code, such as the US for +1.
    Unassigned,
    /// Not known.
    Unknown,
}

impl NumberType {
    /// The type's name in answers, logs and settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    fn of(number_type: PhoneNumberType) -> Self {
        match number_type {
            PhoneNumberType::Mobile => Self::Mobile,
            PhoneNumberType::FixedLine => Self::FixedLine,
            PhoneNumberType::FixedLineOrMobile => Self::FixedLineOrMobile,
            PhoneNumberType::TollFree => Self::TollFree,
            PhoneNumberType::PremiumRate => Self::PremiumRate,
            PhoneNumberType::SharedCost => Self::SharedCost,
            PhoneNumberType::VoIP => Self::Voip,
            PhoneNumberType::PersonalNumber => Self::Personal,
            PhoneNumberType::Pager => Self::Pager,
            PhoneNumberType::UAN => Self::Uan,
            PhoneNumberType::VoiceMail => Self::Voicemail,
            PhoneNumberType::Unknown => Self::Unknown,
        }
    }
}

/// Whether a number that is not valid could be a mobile number of a range that the metadata doesn't know yet: it has as many digits, and it
/// isn't written with a national prefix or without a zero that belongs to it, which would be a second spelling.
fn is_like_mobile(number: &rlibphonenumber::PhoneNumber) -> bool {
    let e164 = number.format_as(PhoneNumberFormat::E164);
    let (country_code, national) = e164.split_at("+".len() + number.country_code.to_string().len());
    let is_in_plan = number.country_code != 1 || may_become_north_american(national.as_bytes());
    // Italy's landlines are written with the zero, also from abroad.
    let with_zero = rlibphonenumber::PhoneNumber::parse(format!("{country_code}0{national}"), None);
    let lacks_zero = with_zero.is_ok_and(|number| number.is_valid());
    is_in_plan
        && !national.starts_with('0')
        && !lacks_zero
        && PHONE_NUMBER_UTIL.is_possible_number_for_type(number, PhoneNumberType::Mobile)
}

/// Area codes of North America's plan outside the US and Canada. What is unknown there must not pass for a number of the US.
/// <https://www.nanpa.com/numbering/area-codes>
const OTHER_AREA_CODES: [&str; 27] = [
    "242", "246", "264", "268", "284", "340", "345", "441", "473", "649", "658", "664", "670", "671", "684", "721",
    "758", "767", "784", "787", "809", "829", "849", "868", "869", "876", "939",
];

/// Whether ten digits of North America's plan may be a number of the US or Canada that is new: neither area code nor exchange begins with 0
/// or 1. Area codes that begin with 8 or end in two equal digits are for special services, and no area code has 9 in the middle.
fn may_become_north_american(national: &[u8]) -> bool {
    let [a @ (b'2'..=b'7' | b'9'), b @ b'0'..=b'8', c, b'2'..=b'9', ..] = national else { return false };
    b != c && !OTHER_AREA_CODES.iter().any(|area| area.as_bytes() == [*a, *b, *c])
}

/// Unpacks the metadata and compiles the patterns that the first number would otherwise wait for.
///
/// Call it while the function starts, when Lambda gives it the most CPU. In a release build on x86-64 it took 5 ms, unless a
/// setting with a region had unpacked the metadata before. Afterwards, the first number of a country took 0.02 ms to 1 ms, and
/// the next ones less than 0.1 ms.
pub fn warm_up() {
    let _ = PhoneNumber::parse(EXAMPLE);
}

/// Whether a text has the shape of E.164: `+` and 7 to 15 digits, of which the first is not 0. Whether there is such a number is
/// not checked, so a number of a range that the metadata does not know yet passes.
///
/// ```
/// use shared::phone::number::is_e164;
///
/// assert!(is_e164("+14155550123"));
/// assert!(!is_e164("+1 415 555 0123") && !is_e164("14155550123") && !is_e164("+0155550123"));
/// ```
#[must_use]
pub fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=MAX_DIGITS).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A plus and ASCII digits: the only text that the library gets. It would accept much more, such as vanity letters, extensions and
/// the first of two numbers, and each of these would be another spelling.
pub(super) fn plus_and_digits(text: &str) -> Result<String, InvalidPhoneNumber> {
    if text.chars().nth(MAX_CHARACTERS).is_some() {
        return Err(InvalidPhoneNumber::TooLong);
    }
    let text: String = text.chars().filter(|&character| !is_invisible(character)).collect();
    let text = without_surroundings(&text);
    let mut plus = false;
    let mut digits = String::from("+");
    for (at, character) in text.char_indices() {
        if is_plus(character) && !plus && digits.len() == 1 {
            plus = true;
        } else if let Some(digit) = ascii_digit(character) {
            digits.push(digit);
        } else if !is_between_digits(character) {
            let is_first_of_two = plus && digits.len() > 1 && text[at..].contains(is_plus);
            return Err(if is_first_of_two {
                InvalidPhoneNumber::TwoNumbers
            } else {
                unexpected(&text[at..], &digits)
            });
        }
    }
    match digits.as_str() {
        _ if plus => Ok(digits),
        "+" => Err(InvalidPhoneNumber::Empty),
        digits if digits.starts_with("+00") => Err(InvalidPhoneNumber::DoubleZero),
        _ => Err(InvalidPhoneNumber::NoPlus),
    }
}

/// The text without what precedes the first plus, digit or letter, and without what follows the last: quotes, commas, line ends. A
/// trailing `#` stays, since it ends an extension.
fn without_surroundings(text: &str) -> &str {
    let is_part = |character: char| is_plus(character) || character.is_alphanumeric();
    text.trim_start_matches(|character| !is_part(character))
        .trim_end_matches(|character| !is_part(character) && !"#＃".contains(character))
}

fn is_plus(character: char) -> bool {
    matches!(character, '+' | '＋')
}

/// What people and address books write between digits, as libphonenumber knows it, and tabs.
fn is_between_digits(character: char) -> bool {
    character == '\t'
        || character.is_whitespace() && !character.is_control()
        || "-./()[]⁓∼ー".contains(character)
        || matches!(character, '\u{2010}'..='\u{2015}' | '\u{2212}' | '－'..='／' | '（' | '）' | '［' | '］')
}

/// What a text is that goes on after some digits with a character that is not part of a number.
fn unexpected(rest: &str, digits: &str) -> InvalidPhoneNumber {
    let starts_with = |characters: &[char]| rest.starts_with(characters);
    if digits.len() > 1 && starts_with(&[',', ';', '#', '＃', '~', '～']) || is_extension(rest) {
        InvalidPhoneNumber::Extension
    } else if rest.starts_with(char::is_alphabetic) {
        InvalidPhoneNumber::Letters
    } else {
        InvalidPhoneNumber::Characters
    }
}

/// Why the library can't parse a plus and digits. Of those, only too few are "not a number".
fn unreadable(error: &ParseError) -> InvalidPhoneNumber {
    match error {
        ParseError::InvalidCountryCode => InvalidPhoneNumber::UnknownCountryCode,
        ParseError::TooLongNsn => InvalidPhoneNumber::TooLong,
        ParseError::TooShortNsn | ParseError::TooShortAfterIdd | ParseError::NotANumber(_) => {
            InvalidPhoneNumber::TooShort
        }
    }
}

/// `x12`, `ext. 12`, `extension 12`; but not the letters of `EXTRAS`.
fn is_extension(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["extension", "extn", "ext", "x"]
        .iter()
        .any(|word| text.strip_prefix(word).is_some_and(|rest| !rest.contains(char::is_alphabetic)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn region_of(text: &str) -> String {
        number(text).region().map_or_else(|| "none".to_owned(), |region| region.to_string())
    }

    /// Numbers of regions that share their dial code with others.
    const REGIONS: [(&str, &str); 38] = [
        ("+14155550123", "US"),
        ("+14165061234", "CA"),
        ("+16045061234", "CA"),
        ("+18762101234", "JM"),
        ("+16582101234", "JM"),
        ("+12684641234", "AG"),
        ("+18092345678", "DO"),
        ("+18292345678", "DO"),
        ("+18492345678", "DO"),
        ("+17872345678", "PR"),
        ("+19392345678", "PR"),
        ("+79123456789", "RU"),
        ("+78612345678", "RU"),
        ("+77001234567", "KZ"),
        ("+77011234567", "KZ"),
        ("+77172123456", "KZ"),
        ("+447400123456", "GB"),
        ("+447797712345", "JE"),
        ("+447781123456", "GG"),
        ("+447624123456", "IM"),
        ("+393123456789", "IT"),
        ("+390236618300", "IT"),
        ("+390669812345", "VA"),
        ("+4740612345", "NO"),
        ("+4779123456", "SJ"),
        ("+61412345678", "AU"),
        ("+61891641234", "CX"),
        ("+61891621234", "CC"),
        ("+358412345678", "FI"),
        ("+358181234567", "AX"),
        ("+590590271234", "BL"),
        ("+590690001234", "GP"),
        ("+59995181234", "CW"),
        ("+5993181234", "BQ"),
        ("+212650123456", "MA"),
        ("+262692123456", "RE"),
        ("+38344123456", "XK"),
        ("+2908999", "TA"),
    ];

    #[test]
    fn a_number_of_jamaica_is_not_in_the_us() {
        for (text, region) in REGIONS {
            assert_eq!(region_of(text), region, "{text}");
        }
    }

    #[test]
    fn a_number_of_no_country_has_no_region() {
        for text in [
            "+80012345678",
            "+80812345678",
            "+870773111632",
            "+878101234567890",
            "+881612345678",
            "+88213300655",
            "+883510012345678",
            "+88812345678901",
            "+979123456789",
        ] {
            assert_eq!(region_of(text), "none", "{text}");
        }
    }

    #[test]
    fn the_type_tells_what_should_not_be_texted() {
        for (text, number_type) in [
            ("+14155550123", NumberType::FixedLineOrMobile),
            ("+447400123456", NumberType::Mobile),
            ("+442079460123", NumberType::FixedLine),
            ("+18002345678", NumberType::TollFree),
            ("+19002345678", NumberType::PremiumRate),
            ("+33884012345", NumberType::SharedCost),
            ("+445612345678", NumberType::Voip),
            ("+447012345678", NumberType::Personal),
            ("+447640123456", NumberType::Pager),
            ("+445512345678", NumberType::Uan),
            ("+41860123456789", NumberType::Voicemail),
        ] {
            assert_eq!(number(text).number_type(), number_type, "{text}");
        }
    }

    #[test]
    fn all_spellings_are_one_number() {
        for (e164, spellings) in [
            (
                "+14155550123",
                &[
                    "+1 (415) 555-0123",
                    "+1.415.555.0123",
                    " +1-415-555-0123 ",
                    "(+1) 415 555 0123",
                    "+1\u{a0}415\u{202f}555\u{2011}0123",
                    "＋１（４１５）５５５－０１２３",
                    "+١٤١٥٥٥٥٠١٢٣",
                    "+1 1 415 555 0123",
                    "+1 [415] 555-0123",
                    "+1\t415\t555\t0123",
                    "+14155550123\n",
                    "+1 415 555 0123\r\n",
                    "\u{202a}+1 (415) 555-0123\u{202c}",
                    "\u{200e}+1\u{200b}415\u{feff}555\u{2060}01\u{ad}23\u{202c}\u{fe0f}",
                    "+1415555\u{2066}0123\u{2069}",
                    "“+1 415 555 0123”,",
                    "<+1 415 555 0123>",
                    "+၁၄၁၅၅၅၅၀၁၂၃",
                    "+௧௪௧௫௫௫௫௦௧௨௩",
                    "+1 4 1 5 5 5 5 0 1 2 3                      ",
                ][..],
            ),
            ("+442079460123", &["+44 (0)20 7946 0123", "+44 020 7946 0123", "+44 20 7946 0123"]),
            ("+4915112345678", &["+49 (0) 151 12345678", "+49 151 12345678", "+49 151/12345678"]),
            // Italy keeps its leading zeros.
            ("+390236618300", &["+39 02 3661 8300", "+39 (02) 36618300"]),
            ("+3902366183", &["+39 02 366183"]),
            ("+5491123456789", &["+54 9 11 2345 6789", "+54 11 15 2345 6789", "+54 (011) 15 2345-6789"]),
            // In the form that reaches the handset today.
            ("+525512345678", &["+52 55 1234 5678", "+52 1 55 1234 5678"]),
            ("+24166123456", &["+241 06 12 34 56", "+241 6 12 34 56", "+241 066 12 34 56"]),
            ("+24162123456", &["+241 02 12 34 56"]),
            ("+24165123456", &["+241 05 12 34 56"]),
            ("+24174123456", &["+241 04 12 34 56", "+241 4 12 34 56"]),
            ("+24177123456", &["+241 07 12 34 56"]),
            ("+24111123456", &["+241 01 12 34 56"]),
            ("+2250701123456", &["+225 07 01 12 34 56"]),
            ("+2250747123456", &["+225 47 12 34 56"]),
            ("+2250509123456", &["+225 05 09 12 34 56"]),
            ("+2250505123456", &["+225 05 12 34 56"]),
            ("+2250102123456", &["+225 02 12 34 56"]),
            ("+2250170123456", &["+225 70 12 34 56"]),
            ("+3780549886377", &["+378 0549 886377", "+378 886377"]),
        ] {
            assert_eq!(number(e164).as_str(), e164);
            for spelling in spellings {
                assert_eq!(number(spelling), number(e164), "{spelling}");
            }
        }
    }

    #[test]
    fn a_refusal_says_what_was_wrong() {
        #[allow(clippy::enum_glob_use, reason = "a table of cases")]
        use InvalidPhoneNumber::*;
        for (text, error) in [
            ("", Empty),
            ("   ", Empty),
            ("()", Empty),
            ("4155550123", NoPlus),
            ("14155550123", NoPlus),
            ("020 7946 0123", NoPlus),
            ("1+4155550123", Characters),
            ("0014155550123", DoubleZero),
            ("00 44 20 7946 0123", DoubleZero),
            ("+1 415 555 0123 x4", Extension),
            ("+1 415 555 0123 ext. 4", Extension),
            ("+1 415 555 0123,,4", Extension),
            ("+14155550123;ext=4", Extension),
            ("+14155550123#4", Extension),
            ("+1 800 FLOWERS", Letters),
            ("+1 800 EXTRAS1", Letters),
            ("tel:+14155550123", Letters),
            ("+1415555012З", Letters),
            ("+1415555\n0123", Characters),
            ("+1415555\u{0}0123", Characters),
            ("++14155550123", Characters),
            ("+1*4155550123", Characters),
            ("+14155550123/4", TooLong),
            ("+14155550123#", Extension),
            ("+1 415 555 0123 ~4", Extension),
            ("+14155550123+14155550124", TwoNumbers),
            ("+14155550123 / +14155550124", TwoNumbers),
            ("+14155550123\n+14155550124", TwoNumbers),
            ("+14155550123;+14155550124", TwoNumbers),
            ("+1 415 555 0123 or +1 415 555 0124", TwoNumbers),
            ("+1415555012²", Characters),
            ("+", TooShort),
            ("+1", TooShort),
            ("+1415", TooShort),
            ("+88812345678", TooShort),
            ("+141555501234", TooLong),
            // Longer than E.164 allows, although Germany has assigned it.
            ("+4918001234567890", TooLong),
            ("+0014155550123", UnknownCountryCode),
            ("+99912345678", UnknownCountryCode),
            ("+379698123456", UnknownCountryCode),
            ("+11155550123", Unassigned),
            ("+10005550123", Unassigned),
            ("+979023456789", Unassigned),
            // Côte d'Ivoire's fixed lines of before 2021 don't show their operator.
            ("+22520123456", TooShort),
            // Without Italy's zero it is not assigned.
            ("+39236618300", Unassigned),
        ] {
            assert_eq!(PhoneNumber::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_handset_that_has_two_numbers_has_one_key_range_and_block() {
        for (one, other) in [
            ("+5491123456789", "+541123456789"),
            ("+970599123456", "+972599123456"),
            ("+970569123456", "+972569123456"),
        ] {
            let (one, other) = (number(one), number(other));
            assert_eq!(handset(one.as_str()), handset(other.as_str()));
            assert_eq!((one.range(), one.block(), one.area()), (other.range(), other.block(), other.area()));
        }
        // Others of Israel, and what is no whole number.
        for e164 in ["+972502345678", "+97259912345", "+9725991234567", "+972236123456"] {
            assert_eq!(handset(e164), e164);
        }
        assert_eq!(number("+972599123456").region_of_two(), Some("IL".parse().unwrap()));
        assert_eq!(number("+970599123456").region_of_two(), Some("PS".parse().unwrap()));
        assert_eq!(number("+972502345678").region_of_two(), None);
    }

    #[test]
    fn regions_whose_mobile_numbers_are_filed_elsewhere_are_known() {
        let filed: Vec<_> = PHONE_NUMBER_UTIL
            .get_supported_regions()
            .filter_map(|region| {
                let mobile = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, PhoneNumberType::Mobile);
                let (own, mobile) = (Region::of(region)?, mobile.ok()?.get_region_code().and_then(Region::of)?);
                (own != mobile).then(|| (own.to_string(), mobile.to_string()))
            })
            .collect();
        for (own, other) in &filed {
            // The Isle of Man has mobile numbers of its own, such as +447624123456, and shares others.
            let expected = Some(other.parse().unwrap()).filter(|_| own != "IM");
            assert_eq!(own.parse::<Region>().unwrap().mobile_numbers_filed_under(), expected, "{own}");
        }
        assert_eq!(filed.len(), MOBILE_NUMBERS_FILED.len() + 1, "{filed:?}");
        assert_eq!("US".parse::<Region>().unwrap().mobile_numbers_filed_under(), None);
    }

    #[test]
    fn a_range_is_the_number_without_its_last_three_digits() {
        assert_eq!(number("+14155550123").range().as_str(), "+14155550");
        assert_eq!(number("+14155550999").range(), number("+14155550000").range());
        assert_ne!(number("+14155551000").range(), number("+14155550999").range());
        assert_eq!(number("+6834002").range().as_str(), "+6834");
    }

    #[test]
    fn a_masked_number_hides_three_digits_or_more() {
        for (text, masked) in [
            ("+14155550123", "+1•••123"),
            ("+447400123456", "+44•••456"),
            ("+878101234567890", "+878•••890"),
            ("+358181234567", "+358•••567"),
            ("+61891641234", "+61•••234"),
            ("+24740123", "+247•••23"),
            ("+6834002", "+683•••2"),
        ] {
            assert_eq!(number(text).masked(), masked);
        }
    }

    #[test]
    fn neither_a_number_nor_its_range_can_be_printed() {
        let number = number("+14155550123");
        assert_eq!(format!("{number:?}"), "PhoneNumber(+1•••123)");
        // Beside the masked number, the range would complete it.
        assert_eq!(format!("{:?}", number.range()), "NumberRange(•••)");
    }

    #[test]
    fn a_region_is_read_in_any_case_and_must_have_phone_numbers() {
        for text in ["US", "us", " Us "] {
            assert_eq!(text.parse::<Region>().unwrap().to_string(), "US");
        }
        for text in ["", "U", "USA", "1", "É", "U\u{0}", "U S"] {
            assert_eq!(text.parse::<Region>(), Err(InvalidRegion::NotTwoLetters(text.to_owned())));
        }
        // The United Kingdom is GB, Antarctica's AQ has no numbers, and 001 is how the library writes "no country".
        for text in ["UK", "EU", "AQ", "ZZ", "001"] {
            assert_eq!(text.parse::<Region>(), Err(InvalidRegion::Unknown(text.to_owned())));
        }
        let mut regions: Vec<Region> = ["US", "CA", "GB"].iter().map(|text| text.parse().unwrap()).collect();
        regions.sort();
        assert_eq!(regions.iter().map(Region::to_string).collect::<Vec<_>>(), ["CA", "GB", "US"]);
    }

    /// What holds for each number, wherever it comes from.
    fn check(number: &PhoneNumber) {
        assert_eq!(PhoneNumber::parse(number.as_str()).as_ref(), Ok(number));
        assert!((5..=16).contains(&number.as_str().len()));
        assert!(number.as_str()[1..].bytes().all(|byte| byte.is_ascii_digit()));
        let handset = handset(number.as_str());
        assert!(handset.starts_with(number.range().as_str()));
        // Whatever the handset's number is parsed from, it stays the same handset.
        assert_eq!(
            PhoneNumber::parse(&handset).map_or(handset.to_string(), |own| super::handset(own.as_str()).into()),
            handset
        );
        let masked = number.masked();
        let shown = masked.chars().filter(char::is_ascii_digit).count();
        assert!(shown + 3 < number.as_str().len() && masked.contains("•••") && shown <= 6, "{masked}");
        assert_ne!(number.number_type(), NumberType::Unknown);
    }

    #[test]
    fn the_e164_format_of_every_region_and_type_is_a_fixed_point() {
        let types = {
            #[allow(clippy::enum_glob_use, reason = "a table of cases")]
            use PhoneNumberType::*;
            [FixedLine, Mobile, TollFree, PremiumRate, SharedCost, VoIP, PersonalNumber, Pager, UAN, VoiceMail]
        };
        let mut numbers = 0;
        for region in PHONE_NUMBER_UTIL.get_supported_regions() {
            for number_type in types {
                let Ok(example) = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, number_type) else {
                    continue;
                };
                for format in [PhoneNumberFormat::E164, PhoneNumberFormat::International] {
                    check(&number(&example.format_as(format)));
                }
                numbers += 1;
            }
        }
        assert!(numbers > 1_000, "{numbers}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            if let Ok(number) = PhoneNumber::parse(&text) {
                check(&number);
            }
            let _ = text.parse::<Region>();
        }

        #[test]
        fn whatever_looks_like_a_number_has_one_spelling(text in "[+＋]?[0-9 ().０-９-]{0,20}([xe#;,] ?[0-9]{1,3})?") {
            if let Ok(number) = PhoneNumber::parse(&text) {
                check(&number);
            }
        }

        #[test]
        fn separators_change_nothing(
            (e164, _) in prop::sample::select(&REGIONS[..]),
            separators in prop::collection::vec("[ ()./‐\\[\\]\t\u{a0}\\p{Cf}\u{fe0f}\u{3164}-]{0,2}", 17),
            zero in prop::sample::select(&['0', '０', '\u{660}', '\u{966}', '\u{be6}', '\u{1040}', '\u{1d7ce}'][..]),
        ) {
            let mut text = String::new();
            for (character, separator) in e164.chars().chain([' ']).zip(&separators) {
                text.push_str(separator);
                let digit = character.to_digit(10).and_then(|digit| char::from_u32(u32::from(zero) + digit));
                text.push(digit.unwrap_or(character));
            }
            text.push_str(&separators[16]);
            prop_assert_eq!(PhoneNumber::parse(&text), Ok(number(e164)), "{:?}", text);
        }

        #[test]
        fn what_was_refused_is_refused_with_invisible_characters_for_the_same_reason(
            text in "[+]?[0-9 xe#;,+a\n]{0,16}",
            at in 0..16_usize,
            invisible in "\\p{Cf}",
        ) {
            let at = at.min(text.len());
            let marked = format!("{}{invisible}{}", &text[..at], &text[at..]);
            prop_assert_eq!(PhoneNumber::parse(&marked), PhoneNumber::parse(&text), "{:?}", marked);
        }

        #[test]
        fn a_number_of_a_plan_that_changed_has_one_spelling(
            country in prop::sample::select(&["+52", "+54", "+225", "+241", "+970", "+972"][..]),
            digits in "[0-9]{7,11}",
        ) {
            if let Ok(number) = PhoneNumber::parse(&format!("{country}{digits}")) {
                check(&number);
            }
        }

        #[test]
        fn an_inserted_prefix_never_makes_a_second_spelling(
            (e164, _) in prop::sample::select(&REGIONS[..]),
            at in 2..5_usize,
            prefix in "0|1|8|00|01|15",
        ) {
            if let Ok(number) = PhoneNumber::parse(&format!("{}{prefix}{}", &e164[..at], &e164[at..])) {
                check(&number);
            }
        }
    }
}
