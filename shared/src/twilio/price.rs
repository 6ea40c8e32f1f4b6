//! The price of SMS.

use crate::phone::number::{InvalidRegion, Region};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Money, in millionths of a dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dollars(u64);

/// The prices of one segment of an SMS, by region.
///
/// ```
/// use shared::twilio::price::SegmentPrices;
///
/// let prices: SegmentPrices = "US=0.0083, DE=0.11, *=0.05".parse()?;
/// assert_eq!(prices.of("US".parse().ok(), 3).to_string(), "0.0249");
/// assert_eq!(prices.of("GB".parse().ok(), 1).to_string(), "0.05");
/// // A plain price holds for every region.
/// assert_eq!("0.0083".parse::<SegmentPrices>()?.of(None, 1).to_string(), "0.0083");
/// assert!("cheap".parse::<SegmentPrices>().is_err());
/// # Ok::<(), shared::twilio::price::InvalidPrices>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentPrices {
    regions: BTreeMap<Region, Dollars>,
    others: Dollars,
}

/// Why a text is not a list of prices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrices {
    /// Not an amount.
    #[error(
        "{0:?} is not a price in dollars; write at most 3 digits before the point and 6 after it, such as 0.0083 or US=0.0083"
    )]
    Price(String),
    /// Not a region.
    #[error(transparent)]
    Region(#[from] InvalidRegion),
    /// A region that has two prices.
    #[error("{0} has two prices; keep one")]
    Twice(String),
    /// A number of any other region would have no price.
    #[error("the price of all other regions is missing; add it as *, such as *=0.05")]
    OthersMissing,
}

impl SegmentPrices {
    /// The cost of this many segments to a number of this region. A number without a region costs as much as in a region that is not
    /// listed.
    #[must_use]
    pub fn of(&self, region: Option<Region>, segments: usize) -> Dollars {
        let price = region.and_then(|region| self.regions.get(&region)).unwrap_or(&self.others);
        Dollars(price.0.saturating_mul(segments as u64))
    }
}

impl FromStr for SegmentPrices {
    type Err = InvalidPrices;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut regions, mut others) = (BTreeMap::new(), None);
        for entry in text.split(',').map(str::trim) {
            let (region, price) = entry.split_once('=').unwrap_or(("*", entry));
            let (region, price) = (region.trim(), price.trim());
            let price = Dollars::parse(price).ok_or_else(|| InvalidPrices::Price(price.to_owned()))?;
            let before = if region == "*" { others.replace(price) } else { regions.insert(region.parse()?, price) };
            if before.is_some() {
                return Err(InvalidPrices::Twice(region.to_owned()));
            }
        }
        Ok(Self { regions, others: others.ok_or(InvalidPrices::OthersMissing)? })
    }
}

impl Dollars {
    /// An amount such as `0.0083`, exactly.
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let are_digits = |digits: &str, most| {
            (1..=most).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
        };
        if !are_digits(whole, 3) || !are_digits(fraction, 6) {
            return None;
        }
        format!("{whole}{fraction:0<6}").parse().ok().map(Self)
    }

    /// The amount in hundredths of a cent, rounded up.
    #[must_use]
    pub fn hundredths_of_a_cent(self) -> u32 {
        u32::try_from(self.0.div_ceil(100)).unwrap_or(u32::MAX)
    }

    /// The amount in dollars.
    #[expect(clippy::cast_precision_loss, reason = "exact to nine billion dollars")]
    pub(crate) const fn as_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_f64().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact() {
        let prices = |text: &str| text.parse::<SegmentPrices>();
        for (text, segments, dollars) in
            [("0.0083", 3, "0.0249"), ("0.1", 3, "0.3"), ("0", 7, "0"), ("12.5", 2, "25"), ("0.000001", 1, "0.000001")]
        {
            assert_eq!(prices(text).unwrap().of(None, segments).to_string(), dollars, "{text}");
        }
        for text in [".", "1.", ".5", "-1", "1e3", "NaN", "1000", "0.1234567", "0..1", "+1", "US", ""] {
            assert_eq!(prices(text), Err(InvalidPrices::Price(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_price_that_counts_in_a_limit_is_rounded_up() {
        let count = |price: &str| price.parse::<SegmentPrices>().unwrap().of(None, 1).hundredths_of_a_cent();
        for (price, expected) in
            [("0.0083", 83), ("0.00831", 84), ("0", 0), ("0.000001", 1), ("999.999999", 10_000_000)]
        {
            assert_eq!(count(price), expected, "{price}");
        }
    }

    #[test]
    fn each_region_has_its_price_and_the_others_have_one() {
        let prices = " us = 0.0083,CA=0.01 , *=0.5, DE=0.11".parse::<SegmentPrices>().unwrap();
        for (region, dollars) in [("US", "0.0166"), ("CA", "0.02"), ("DE", "0.22"), ("GB", "1")] {
            assert_eq!(prices.of(region.parse().ok(), 2).to_string(), dollars, "{region}");
        }
        assert_eq!(prices.of(None, 2).to_string(), "1", "a number without a region");
    }

    #[test]
    fn a_list_that_leaves_a_price_open_is_refused() {
        for (text, reason) in [
            ("US=0.0083", InvalidPrices::OthersMissing),
            ("US=0.1, *=0.2, US=0.3", InvalidPrices::Twice("US".to_owned())),
            ("0.1, *=0.2", InvalidPrices::Twice("*".to_owned())),
            ("US=0.1,, *=0.2", InvalidPrices::Price(String::new())),
            ("US=cheap, *=0.2", InvalidPrices::Price("cheap".to_owned())),
            ("USA=0.1, *=0.2", InvalidPrices::Region(InvalidRegion::NotTwoLetters("USA".to_owned()))),
            ("AA=0.1, *=0.2", InvalidPrices::Region(InvalidRegion::Unknown("AA".to_owned()))),
        ] {
            assert_eq!(text.parse::<SegmentPrices>(), Err(reason), "{text}");
        }
    }
}
