//! Which numbers may receive codes at all, whatever the limits: by region, prefix and type. Pure.

use crate::phone::number::{NumberType, PhoneNumber, Region};
use crate::runtime::settings::{Environment, SettingError};
use std::str::FromStr;

/// Dial codes without a country: freephone, shared cost, satellite phones, international networks, premium rate. They are common in
/// fraud, and a number's type does not reveal them (+881 counts as mobile), so this list is always refused.
const NON_GEOGRAPHIC: [&str; 9] = ["+800", "+808", "+870", "+878", "+881", "+882", "+883", "+888", "+979"];

/// Types that can't receive a code, or that pay the recipient, as personal numbers (+44 70) do.
const REFUSED_TYPES: [NumberType; 8] = [
    NumberType::PremiumRate,
    NumberType::SharedCost,
    NumberType::TollFree,
    NumberType::Pager,
    NumberType::Voicemail,
    NumberType::Uan,
    NumberType::Personal,
    NumberType::Unknown,
];

/// The prefix of Twilio's "magic" test numbers. They are personal numbers that are not assigned, so they may pass.
const TEST_NUMBERS: &str = "+1500555000";

/// The least length of an extra prefix: shorter ones would be whole countries.
const MIN_EXTRA_PREFIX: usize = "+1624".len();

/// The allowed countries, the blocked prefixes, and whether landlines are allowed.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Regions, not dial codes: +1 is shared by 25 of them.
    pub allowed_countries: Vec<Region>,
    /// Besides those without a country.
    pub blocked_prefixes: Vec<Prefix>,
    /// Whose numbers of an unknown range are mobile numbers, says the operator.
    pub extra_prefixes: Vec<Prefix>,
    /// Few landlines receive an SMS, and fraudsters rent them like any number. A number that may be either isn't one of them.
    pub allow_landlines: bool,
}

/// The first digits of numbers, with a `+`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

/// The text is not a `+` and digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a prefix; write + and 1 to 15 digits, such as +1900")]
pub struct InvalidPrefix(String);

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let right = (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if right { Ok(Self(text.to_owned())) } else { Err(InvalidPrefix(text.to_owned())) }
    }
}

/// A country is allowed whose mobile numbers nobody can tell from another's, so it would get no codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{region} shares its mobile numbers with {filed_under}, so nobody there would get a code; add {filed_under}, or leave {region} out"
)]
struct NoMobileNumbers {
    region: Region,
    filed_under: Region,
}

/// Why the policy refuses a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// It begins with a blocked prefix.
    Prefix,
    /// Its region is not allowed, or it has none.
    Country(Option<Region>),
    /// Its type is refused.
    NumberType(NumberType),
}

impl Policy {
    /// Reads `ALLOWED_COUNTRIES`, `BLOCKED_PREFIXES`, `EXTRA_PREFIXES` and `ALLOW_LANDLINES`.
    ///
    /// # Errors
    /// [`SettingError`] names the variable that is invalid, and the reason.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        environment.required("ALLOWED_COUNTRIES")?;
        let allowed_countries: Vec<Region> = environment.list("ALLOWED_COUNTRIES")?;
        let without_mobile_numbers = allowed_countries.iter().find_map(|&region| {
            let filed_under = region.mobile_numbers_filed_under()?;
            (!allowed_countries.contains(&filed_under)).then_some(NoMobileNumbers { region, filed_under })
        });
        if let Some(reason) = without_mobile_numbers {
            return Err(Environment::invalid("ALLOWED_COUNTRIES", reason));
        }
        let blocked_prefixes: Vec<Prefix> = environment.list("BLOCKED_PREFIXES")?;
        let extra_prefixes: Vec<Prefix> = environment.list("EXTRA_PREFIXES")?;
        if let Some(short) = extra_prefixes.iter().find(|prefix| prefix.0.len() < MIN_EXTRA_PREFIX) {
            let reason = format!("{} is too short; write at least four digits, such as +1624", short.0);
            return Err(Environment::invalid("EXTRA_PREFIXES", reason));
        }
        let is_blocked = |extra: &&Prefix| blocked_prefixes.iter().any(|blocked| extra.0.starts_with(&blocked.0));
        if let Some(blocked) = extra_prefixes.iter().find(is_blocked) {
            return Err(Environment::invalid("EXTRA_PREFIXES", format!("BLOCKED_PREFIXES blocks {}", blocked.0)));
        }
        Ok(Self {
            allowed_countries,
            blocked_prefixes,
            extra_prefixes,
            allow_landlines: environment.parsed("ALLOW_LANDLINES")?,
        })
    }

    /// Whether nobody vouches for the number's range: neither the metadata nor the operator.
    #[must_use]
    pub fn is_unassigned(&self, number: &PhoneNumber) -> bool {
        let vouched_for = || self.extra_prefixes.iter().any(|prefix| number.as_str().starts_with(&prefix.0));
        number.number_type() == NumberType::Unassigned && !vouched_for()
    }

    /// Checks a number.
    ///
    /// # Errors
    /// The first [`Violation`], in the order prefix, country, type.
    pub fn check(&self, number: &PhoneNumber) -> Result<(), Violation> {
        let blocked = self.blocked_prefixes.iter().map(|prefix| prefix.0.as_str()).chain(NON_GEOGRAPHIC);
        if blocked.into_iter().any(|prefix| number.as_str().starts_with(prefix)) {
            return Err(Violation::Prefix);
        }
        if !number.region().is_some_and(|region| self.allowed_countries.contains(&region)) {
            return Err(Violation::Country(number.region()));
        }
        let number_type = number.number_type();
        let is_refused =
            REFUSED_TYPES.contains(&number_type) || number_type == NumberType::FixedLine && !self.allow_landlines;
        if is_refused && !number.as_str().starts_with(TEST_NUMBERS) {
            return Err(Violation::NumberType(number_type));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            allowed_countries: ["US", "CA", "GB"].map(|region| region.parse().unwrap()).into(),
            blocked_prefixes: vec!["+1907".parse().unwrap()],
            extra_prefixes: vec!["+1624".parse().unwrap()],
            allow_landlines: false,
        }
    }

    fn check(number: &str) -> Result<(), Violation> {
        policy().check(&PhoneNumber::parse(number).unwrap())
    }

    #[test]
    fn the_region_decides_and_not_the_dial_code() {
        let region = |code: &str| Some(code.parse::<Region>().unwrap());
        assert_eq!(check("+14155550123"), Ok(()));
        assert_eq!(check("+14165550123"), Ok(()));
        assert_eq!(check("+18762101234"), Err(Violation::Country(region("JM"))));
        assert_eq!(check("+12684641234"), Err(Violation::Country(region("AG"))));
        assert_eq!(check("+447797712345"), Err(Violation::Country(region("JE"))));
        assert_eq!(check("+4915123456789"), Err(Violation::Country(region("DE"))));
    }

    #[test]
    fn a_blocked_prefix_and_a_number_of_no_country_are_refused() {
        assert_eq!(check("+19072345678"), Err(Violation::Prefix));
        for number in ["+881612345678", "+80012345678", "+870773111632"] {
            assert_eq!(check(number), Err(Violation::Prefix), "{number}");
        }
    }

    #[test]
    fn numbers_that_earn_or_that_receive_no_sms_are_refused() {
        for (number, number_type) in [
            ("+19002345678", NumberType::PremiumRate),
            ("+18002345678", NumberType::TollFree),
            ("+448712345678", NumberType::PremiumRate),
            ("+447012345678", NumberType::Personal),
            ("+15332345678", NumberType::Personal),
        ] {
            assert_eq!(check(number), Err(Violation::NumberType(number_type)), "{number}");
        }
    }

    #[test]
    fn a_landline_is_refused_unless_landlines_are_allowed_and_what_may_be_a_mobile_phone_is_none() {
        let allowing = Policy { allow_landlines: true, ..policy() };
        for (number, refused) in [
            ("+442079460123", true),
            ("+447400123456", false),
            ("+445612345678", false), // voice over IP
            ("+14155550123", false),  // fixed line or mobile
        ] {
            let expected = if refused { Err(Violation::NumberType(NumberType::FixedLine)) } else { Ok(()) };
            assert_eq!(check(number), expected, "{number}");
            assert_eq!(allowing.check(&PhoneNumber::parse(number).unwrap()), Ok(()), "{number}");
        }
        let premium_rate = PhoneNumber::parse("+19002345678").unwrap();
        assert_eq!(allowing.check(&premium_rate), Err(Violation::NumberType(NumberType::PremiumRate)));
    }

    #[test]
    fn a_prefix_is_a_plus_and_digits() {
        for text in ["1907", "+", "+1 907", "+1907x", "", "+1234567890123456"] {
            assert!(text.parse::<Prefix>().is_err(), "{text}");
        }
    }
}
